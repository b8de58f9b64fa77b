"""The predicates of a family, and the tests that a mutant of one is shown to."""

import ast
import dataclasses
import inspect
import io
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

from solvers import exact, procedure, registry
from solvers.constrained import Optimization
from solvers.problem import Instance, Target
from solvers.procedure import Iterate, Procedure
from tests.mutants.explained import EXPLAINED
from tests.mutants.making import Mutant, built, definition, mutants
from tests.solvers import suite, suite_faces, suite_procedures
from tests.solvers.proofs import remember_proofs
from tests.solvers.specimens import crowd, joint, small
from tests.solvers.suite_variants import every_twin

ROOT = Path(__file__).parents[2]
SHARED = ("solvers.problem", "solvers.procedure", "solvers.powerflow", "solvers.polynomials", "solvers.linear")
METHODS = ("check", "of", "step")
LEFT_OUT = ("start", "tolerance", "decimal")
SECONDS = {"suite": 15, "own": 60}  # of processor time that a mutant may take; one that comes to no end is seen


@dataclass(frozen=True)
class Predicate:
    """A function that decides about right and wrong.

    ``families``: those whose tests it is shown to; ``kinds``: the constraint kinds that it decides about ("of": the
    objective, "step": the procedure); ``owner``: the class that it stands in; ``callers``: the modules that name it,
    where it stands in none; ``fields``: field of its class -> the others of the same type.
    """

    function: FunctionType
    owner: type | None
    families: tuple[str, ...]
    kinds: tuple[str, ...]
    callers: tuple[Any, ...] = ()
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"{self.function.__module__.rpartition('.')[2]} {self.function.__qualname__}"

    def mutants(self) -> list[Mutant]:
        return list(mutants(self.function, self.where, self.fields))

    @contextmanager
    def replaced(self, mutant: Mutant) -> Iterator[None]:
        """Have the mutant stand where the function stands."""
        new, name = built(mutant, self.function, self.owner), self.function.__name__
        home = sys.modules[self.function.__module__]
        places = merged([home], self.callers) if self.owner is None else (self.owner,)
        held = [inspect.getattr_static(place, name) for place in places]
        for place, old in zip(places, held, strict=True):
            setattr(place, name, property(new) if isinstance(old, property) else new)
        try:
            yield
        finally:
            for place, old in zip(places, held, strict=True):
                setattr(place, name, old)


@cache
def predicates() -> tuple[Predicate, ...]:
    """Return every predicate, with the functions that it calls, each once."""
    found: dict[FunctionType, Predicate] = {}

    def add(function: FunctionType, owner: type | None, family: str, kinds: Iterable[str], caller: Any = None) -> None:
        old = found.get(function)
        found[function] = Predicate(
            function,
            owner,
            merged(old.families if old else (), [family]),
            merged(old.kinds if old else (), kinds),
            merged(old.callers if old else (), [caller] if caller else []),
            alike(owner) if owner else {},
        )

    homes = set(registry.modules().values())
    for name, module in registry.modules().items():
        for kind in vars(import_module(module)).values():
            if not isinstance(kind, type) or kind.__module__ not in homes:
                continue  # a family may have constraints of another one
            for method in METHODS:
                function = next((vars(c)[method] for c in kind.__mro__ if method in vars(c)), None)
                owner = next((c for c in kind.__mro__ if method in vars(c)), None)
                if owner is not None and owner.__module__ in homes:
                    mark = getattr(kind, "kind", None) if method == "check" else method
                    add(function, owner, name, [mark] if mark else [])
        for predicate in [p for p in found.values() if name in p.families]:
            for function, owner, caller in called(predicate.function, predicate.owner, homes, set()):
                if function.__name__ not in METHODS:
                    add(function, owner, name, predicate.kinds, None if owner else caller)
    add(vars(Target)["check"], Target, "knapsack", ["target"])  # which has a mirrored objective
    for name in ("jacobi", "linear_congruential"):
        add(vars(Iterate)["check"], Iterate, name, ["iterate"])
    return tuple(found.values())


