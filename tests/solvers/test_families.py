"""Every registered family keeps what the shared suite asks: a family is tested by being in the folder."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from solvers import registry
from solvers.constrained import Optimization
from solvers.keys import Stream
from solvers.problem import Instance, examine
from solvers.procedure import Procedure
from tests.solvers import suite
from tests.solvers.specimens import arms, where
from tests.solvers.suite_procedures import trace_is_what_the_steps_give

ROOT = Path(__file__).parents[2]
NAMES = list(registry.modules())
PROFILE = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=10,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def cases() -> Iterator[Any]:
    """Yield each registered family with each property of its kind."""
    for name in registry.modules():
        for holds in suite.properties(registry.get(name)):
            yield pytest.param(name, holds, id=f"{name}-{holds.__name__}")


@pytest.mark.parametrize(("name", "holds"), list(cases()))
def test_family(name: str, holds: Any) -> None:
    """The property holds for the family (each is described where it is defined)."""
    holds(registry.get(name))


def test_every_kind_of_family_is_there() -> None:
    """The suite runs over something: at least one family of each kind, under its own name."""
    assert {family.kind for family in registry.families()} == {"optimization", "numerics"}
    assert [family.name for family in registry.families()] == NAMES


@pytest.fixture(scope="session")
def elsewhere() -> Any:
    """What another process with another hash seed makes, by family."""
    program = (
        "import json; from solvers import registry; from tests.solvers.suite import fingerprints;"
        "print(json.dumps({name: fingerprints(registry.get(name)) for name in registry.modules()}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_another_process_makes_the_same_instances(elsewhere: Any) -> None:
    """The same key gives the same instance, byte for byte, in another process with another hash seed."""
    for name in NAMES:
        assert elsewhere[name] == suite.fingerprints(registry.get(name)), name


@pytest.mark.parametrize("name", NAMES)
def test_any_instance_holds_together(name: str) -> None:
    """Whatever seed, index, modules and answer: judge and solver agree, and answers survive being written."""
    family = registry.get(name)

    @PROFILE
    @given(
        size=st.sampled_from(["xs", "s"]),
        seed=st.integers(0, 2**40),
        index=st.integers(0, 2**20),
        modules=st.sampled_from(arms(family)),
        word=st.text(max_size=8),
        steps=st.integers(0, 6),
    )
    def holds(size: str, seed: int, index: int, modules: tuple[str, ...], word: str, steps: int) -> None:
        instance, _ = family.instance(size, seed, index, modules)
        if not isinstance(instance, Instance):
            return
        for mode in family.modes:
            shape, constraints = family.shape(instance, mode), family.constraints(instance, mode)
            stream = Stream(word)
            answer = family.exact(instance, mode)
            assert all(check.satisfied for check in examine(constraints, answer)), where(family, instance)
            for _ in range(steps):
                answer = shape.mutated(answer, stream)
            for written in (answer, shape.random(stream)):
                value = json.loads(json.dumps(shape.write(written, instance.names)))
                assert shape.parse(value, instance.names) == written, where(family, instance, value)
        suite.exact_passes_and_is_proven(family, [instance])
        if isinstance(family, Optimization):
            suite.whole_instances_agree(family, [instance])
            suite.objective_agrees(family, [instance])
        elif isinstance(family, Procedure):
            trace_is_what_the_steps_give(family, [instance])

    holds()
