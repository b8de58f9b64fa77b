"""The family that CONTRIBUTING.md walks through is a sound one: the shared suite holds for it as it is printed."""

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from solvers import registry
from solvers.problem import Family
from tests.solvers import suite
from tests.solvers.test_planted_bugs import fails, post_nothing, with_faces

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
SOURCE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0]


@pytest.fixture(scope="module")
def family(tmp_path_factory: Any) -> Any:
    """The family, imported from a file that holds what is printed."""
    file = tmp_path_factory.mktemp("family") / "talks.py"
    file.write_text(SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("talks", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["talks"] = module
    spec.loader.exec_module(module)
    yield module.Talks()
    del sys.modules["talks"]


@pytest.mark.parametrize("holds", [pytest.param(p, id=p.__name__) for p in suite.properties(registry.get("knapsack"))])
def test_the_printed_family_is_proven_by_the_shared_suite(family: Family[Any, Any], holds: Any) -> None:
    """Each property of an optimization family holds for it."""
    holds(family)


def test_a_bug_in_the_printed_family_would_be_seen(family: Any) -> None:
    """The suite looks at it: a constraint that is not posted is exposed."""
    assert fails(with_faces(family, "attention", post_nothing), suite.faces_agree, None, ["attention"])
