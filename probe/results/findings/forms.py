"""Claim 11: whether what small models gain from negative examples is the form of their answers or what stands in it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probe.results.evidence import Arm, Subject
from probe.results.findings import contrasts as c
from probe.results.findings import deciding as d
from probe.results.statistics import FEWEST_CLUSTERS, ratio

GAIN = 0.03  # less is none
MATCH = 0.05  # within which the tuned model matches the large one
LARGE = 5  # times as many parameters
BEFORE = ("base", "sft")
AFTER = "dpo"

FORMS = d.Claim(
    number=11,
    title="Negative examples and rigid formats",
    published="Small models trained on explicit negative examples match large ones on structured tasks; rigid output"
    " formats are where they fail.",
    source="arXiv 2410.18890",
    supported="of each pair of the same weights before and after such training: the gain in satisfaction lies above 0,"
    " the part of it that valid formats give exceeds the part that better contents give (95 % intervals), and the tuned"
    " model lies inside ±5 points of one at least 5 times as large (two one-sided tests at 5 %)",
    refuted="of each pair: the gain lies inside ±3 points (two one-sided tests at 5 %) or its interval below 0, or"
    " contents give more of it than formats (95 % interval), or the interval of tuned minus large lies below -5 points",
    needs="a model before (--training base or sft) and after (--training dpo) of the same --lineage and --params, and"
    " one at least 5 times as large, asked the same questions in the same channels",
    plan="""\
models = ["all"]             # a small one before and after training on negative examples, and a large one
baselines = ["all"]
channels = ["text", "json", "tool"]

