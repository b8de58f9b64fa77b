"""Batches: what a user asks for, checked; what it expands to; how it stands."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from probe.asking.baselines import BASELINES
from probe.asking.measures import POSITIONS
from probe.asking.presentation import CHANNELS, COVERAGES, FORM_OF, Presentation
from probe.errors import RequestError
from solvers import registry
from solvers.keys import digest
from solvers.problem import SIZES, VARIANTS, WITHOUT_MODULES

MODES = ("final", "trace")
EFFORTS = ("minimal", "low", "medium", "high")
SHARD_TRIALS = 250  # a shard holds at most this many trials (or one sample of a block)
MOST_SEED = 2**62
MOST_LIMIT = 10**15  # calls, tokens, USD
LONGEST_NAME = 200
LONGEST_SHOWN = 80  # characters of a wrong value in a message


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Which instances are asked: every combination of these, over the first ``instances`` indexes of ``seed``."""

    families: tuple[str, ...] = ("all",)
    sizes: tuple[str, ...] = ("s",)
    variants: tuple[str, ...] = ("fresh",)
    modules: tuple[str, ...] = ("default",)
    modes: tuple[str, ...] = ("final",)
    instances: int = 20
    seed: int = 7


@dataclass(frozen=True, kw_only=True)
class BatchSpec:
    """Everything that decides what is asked, and nothing about how fast or how dearly."""

    arms: tuple[Arm, ...] = (Arm(),)
    models: tuple[str, ...] = ("all",)
    baselines: tuple[str, ...] = ("all",)
    samples: int = 1
    channels: tuple[str, ...] = ("json",)
    examples: int = 0
    coverage: str = "joint"
    warning: bool = False
    temperature: float | None = 0.0
    effort: str | None = None
    answer_tokens: int = 1024

    def plain(self) -> dict[str, Any]:
        """Return the spec as JSON."""
        return asdict(self)

    @property
    def digest(self) -> str:
        """What identifies the spec."""
        plain = self.plain()
        if self.coverage == "joint":  # as it was before there were others
            del plain["coverage"]
        return digest(plain)

    def presentations(self) -> list[Presentation]:
        """Return how each question is asked, one presentation a channel."""
        return [
            Presentation(
                channel=channel,  # type: ignore[arg-type]
                form=FORM_OF[channel],  # type: ignore[index]
                examples=self.examples,
                coverage=self.coverage,  # type: ignore[arg-type]
                warning=self.warning,
                temperature=self.temperature,
                effort=self.effort,
                answer_tokens=self.answer_tokens,
            )
            for channel in self.channels
        ]


@dataclass(frozen=True)
class Asked:
    """Positions [first, last) of one block in one mode: what the arms of a spec expand to."""

    family: str
    size: str
    variant: str
    modules: tuple[str, ...]
    mode: str
    seed: int
    number: int
    first: int
    last: int


LISTS: dict[str, tuple[str, ...]] = {
    "sizes": SIZES,
    "variants": VARIANTS,
    "modes": MODES,
    "channels": CHANNELS,
    "baselines": ("all", "none", *BASELINES),
}
BOUNDS: dict[str, tuple[float, float]] = {
    "instances": (1, 1_000_000),
    "samples": (1, 10_000),
    "seed": (0, MOST_SEED),
    "examples": (0, 20),
    "temperature": (0, 2),
    "answer_tokens": (1, 1_000_000),
}


def _shown(value: Any) -> str:
    """Return a value as a message quotes it."""
    try:
        text = repr(value)
    except ValueError:  # Python writes out no integer of thousands of digits
        return "a huge number"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _check_values(values: Mapping[str, Any], where: str) -> None:
    for name, value in values.items():
        if name in LISTS:
            if not value:
                raise RequestError(f"{where}{name}: empty; give one or more of {', '.join(LISTS[name])}")
            if unknown := [v for v in value if v not in LISTS[name]]:
                raise RequestError(f"{where}{name}: unknown {_shown(unknown[0])}; one of {', '.join(LISTS[name])}")
        if name in BOUNDS and value is not None:
            low, high = BOUNDS[name]
            if not low <= value <= high:
                field = name.replace("_", "-")
                raise RequestError(f"{where}{field}: {_shown(value)} is not between {low:g} and {high:g}")


