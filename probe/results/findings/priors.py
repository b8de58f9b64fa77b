"""Claim 8: what a model remembers of a famous problem against what the altered problem says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from probe.asking.measures import POSITIONS
from probe.results.evidence import Arm, Asked, Manner, Subject
from probe.results.findings import contrasts as c
from probe.results.findings import deciding as d
from probe.results.findings.contrasts import Contrast
from solvers import registry

LEAK = 0.03  # of answers: less is no leak
FEWEST_SOLVED = 40  # perturbed twins whose original a model solves
CHANCE = ("random", "greedy")  # answers without memory; whichever equals the original's more often is the null

PRIORS = d.Claim(
    number=8,
    title="Priors override what is given",
    published="Strong parametric priors override in-context evidence; prompting alone does not fix it.",
    source="the research notes of this project; compare arXiv 2506.06485",
    supported="on perturbed twins of problems whose original a model solves, its answers equal the original's more"
    " often than answers without memory do (over models the 95 % interval of the excess lies above 0), and of this"
    " excess a warning in the prompt leaves more than half (the interval of what is left, less half of it, lies above"
    " 0)",
    refuted="the excess lies inside ±3 points (two one-sided tests at 5 %), or it does so with the warning,"
    " while it lies above 0 without",
    needs="at least 3 models that solve the original of 40 or more perturbed twins each; the same twins asked with and"
    " without the warning",
    plan="""\
# Run it twice: as it stands, and with --warning.
models = ["all"]             # at least 3 that solve most of the originals
baselines = ["all"]
channels = ["json"]

[[arm]]                      # published problems, and as they are after a change
families = ["knapsack", "assignment", "bin_packing", "tsp", "job_shop", "max_flow", "graph_coloring", "production_mix"]
sizes = ["xs", "s", "m"]
variants = ["famous", "perturbed"]
modules = ["none"]
instances = 20

