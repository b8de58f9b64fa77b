"""The golden corpus: replies score what they scored, instances and prompts are what they were, until a version says so.

Stored results carry these versions, and tables never mix two: a change without a new version would mix them unseen.
"""

from collections import Counter

import pytest

from probe.asking.judging import JUDGE_VERSION, OUTCOMES
from solvers import registry
from solvers.constrained import Optimization
from tests import golden

REPLIES = golden.committed_replies()
INSTANCES = golden.committed_instances()
REWRITE = "then rewrite the corpus with `python -m tests.golden`"


@pytest.mark.parametrize("entry", REPLIES, ids=[f"{e['family']}-{i}" for i, e in enumerate(REPLIES, 1)])
def test_a_reply_scores_what_it_always_scored(entry):
    """Outcome, satisfied and failed constraints, objective and repairs of a committed reply are unchanged."""
    assert golden.judged(entry) == entry, (
        f"if reading or checking changed on purpose, raise JUDGE_VERSION (now {JUDGE_VERSION}), {REWRITE}; if the"
        f" draw of {entry['family']} changed, raise its version instead, {REWRITE}"
    )


@pytest.mark.parametrize("name", registry.modules())
def test_instances_and_prompts_are_what_they_always_were(name):
    """Key, statement, data and exact answer of each size, and the text around the statement, are unchanged."""
    now = golden.fingerprint(name)
    assert name in INSTANCES, f"a new family: {REWRITE.removeprefix('then ')}"
    assert now["sizes"] == INSTANCES[name]["sizes"], (
        f"if draw or statement of {name} changed on purpose, raise its version (now {now['version']}), {REWRITE}"
    )
    assert now["frame"] == INSTANCES[name]["frame"], (
        f"if what a prompt says around the statement changed on purpose, raise TEMPLATE (now {now['template']}) in"
        f" probe/asking/presentation.py, {REWRITE}"
    )
    assert now == INSTANCES[name], f"a version was raised: {REWRITE.removeprefix('then ')}"


def test_the_corpus_covers_every_family_mode_and_outcome():
    """What a reply can come to is all there, and every family and mode has answers that are right and wrong."""
    outcomes = Counter(entry["outcome"] for entry in REPLIES)
    assert set(outcomes) == set(OUTCOMES) - {"transport_error"}
    for name in registry.modules():
        for mode in registry.get(name).modes:
            here = {e["outcome"] for e in REPLIES if (e["family"], e["mode"]) == (name, mode)}
            top = "optimal" if isinstance(registry.get(name), Optimization) else "feasible"
            assert {top, "infeasible", "unparsed"} <= here, (name, mode)


@pytest.mark.parametrize("name", registry.modules())
def test_the_corpus_breaks_every_kind_of_constraint(name):
    """Of each kind of each family, a well-formed answer violates one: a check that turned lenient is seen."""
    read = [e for e in REPLIES if e["family"] == name and e["outcome"] == "infeasible"]
    broken = {id_.rpartition(".")[0] for entry in read for id_ in entry["failed"]}
    assert broken == set(registry.get(name).constraint_kinds)


def test_a_change_without_a_new_version_is_not_written():
    """The script that rewrites the corpus names what has to be raised first, and lets a raised version pass."""
    entry, name = REPLIES[0], REPLIES[0]["family"]
    moved = entry | {"satisfied": entry["satisfied"] - 1}
    assert [line.split(":")[0] for line in golden.unversioned([moved], INSTANCES)] == ["JUDGE_VERSION"]
    assert not golden.unversioned([moved | {"judge_version": JUDGE_VERSION + 1}], INSTANCES)
    changed = INSTANCES[name] | {
        "sizes": INSTANCES[name]["sizes"] | {"xs": {"key": "", "statement": "", "document": ""}}
    }
    assert golden.unversioned([], {name: changed}) == [f"version of {name}: document, key, statement"]
    assert not golden.unversioned([moved], {name: changed | {"version": changed["version"] + 1}})
    assert len(golden.unversioned([], {name: INSTANCES[name] | {"frame": ""}})) == 1
    assert not golden.unversioned(REPLIES, INSTANCES)