def _family_names(wanted: tuple[str, ...], where: str) -> tuple[str, ...]:
    known = registry.modules()
    names: list[str] = []
    for name in wanted:
        if name == "all":
            names += known
        elif name in ("optimization", "numerics"):
            names += [n for n, module in known.items() if module.startswith(f"solvers.{name}.")]
        elif name in known:
            names.append(name)
        else:
            raise RequestError(
                f"{where}families: unknown {_shown(name)}; one of all, optimization, numerics, {', '.join(known)}"
            )
    if not names:
        raise RequestError(f"{where}families: empty; `probe families` lists them")
    return tuple(dict.fromkeys(names))


def _module_names(family: str, wanted: tuple[str, ...], variant: str) -> tuple[str, ...]:
    own = registry.get(family).module_names
    if variant in WITHOUT_MODULES:
        return ()
    if wanted in (("default",), ("all",)):
        return own
    return tuple(m for m in own if m in wanted)


def checked(spec: BatchSpec) -> BatchSpec:
    """Return the spec with family and baseline names spelt out. Raises RequestError naming the field that is wrong."""
    _check_values({f.name: getattr(spec, f.name) for f in fields(spec)}, "")
    if spec.effort is not None and spec.effort not in EFFORTS:
        raise RequestError(f"effort: unknown {_shown(spec.effort)}; one of {', '.join(EFFORTS)}")
    if spec.coverage not in COVERAGES:
        raise RequestError(f"coverage: unknown {_shown(spec.coverage)}; one of {', '.join(COVERAGES)}")
    arms = []
    for i, arm in enumerate(spec.arms, 1):
        where = f"arm {i}: " if len(spec.arms) > 1 else ""
        _check_values({f.name: getattr(arm, f.name) for f in fields(arm)}, where)
        families = _family_names(arm.families, where)
        offered = {m for name in families for m in registry.get(name).module_names}
        if arm.modules not in (("default",), ("none",), ("all",)) and (unknown := set(arm.modules) - offered):
            raise RequestError(
                f"{where}modules: unknown {', '.join(sorted(unknown))}; default, none, all or some of"
                f" {', '.join(sorted(offered)) or '(these families have none)'}"
            )
        if not any(mode in registry.get(name).modes for name in families for mode in arm.modes):
            raise RequestError(f"{where}modes: none of these families can be asked for {', '.join(arm.modes)}")
        for variant in arm.variants:
            offering = [registry.get(name) for name in families if variant in registry.get(name).variants]
            if not offering:
                raise RequestError(f"{where}variants: none of these families has {variant}")
            if not any(mode in family.modes_of(variant) for family in offering for mode in arm.modes):
                raise RequestError(f"{where}modes: {variant} can't be asked for {', '.join(arm.modes)}")
        arms.append(replace(arm, families=families))
    baselines = tuple(BASELINES) if "all" in spec.baselines else spec.baselines
    return replace(
        spec,
        arms=tuple(arms),
        baselines=tuple(b for b in dict.fromkeys(baselines) if b != "none"),
        channels=tuple(dict.fromkeys(spec.channels)),
    )


