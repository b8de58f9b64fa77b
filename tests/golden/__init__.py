"""The golden corpus: what replies score and what instances are, committed, so that no change of either goes unseen.

`replies.jsonl`: replies with their verdicts. `instances.json`: one instance of each family and size, as digests.
`python -m tests.golden` writes both.
"""

import json
from pathlib import Path
from typing import Any

from probe.asking.judging import JUDGE_VERSION
from probe.asking.posed import Posed
from probe.asking.presentation import CHANNELS, TEMPLATE, Presentation, prompt
from probe.judging_files import judge_lines
from solvers import registry
from solvers.keys import digest
from solvers.problem import Family, Instance

REPLIES = Path(__file__).parent / "replies.jsonl"
INSTANCES = Path(__file__).parent / "instances.json"
SEED = 7
GIVEN = ("family", "size", "seed", "index", "mode", "reply", "finish_reason")
SCORED = ("outcome", "satisfied", "constraints", "failed", "objective", "repairs")


def committed_replies() -> list[dict[str, Any]]:
    """Return the entries: what is given, ``judge_version``, and what it scores."""
    return [json.loads(line) for line in REPLIES.read_text("utf-8").splitlines()] if REPLIES.exists() else []


def committed_instances() -> dict[str, Any]:
    """Return the committed fingerprints by family."""
    return json.loads(INSTANCES.read_text("utf-8")) if INSTANCES.exists() else {}


def judged(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what an entry's reply scores now, with what is given and the judge's version."""
    given = {name: entry[name] for name in GIVEN}
    (verdict,) = judge_lines([json.dumps(given)], "golden")
    return given | {"judge_version": JUDGE_VERSION} | {name: verdict[name] for name in SCORED}


def posed_at(family: Family[Any, Any], size: str, index: int, mode: Any) -> Posed:
    """Return an instance of the corpus as it is asked."""
    found, _ = family.instance(size, SEED, index)
    assert isinstance(found, Instance)
    return Posed(found, mode)


def fingerprint(name: str) -> dict[str, Any]:
    """Return what identifies a family's instances and prompts now.

    By size the key, the digest of the statements and that of the stored document without the seconds of its proof;
    ``frame``: the digest of everything that a prompt says around the statement.
    """
    family = registry.get(name)
    sizes = {}
    for size in family.sizes:
        asked = [posed_at(family, size, 0, mode) for mode in family.modes]
        document = family.dump(asked[0].instance)
        del document["proof"]["seconds"]
        sizes[size] = {
            "key": asked[0].instance.key,
            "statement": digest([posed.statement for posed in asked]),
            "document": digest(document),
        }
    frames = []
    for posed in (posed_at(family, "xs", 0, mode) for mode in family.modes):
        for channel in CHANNELS:
            frames.append(prompt(posed, Presentation(channel=channel, warning=True)).replace(posed.statement, ""))
    return {"version": family.version, "sizes": sizes, "template": TEMPLATE, "frame": digest(frames)}


def unversioned(replies: list[dict[str, Any]], instances: dict[str, Any]) -> list[str]:
    """Return what differs from the committed corpus though the version that covers it is the same."""
    out = []
    known = {tuple(entry[name] for name in GIVEN): entry for entry in committed_replies()}
    for new in replies:
        old = known.get(tuple(new[name] for name in GIVEN))
        # Of another instance the same reply may well score something else.
        same = new["family"] in instances and _same_instances(new["family"], instances)
        if same and old is not None and old["judge_version"] == new["judge_version"] and old != new:
            changed = ", ".join(f"{name} {old[name]} -> {new[name]}" for name in SCORED if old[name] != new[name])
            out.append(f"JUDGE_VERSION: {new['family']} {new['size']}/{new['index']} {new['reply'][:60]!r}: {changed}")
    for name, new in instances.items():
        old = committed_instances().get(name)
        if old is not None and old["version"] == new["version"] and old["sizes"] != new["sizes"]:
            parts = {p for size in new["sizes"] for p, v in new["sizes"][size].items() if old["sizes"][size][p] != v}
            out.append(f"version of {name}: {', '.join(sorted(parts))}")
        same = old is not None and (old["template"], old["version"]) == (new["template"], new["version"])
        if same and old["frame"] != new["frame"]:
            out.append(f"TEMPLATE of the presentation: the prompts of {name} say something else around the statement")
    return out


def _same_instances(name: str, instances: dict[str, Any]) -> bool:
    return bool(committed_instances().get(name, {}).get("sizes") == instances[name]["sizes"])