[[arm]]                      # methods, and as they are after a change of the method
families = ["bisection", "newton", "jacobi", "gauss_seidel", "linear_congruential"]
sizes = ["xs", "s"]
variants = ["fresh", "perturbed"]
instances = 30
""",
    by="model,warning",
    where=("variant=perturbed", "examples=0"),
)

Place = tuple[object, int]  # (family and size, or base; number): the original that twins were made of


Leak = dict[Place, list[float]]  # by original: answers to its twins, those equal to its own, those that chance makes


def priors(arms: Sequence[Arm]) -> d.Finding:
    """Judge claim 8 within models; twins of one original are one cluster."""
    by_model: dict[Subject, dict[Manner, list[Arm]]] = {}
    for arm in arms:
        if arm.manner is not None and not arm.manner.examples and arm.mode == "final":
            by_model.setdefault(arm.subject, {}).setdefault(arm.manner, []).append(arm)
    baselines = [d.of_baseline(arms, name) for name in CHANCE]
    leaks = {}
    for subject in sorted(by_model, key=c.by_size):
        if (found := _best(by_model[subject], baselines)) is not None:
            leaks[subject] = found
    places = {place: i for i, place in enumerate(dict.fromkeys(place for leak, _ in leaks.values() for place in leak))}
    left, rows, answers = [], [], 0
    excesses: list[Contrast] = []
    warned: list[Contrast] = []
    kept: list[Contrast] = []
    for subject, (leak, with_warning) in leaks.items():
        n, y, null = _arrays(leak, places)
        own = c.ratio(n, y - null)
        why = d.lost(arm for same in by_model[subject].values() for arm in same if arm.variant == "perturbed")
        if own is None or n.sum() < FEWEST_SOLVED:
            why = f"solves {np.count_nonzero(n)} originals, of {n.sum():.0f} perturbed twins in all"
        if own is None or why is not None:
            left.append(d.Excluded(subject.name, why or ""))
            continue
        answers = max(answers, int(n.sum()))
        excesses.append(own)
        m, warned_y, warned_null = _arrays(with_warning, places)
        under = c.ratio(m, warned_y - warned_null)
        rest = c.ratio(*_rest(n, y, null, m, warned_y))
        warned += [under] if under is not None else []
        kept += [rest] if rest is not None else []
        shares = float(y.sum() / n.sum()), float(null.sum() / n.sum())
        rows.append(
            (
                subject.name,
                int(n.sum()),
                *shares,
                own.estimate("excess", LEAK),
                None if under is None else under.estimate("excess with the warning", LEAK),
                None if rest is None else rest.estimate("left by the warning, less half"),
            )
        )
    excess = c.mean("answers equal to the original's beyond chance, over models", excesses, LEAK)
    under_ = c.mean("the same with the warning", warned, LEAK)
    rest_ = c.mean("what the warning leaves, less half of the excess", kept)
    verdict, reason, test, p = _priors(len(excesses), excess, under_, rest_)
    columns = ("model", "twins of solved originals", "equal to the original's", "by chance")
    effects = ("excess", "excess with warning", "left by the warning, less half")
    return d.Finding(
        claim=PRIORS,
        verdict=verdict,
        reason=reason,
        effect=excess,
        estimates=tuple(e for e in (under_, rest_) if e is not None),
        models=len(excesses),
        instances=answers,
        excluded=tuple(left),
        parts=(d.Part("Models", (*columns, *effects), tuple(rows)),) if rows else (),
        p=p,
        test=test,
    )


def _priors(
    models: int, excess: d.Estimate | None, under: d.Estimate | None, rest: d.Estimate | None
) -> tuple[d.Verdict, str, str | None, float | None]:
    """Return (verdict, reason, test, p) by the rule of the claim."""
    if models < d.FEWEST_COMPARED or excess is None or excess.p is None:
        return "undecided", f"{models} models solve enough originals; it takes {d.FEWEST_COMPARED}", None, None
    if excess.within:
        return "refuted", "answers equal the original's no more often than by chance", "no leak", excess.p_within
    if not excess.above():
        return "undecided", "not shown: that answers leak from memory, nor that they do not", "leak", excess.p
    if under is None or under.p is None:
        return "undecided", "answers leak from memory; the warning was not tried on enough models", "leak", excess.p
    if under.within:
        return "refuted", "answers leak from memory, and a warning removes it", "no leak with warning", under.p_within
    if rest is not None and rest.above() and rest.p is not None:
        p = max(excess.p, rest.p)
        return "supported", "answers leak from memory, and a warning leaves more than half of it", "leak and rest", p
    return "undecided", "answers leak from memory; not shown: what a warning leaves of it", "leak", excess.p


def _best(
    manners: Mapping[Manner, Sequence[Arm]], baselines: Sequence[Mapping[Asked, Arm]]
) -> tuple[Leak, Leak] | None:
    """Return a model's leak without and with the warning, in the manner in which it answered most; None without twins.

    Where some twins were asked with the warning, only those count that were asked both ways.
    """
    found = []
    for manner, own in manners.items():
        twins = {arm.asked: arm for arm in own if arm.variant == "perturbed"}
        if manner.warning or not twins:
            continue
        warned = {arm.asked: arm for arm in manners.get(replace(manner, warning=True), ()) if arm.asked in twins}
        solved = _solved(own)
        plain = [twins[question] for question in warned or twins]
        found.append((_leak(plain, solved, baselines), _leak(list(warned.values()), solved, baselines)))
    return max(found, key=lambda pair: (bool(pair[1]), len(pair[0])), default=None)


def _solved(own: Iterable[Arm]) -> set[Place]:
    """Return the originals that a model solves in at least half of its answers."""
    sums: dict[Place, list[int]] = {}
    for arm in own:
        of_twins = "famous" if arm.kind == "optimization" else "fresh"
        counts = arm.counts.get("optimal" if arm.kind == "optimization" else "feasible", d.NONE)
        if arm.variant == of_twins:
            for i, (n, y) in enumerate(counts.tolist()):
                if n:
                    one = sums.setdefault(_place(arm, i), [0, 0])
                    one[0], one[1] = one[0] + n, one[1] + y
    return {place for place, (n, y) in sums.items() if 2 * y >= n}


def _place(arm: Arm, position: int) -> Place:
    """Return the original at a position: a published one (they take turns), or the base with the unaltered method."""
    if arm.kind != "optimization":
        return arm.base, position
    base = arm.base
    return (base.family, base.size), (base.number * POSITIONS + position) % max(1, _published(base.family, base.size))


@cache
def _published(family: str, size: str) -> int:
    """Return how many published problems of this size a family knows."""
    return sum(one.size == size for one in registry.get(family).famous()) if family in registry.modules() else 0


def _leak(twins: Sequence[Arm], solved: set[Place], baselines: Sequence[Mapping[Asked, Arm]]) -> Leak:
    """Return the answers to twins of solved originals, by original."""
    sums: Leak = {}
    for arm in twins:
        counts = arm.counts.get("recalled", d.NONE).tolist()
        null = max((_rates(of.get(arm.asked)) for of in baselines), key=np.sum).tolist()
        for i, ((n, y), by_chance) in enumerate(zip(counts, null, strict=True)):
            if n and (place := _place(arm, i)) in solved:
                one = sums.setdefault(place, [0.0, 0.0, 0.0])
                one[0], one[1], one[2] = one[0] + n, one[1] + y, one[2] + n * by_chance
    return sums


def _arrays(leak: Leak, places: Mapping[Place, int]) -> d.Floats:
    """Return answers, those equal to the original's, and those that chance makes, each by original of the study."""
    out = np.zeros((3, len(places)))
    for place, counts in leak.items():
        if place in places:
            out[:, places[place]] = counts
    return out


def _rates(arm: Arm | None) -> d.Floats:
    """Return at each position how often a baseline's answer equals the original's; 0 without answers."""
    counts = d.NONE if arm is None else arm.counts.get("recalled", d.NONE)
    return np.asarray(counts[:, 1] / np.maximum(counts[:, 0], 1))


def _rest(n: d.Floats, y: d.Floats, null: d.Floats, m: d.Floats, warned: d.Floats) -> tuple[d.Floats, d.Floats]:
    """Return the excess with the warning less half of that without, as (n, total) by original.

    Above 0 the warning moves less than half.
    """
    both, (plain, under, by_chance) = c.matched([n, m, n], [y, warned, null])
    return both, under - by_chance - (plain - by_chance) / 2