def merged(old: Iterable[Any], new: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys((*old, *new)))


def alike(kind: type) -> dict[str, tuple[str, ...]]:
    """Return field -> the other fields of the same type."""
    types = {f.name: str(f.type) for f in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
    return {a: tuple(b for b in types if b != a and types[b] == types[a]) for a in types}


def called(
    function: FunctionType, owner: type | None, homes: Collection[str], seen: set[Any]
) -> Iterator[tuple[FunctionType, type | None, Any]]:
    """Yield the functions of the families' modules and of shared ones that a function calls, however deep: each with
    the class that it stands in and the module that names it."""
    for node in ast.walk(definition(function)):
        target, holder = None, None
        if isinstance(node, ast.Name):
            target = function.__globals__.get(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self" and owner:
            holder = next((c for c in owner.__mro__ if node.attr in vars(c)), None)
            target = vars(holder)[node.attr] if holder else None
            target = target.fget if isinstance(target, property) else target
        if not isinstance(target, FunctionType) or target in seen or target.__name__ in LEFT_OUT:
            continue
        if target.__module__ in homes or target.__module__ in SHARED:
            seen.add(target)
            yield target, holder, sys.modules[function.__module__]
            yield from called(target, holder, homes, seen)


@cache
def inverted(family: Any) -> list[Instance]:
    """Return instances with the mirrored objective, where the family has one."""
    return [twin for twin, _ in every_twin(family, "inverted")]


# --- the tests --------------------------------------------------------------------------------------------------------


class Endless(BaseException):
    """Raised where a mutant comes to no end."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise `Endless` after some seconds of processor time."""

    def stop(number: int, frame: Any) -> None:
        raise Endless

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@cache
def traced(family: Any) -> list[Instance]:
    """Return instances with the traces that the step as it stands gives, of the altered method too."""
    altered = [twin for variant in ("perturbed", "famous") for twin, _ in every_twin(family, variant)]
    return [*joint(family), *crowd(family)[:5], *altered]


def judges(predicate: Predicate, family: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the tests that a mutant of a predicate is shown to, the quick ones first, and whose they are.

    A step is compared with traces made before, as the golden corpus holds them; that these are right is for the
    family's own tests to say, which compute them in a second way.
    """
    few, mirrored = small(family), inverted(family)
    if isinstance(family, Procedure):
        if "step" in predicate.kinds:
            yield "suite", lambda: suite_procedures.trace_is_what_the_steps_give(family, traced(family))
        else:
            yield "suite", lambda: suite_procedures.iterates_are_judged(family, few)
            yield "suite", lambda: suite.no_reply_crashes_the_judge(family)
    else:
        if isinstance(family, Optimization):
            if checked := [kind for kind in predicate.kinds if kind != "of"]:
                yield "suite", lambda: suite_faces.faces_agree(family, few, checked)
            if "of" in predicate.kinds:
                yield "suite", lambda: suite_faces.objective_agrees(family, [*few, *mirrored])
            if "target" in predicate.kinds:
                yield "suite", lambda: suite_faces.faces_agree(family, mirrored, ["target"])
            yield "suite", lambda: suite_faces.whole_instances_agree(family, [*few, *mirrored])
            yield "suite", lambda: suite_faces.strange_values_fail(family, few)
            yield "suite", lambda: suite_faces.ceilings_stay_broken(family, few)
            yield "suite", lambda: suite_faces.sentences_name_their_own_entities(family, few)
        yield "suite", lambda: suite.exact_passes_and_is_proven(family, few)
        yield "suite", lambda: suite_faces.absent_entities_fail(family, few)
    yield "own", lambda: own_tests(family.name, predicate.function.__module__.rpartition(".")[2])


def own_tests(name: str, shared: str) -> None:
    """Run a family's own test file as it stands, and that of a module that a predicate stands in; AssertionError where
    a test fails."""
    import pytest
    from hypothesis import Phase, settings

    folder = ROOT / "tests" / "solvers"
    paths = [folder / f"test_{shared}.py", folder / registry.modules()[name].split(".")[1] / f"test_{name}.py"]
    paths = [path for path in paths if path.exists()]
    for path in paths:  # it holds instances made on import
        sys.modules.pop(".".join(path.relative_to(ROOT).with_suffix("").parts), None)
    settings.register_profile("mutants", database=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")
    quiet = io.StringIO()
    with redirect_stdout(quiet), redirect_stderr(quiet):
        code = pytest.main(["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", *map(str, paths)])
    assert code == 0, quiet.getvalue()


def finder(predicate: Predicate, mutant: Mutant, shown_to: Collection[str]) -> str | None:
    """Return whose tests see a mutant, None where none does; ``shown_to``: whose are asked."""
    procedure._limit.cache_clear()
    procedure._unaltered.cache_clear()
    with predicate.replaced(mutant), remembering(predicate.function.__name__ in ("check", "of")):
        for name in predicate.families:
            for whose, holds in judges(predicate, registry.get(name)):
                if whose not in shown_to:
                    continue
                try:
                    with limited(SECONDS[whose]):
                        holds()
                except (Exception, Endless):  # noqa: BLE001 (a mutant may fail in any way)
                    return whose
    return None


@contextmanager
def remembering(posted: bool) -> Iterator[None]:
    """Ask the solver once for the same thing, over all mutants: a predicate that is not posted does not change it."""
    if not posted:
        yield
        return
    places = [(exact, "admits"), (suite_faces, "held")]
    held = [getattr(module, name) for module, name in places]
    for (module, name), old in zip(places, held, strict=True):
        setattr(module, name, remembered(old))
    try:
        yield
    finally:
        for (module, name), old in zip(places, held, strict=True):
            setattr(module, name, old)


KNOWN: dict[Any, Any] = {}


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that keeps its results by the text of its arguments."""

    def ask(*arguments: Any) -> Any:
        key = (function, *map(repr, arguments))
        if key not in KNOWN:
            KNOWN[key] = function(*arguments)
        return KNOWN[key]

    return ask


@dataclass(frozen=True)
class Found:
    """What became of the mutants of one predicate: by whose tests how many were seen, and which by none."""

    where: str
    families: tuple[str, ...]
    seen: Mapping[str, int]
    survivors: tuple[str, ...]
    seconds: float  # of processor time


def tried(where: str, every: int = 1, shown_to: tuple[str, ...] = ("suite", "own")) -> Found:
    """Return what becomes of the mutants of a predicate; ``every``: of each such one only. (What is explained is shown
    to the shared suite alone, which is quick.)

    Raises AssertionError where the tests fail for the predicate as it is: then they would see anything.
    """
    begin = time.process_time()
    remember_proofs()
    (predicate,) = (p for p in predicates() if p.where == where)
    for family in map(registry.get, predicate.families):  # instances are made, and kept, before anything is changed
        assert [*small(family), *inverted(family), *(traced(family) if isinstance(family, Procedure) else ())]
    seen: Counter[str] = Counter()
    survivors = []
    for mutant in predicate.mutants()[::every]:
        whose = finder(predicate, mutant, ("suite",) if str(mutant) in EXPLAINED else shown_to)
        if whose is None:
            survivors.append(str(mutant))
        else:
            seen[whose] += 1
    if seen and not survivors:  # otherwise a survivor has passed all tests
        unchanged = Mutant(predicate.where, "as it is", ast.unparse(definition(predicate.function)))
        assert finder(predicate, unchanged, list(seen)) is None, f"{where}: the tests fail for it as it is"
    return Found(where, predicate.families, dict(seen), tuple(survivors), time.process_time() - begin)