[[arm]]
families = ["knapsack", "assignment", "graph_coloring", "production_mix"]
sizes = ["xs", "s"]
instances = 40
""",
    by="model,training,channel",
    where=("variant=fresh", "mode=final", "examples=0", "warning=false"),
)


@dataclass(frozen=True)
class Judged:
    """A pair of the same weights before and after training, and the large model beside it."""

    gain: d.Estimate
    of_format: d.Estimate
    of_content: d.Estimate
    more: d.Estimate  # of_format - of_content
    match: d.Estimate | None  # after - large
    verdict: d.Verdict
    reason: str
    p: float | None


def forms(arms: Sequence[Arm]) -> d.Finding:
    """Judge claim 11 by pairs of models before and after training; always show formats and contents by channel."""
    own = d.chosen(arms, d.plain, lambda arm: arm.mode == "final")
    rows, judged, left, instances = [], [], [], 0
    for before, after, large in _pairs(own):
        trio = {s for s in (before, after, large) if s is not None}
        of, _ = d.panel([arm for arm in own if arm.subject in trio])
        found = None
        if trio == of.keys() and not any(d.lost(arms) for arms in of.values()):
            found = _judge(of, before, after, large)
        if found is None:
            left.append(d.Excluded(after.name, f"not asked the same questions as {before.name} and the large model"))
            continue
        judged.append(found)
        instances = max(instances, int(np.count_nonzero(d.counted(of[after], "constraints")[0])))
        names = (before.name, after.name, None if large is None else large.name)
        rows.append((*names, found.gain, found.of_format, found.of_content, found.match, found.verdict))
    verdict, reason = _together(judged)
    columns = ("before", "after", "large", "gain", "by format", "by content", "after minus large", "verdict")
    parts = [d.Part("Before and after", columns, tuple(rows))] if rows else []
    first = judged[0] if judged else None
    effect = d.over_models("gain by format minus gain by content, over pairs", [one.more for one in judged])
    p = [one.p for one in judged if one.p is not None]
    return d.Finding(
        claim=FORMS,
        verdict=verdict,
        reason=reason,
        effect=first.more if first is not None and len(judged) == 1 else effect,
        estimates=(first.gain, first.of_format, first.of_content) if first is not None and len(judged) == 1 else (),
        models=len({name for row in rows for name in row[:3] if name is not None}),
        instances=instances,
        excluded=tuple(left),
        parts=(*parts, _by_channel(own)),
        p=max(p, default=None),
        test="the largest p of the pairs" if p else None,
    )


def _pairs(own: Sequence[Arm]) -> list[tuple[Subject, Subject, Subject | None]]:
    """Return (before, after, the largest model that is large beside it) of the same weights."""
    subjects = sorted({arm.subject for arm in own}, key=lambda s: s.id)
    out = []
    for after in subjects:
        if after.training != AFTER or after.lineage is None or after.params is None:
            continue
        same = [
            s for s in subjects if (s.lineage, s.params, s.reasoning) == (after.lineage, after.params, after.reasoning)
        ]
        before = max(
            (s for s in same if s.training in BEFORE), key=lambda s: BEFORE.index(s.training or ""), default=None
        )
        large = max((s for s in subjects if (s.params or 0) >= LARGE * after.params), key=_size, default=None)
        if before is not None:
            out.append((before, after, large))
    return out


def _size(subject: Subject) -> int:
    return subject.params or 0


def _judge(of: dict[Subject, list[Arm]], before: Subject, after: Subject, large: Subject | None) -> Judged | None:
    """Return a pair judged by the rule of the claim, over instances; None where they share too few."""
    counts = [_counts(of[s]) for s in (before, after)]
    split = _split(*counts)
    if split is None:
        return None
    gain, of_format, of_content, more = split
    match = None
    if large is not None:
        (n, _, y), (n_2, _, y_2) = counts[1], _counts(of[large])
        both, (y, y_2) = c.matched([n, n_2], [y, y_2])
        found = c.ratio(both, y - y_2)
        match = None if found is None else found.estimate("after minus large", MATCH)
    verdict: d.Verdict = "undecided"
    p = None
    if gain.within:
        verdict, reason, p = "refuted", "the training gained nothing beyond the margin", gain.p_within
    elif gain.below():
        verdict, reason, p = "refuted", "the training made answers worse", gain.p
    elif match is not None and match.below(-MATCH):
        verdict, reason, p = "refuted", "the tuned model does not match the large one", match.p_beyond
    elif not gain.above():
        reason = "not shown: that the training gained anything, nor that it did not"
    elif more.below():
        verdict, reason, p = "refuted", "the gain lies in the contents more than in the format", more.p
    elif more.above() and match is not None and match.within:
        tests = (gain.p or 0, more.p or 0, match.p_within or 0)
        verdict, reason, p = (
            "supported",
            "the gain lies in the format, and the tuned model matches the large",
            max(tests),
        )
    elif match is None:
        reason = "no large model was asked the same"
    else:
        reason = "not shown: where the gain lies, or that the tuned model matches the large one"
    return Judged(gain, of_format, of_content, more, match, verdict, reason, p)


def _together(judged: Sequence[Judged]) -> tuple[d.Verdict, str]:
    if not judged:
        return "undecided", "no pair of the same weights before and after training on negative examples was asked"
    if len({one.verdict for one in judged}) > 1:
        return "undecided", "pairs differ: " + "; ".join(dict.fromkeys(one.reason for one in judged))
    return judged[0].verdict, "; ".join(dict.fromkeys(one.reason for one in judged))


Counted = tuple[d.Floats, d.Floats, d.Floats]  # by instance: constraints asked, those in valid answers, those satisfied


def _counts(arms: Sequence[Arm]) -> Counted:
    n, y = d.counted(arms, "constraints")
    return n, d.counted(arms, "wellformed")[0], y


def _split(before: Counted, after: Counted) -> tuple[d.Estimate, d.Estimate, d.Estimate, d.Estimate] | None:
    """Return the gain in satisfaction, its parts by format and by content, and the first less the second.

    Satisfaction = (share in valid answers) x (share satisfied of these); a difference of products is split by giving
    each factor the other's mean (Kitagawa 1955). Errors by linearising over instances. Where no answer was valid its
    contents are unknown and taken as those of the other side. None below 5 instances, or where nothing was valid.
    """
    both = (before[0] > 0) & (after[0] > 0)
    (n, w, y), (n_2, w_2, y_2) = (tuple(a[both] for a in side) for side in (before, after))
    clusters = int(np.count_nonzero(both))
    if clusters < FEWEST_CLUSTERS or not (w.any() or w_2.any()):
        return None
    valid, valid_2 = w.sum() / n.sum(), w_2.sum() / n_2.sum()
    right_2 = y_2.sum() / w_2.sum() if w_2.any() else y.sum() / w.sum()
    right = y.sum() / w.sum() if w.any() else right_2
    of_valid, of_valid_2 = (w - valid * n) / n.sum(), (w_2 - valid_2 * n_2) / n_2.sum()
    of_right, of_right_2 = (y - right * w) / max(w.sum(), 1), (y_2 - right_2 * w_2) / max(w_2.sum(), 1)
    by_format = (valid_2 - valid) * (right + right_2) / 2
    by_content = (right_2 - right) * (valid + valid_2) / 2
    moves_format = (right + right_2) / 2 * (of_valid_2 - of_valid) + (valid_2 - valid) / 2 * (of_right + of_right_2)
    moves_content = (valid + valid_2) / 2 * (of_right_2 - of_right) + (right_2 - right) / 2 * (of_valid + of_valid_2)

    def made(what: str, value: float, moves: d.Floats, margin: float | None = None) -> d.Estimate:
        error = math.sqrt(float(moves @ moves) * clusters / (clusters - 1))
        return d.estimate(what, value, error, clusters - 1, margin=margin)

    return (
        made("gain in satisfaction", by_format + by_content, moves_format + moves_content, GAIN),
        made("gain by format", by_format, moves_format),
        made("gain by content", by_content, moves_content),
        made("gain by format minus gain by content", by_format - by_content, moves_format - moves_content),
    )


def _by_channel(own: Sequence[Arm]) -> d.Part:
    """Return the table of formats and contents of every model in every channel."""
    groups: dict[tuple[str, str], list[Arm]] = {}
    for arm in own:
        if arm.manner is not None:
            groups.setdefault((arm.subject.name, arm.manner.channel), []).append(arm)
    rows = []
    for (name, channel), arms in sorted(groups.items()):
        n, valid, y = _counts(arms)
        rates = [ratio(n, valid), ratio(valid, y), ratio(n, y)]
        rows.append((name, channel, *(None if rate is None else d.of_rate("", rate) for rate in rates)))
    columns = ("model", "channel", "valid format", "satisfied given a valid format", "satisfied")
    return d.Part("Formats and contents by channel", columns, tuple(rows))