def shards_asked(spec: BatchSpec) -> int:
    """Return how many shards a model would have at most under a checked spec, without expanding it."""
    questions = sum(sum(1 for _ in _combinations(arm)) * (-(-arm.instances // POSITIONS)) for arm in spec.arms)
    span = min(POSITIONS, max((arm.instances for arm in spec.arms), default=0))
    return questions * (-(-spec.samples // max(1, SHARD_TRIALS // max(1, span)))) * max(1, len(spec.channels))


def expand(spec: BatchSpec) -> list[Asked]:
    """Return the questions of a checked spec, each position of each block once."""
    spans: dict[Asked, int] = {}
    for arm in spec.arms:
        for family, size, variant, mode in _combinations(arm):
            modules = _module_names(family, arm.modules, variant)
            key = Asked(family, size, variant, modules, mode, arm.seed, number=0, first=0, last=0)
            spans[key] = max(spans.get(key, 0), arm.instances)
    return [
        replace(key, number=number, last=min(POSITIONS, instances - number * POSITIONS))
        for key, instances in spans.items()
        for number in range(-(-instances // POSITIONS))
    ]


def _combinations(arm: Arm) -> Iterator[tuple[str, str, str, str]]:
    for name in arm.families:
        family = registry.get(name)
        for size in dict.fromkeys(arm.sizes):
            for variant in dict.fromkeys(arm.variants):
                for mode in dict.fromkeys(arm.modes):
                    if variant in family.variants and mode in family.modes_of(variant):
                        yield name, size, variant, mode


def sample_ranges(span: int, samples: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of samples that shards over ``span`` positions hold."""
    step = max(1, SHARD_TRIALS // span)
    for low in range(0, samples, step):
        yield low, min(samples, low + step)


# --- spec files -------------------------------------------------------------------------------------------------------

LIMITS = ("name", "concurrency", "max-calls", "max-total-tokens", "max-cost")
TEMPLATE = """\
# A batch of solver-probe. Keys are the flags of `probe run`; what stands here are the defaults.
# name = "my-study"          # the same name and spec resume; the same name with another spec is refused
models = ["all"]             # names from `probe models list`, all or none
baselines = ["all"]          # blank, random, greedy, template, exact, or none
channels = ["json"]          # text, json, tool
samples = 1                  # answers of a model to each instance
examples = 0                 # worked examples in the prompt
coverage = "joint"           # modules that each example shows: joint (all), each (one), pairs, none
warning = false              # warn that the problem may differ from a well-known one
temperature = 0.0
# effort = "medium"          # reasoning effort, where the model knows it
answer-tokens = 1024         # cap of one answer
# concurrency = 64           # calls open at once at each endpoint
# max-calls = 10000          # stop cleanly at a limit
# max-total-tokens = 5000000
# max-cost = 20.0            # USD; needs prices of the models

# Each [[arm]] is one set of instances: every combination of its lists.
[[arm]]
families = ["all"]           # names from `probe families`, all, optimization or numerics
sizes = ["s"]                # xs s m l xl
variants = ["fresh"]         # names from `probe families`
modules = ["default"]        # default, none, all, or names
modes = ["final"]            # final, trace (numerics)
instances = 20               # the first 20 indexes of the seed
seed = 7
"""
ARM_KEYS = tuple(f.name.replace("_", "-") for f in fields(Arm))
SPEC_KEYS = tuple(f.name.replace("_", "-") for f in fields(BatchSpec) if f.name != "arms")


def read_spec(path: Path, overrides: Mapping[str, Any]) -> tuple[BatchSpec, dict[str, Any]]:
    """Return (spec, limits) of a spec file: keys are flag names; ``[[arm]]`` tables override the arm's keys.

    ``overrides`` (flags) replace the file's keys, those of every arm too. The spec is checked. Raises RequestError
    naming line and field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"--spec {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise RequestError(f"--spec {path}: not a UTF-8 text file") from None
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # no TOML; an integer of thousands of digits; nested too deeply
        end = f"at end of document, line {len(text.splitlines())}"
        raise RequestError(f"--spec {path}: {str(error).replace('at end of document', end)}") from None
    try:
        flags = _dashed(overrides, "")
        merged = {**_dashed(table, ""), **flags}
        if isinstance(arms := merged.get("arm"), list) and all(isinstance(arm, dict) for arm in arms):
            merged["arm"] = [{k: v for k, v in arm.items() if k.replace("_", "-") not in flags} for arm in arms]
        spec, limits = from_table(merged)
        return checked(spec), limits
    except RequestError as error:
        raise RequestError(f"--spec {path}{_line(text, str(error))}: {error}") from None


def _line(text: str, message: str) -> str:
    """Return ", line N" of the field that a message starts with, where the file names it.

    A field of an arm is looked for in the arm's own table first, then among the keys that all arms share.
    """
    arm, field = re.match(r"(?:arm (\d+): )?([^:\s]*)", message).groups()  # type: ignore[union-attr]
    found: dict[int, int] = {}
    seen = 0
    for number, line in enumerate(text.splitlines(), 1):
        seen += _ARM.match(line) is not None
        if line.partition("=")[0].strip().replace("_", "-") == field.replace("_", "-"):
            found.setdefault(seen, number)
    wanted = [int(arm), 0] if arm else sorted(found) if field else []
    return next((f", line {found[part]}" for part in wanted if part in found), "")


_ARM = re.compile(r"\s*\[\[\s*arm\s*\]\]")


def _dashed(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a table with its keys written as flags are. Raises RequestError where one is given in both ways."""
    out: dict[str, Any] = {}
    for key, value in table.items():
        if (name := key.replace("_", "-")) in out:
            raise RequestError(f"{where}{name}: given twice, as {name} and {name.replace('-', '_')}")
        out[name] = value
    return out


def from_table(table: Mapping[str, Any]) -> tuple[BatchSpec, dict[str, Any]]:
    """Return (spec, limits) of a spec as nested keys and values. Raises RequestError."""
    plain = _dashed(table, "")
    arms = plain.pop("arm", [{}])
    if unknown := set(plain) - {*ARM_KEYS, *SPEC_KEYS, *LIMITS}:
        raise RequestError(f"{sorted(unknown)[0]}: unknown key; known: {', '.join([*ARM_KEYS, *SPEC_KEYS, *LIMITS])}")
    common = {key: value for key, value in plain.items() if key in ARM_KEYS}
    if not (isinstance(arms, list) and arms and all(isinstance(arm, dict) for arm in arms)):
        raise RequestError("arm: write each arm as a table headed [[arm]]; leave it out for one of the keys outside")
    tables = [_dashed(arm, f"arm {i}: ") for i, arm in enumerate(arms, 1)]
    for i, arm in enumerate(tables, 1):
        if unknown := set(arm) - set(ARM_KEYS):
            raise RequestError(f"arm {i}: {sorted(unknown)[0]}: unknown key of an arm; known: {', '.join(ARM_KEYS)}")
    spec = BatchSpec(
        arms=tuple(Arm(**_typed(Arm, common | arm, f"arm {i}: ")) for i, arm in enumerate(tables, 1)),
        **_typed(BatchSpec, {k: v for k, v in plain.items() if k in SPEC_KEYS}, ""),
    )
    limits = {key: value for key, value in plain.items() if key in LIMITS}
    for key, value in limits.items():
        kinds: tuple[type, ...] = {"name": (str,), "max-cost": (int, float)}.get(key, (int,))
        fits = isinstance(value, kinds) and not isinstance(value, bool)
        if not fits:
            raise RequestError(f"{key}: {_shown(value)} has the wrong type")
        if key == "name" and not value.strip():
            raise RequestError("name: empty; leave it out for a batch without a name")
        if key == "name" and len(value) > LONGEST_NAME:
            raise RequestError(f"name: longer than {LONGEST_NAME} characters; choose a shorter one")
        if key != "name" and not 0 < value <= MOST_LIMIT:
            raise RequestError(f"{key}: {_shown(value)} is not above 0 and at most {MOST_LIMIT:g}")
    return spec, limits


def _typed(kind: type[Any], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return values with the types that the fields of a dataclass ask for; a text stands for a list of names."""
    wanted = {f.name.replace("_", "-"): f for f in fields(kind)}
    out: dict[str, Any] = {}
    for key, value in values.items():
        default = wanted[key].default
        if isinstance(default, tuple):
            names = value.split(",") if isinstance(value, str) else value
            if not isinstance(names, list) or not all(isinstance(v, str) for v in names):
                raise RequestError(f"{where}{key}: {_shown(value)} is not a list of names")
            value = tuple(name.strip() for name in names)  # noqa: PLW2901
        elif isinstance(default, bool):
            if not isinstance(value, bool):
                raise RequestError(f"{where}{key}: {_shown(value)} is not true or false")
        elif isinstance(default, int):
            if not isinstance(value, int) or isinstance(value, bool):
                raise RequestError(f"{where}{key}: {_shown(value)} is not a whole number")
        elif isinstance(default, float):
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise RequestError(f"{where}{key}: {_shown(value)} is not a number")
            try:
                value = float(value)  # noqa: PLW2901
            except OverflowError:
                raise RequestError(f"{where}{key}: {_shown(value)} is too large") from None
        elif not isinstance(value, str):
            raise RequestError(f"{where}{key}: {_shown(value)} is not a text")
        out[wanted[key].name] = value
    return out
