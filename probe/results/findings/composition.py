"""Claims about what a model makes of parts put together: 1 composition, 2 modularity, 3 binding, 5 novelty and size.

All contrasts are paired: the same base instances on both sides and the same constraint kinds counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from probe.asking.presentation import module_sets
from probe.results.evidence import Arm, Asked, Base, Subject
from probe.results.findings import contrasts as c
from probe.results.findings import deciding as d
from probe.results.findings.contrasts import Contrast, Floats
from probe.results.statistics import FEWEST_CELL, VarianceShares, holm, paired_difference, variance_shares
from solvers.problem import SIZES
from solvers.variants import EXTRA

ALIKE = 0.05  # within which kinds asked together and alone are satisfied alike, and a module moves no other kind
NO_DROP = 0.03  # per doubling of the entities
FEWEST_COMPARED = 3  # models; below, no claim about networks is supported
FLOOR = "not told apart from random answers: there is nothing to lose"
Entry = tuple[str, str, str]  # family, kind measured, module added


def _fresh(arm: Arm) -> bool:
    return arm.variant == "fresh" and arm.kind == "optimization"


def _plainly(arm: Arm) -> bool:
    return arm.manner is not None and not arm.manner.warning and not arm.manner.examples


def _unfit(contrast: Contrast | None, above: Contrast | None) -> str | None:
    """Return why a model's contrast doesn't count, None where it does; ``above``: its level less that of chance."""
    if contrast is None or above is None or contrast.instances < d.FEWEST_INSTANCES:
        return f"below {d.FEWEST_INSTANCES} instances answered on all sides, and by random answers"
    return None if above.low > 0 else FLOOR


# --- 1: composition ---------------------------------------------------------------------------------------------------

COVERED = ("joint", "pairs")  # what worked examples show of modules that are asked together
TOGETHER = "together minus alone"
SHOWN = {"none": "no module", "each": "each module", "covered": "modules together"}

COMPOSITION = d.Claim(
    number=1,
    title="Composition by scaling",
    published="Plain networks reach compositional generalization by data and model scaling alone, if training covers"
    " the combinations of task modules.",
    source="the claims under test, 1",
    supported="with worked examples that show modules together, satisfaction of constraint kinds asked together minus"
    " alone rises with size (the 95 % interval of its slope lies above 0) and lies inside ±5 points at the largest"
    " model (two one-sided tests at 5 %)",
    refuted="with such examples, its 95 % interval at the largest model lies below -5 points",
    needs="at least 6 models of known size over 1.5 decades of parameters that satisfy kinds asked alone more often"
    " than random answers do, each asked modules alone and together with examples that show each module, modules"
    " together, and none",
    plan="""\
models = ["all"]             # at least 6 over 1.5 decades of parameters
baselines = ["all"]
channels = ["json"]
examples = 3
coverage = "pairs"           # once more with "each", and once more with "none"

[[arm]]
families = ["knapsack"]
modules = ["conflict"]
sizes = ["xs", "s"]
instances = 50

[[arm]]
families = ["knapsack"]
modules = ["requires"]
sizes = ["xs", "s"]
instances = 50

[[arm]]
families = ["knapsack"]
modules = ["conflict", "requires"]
sizes = ["xs", "s"]
instances = 50
""",
    by="model,modules,coverage,examples",
    where=("kind=optimization", "variant=fresh"),
)


def composition(arms: Sequence[Arm]) -> d.Finding:
    """Judge claim 1 by kinds that were asked together and alone, on the same instances."""
    of, left = c.common_sets(d.chosen(arms, _fresh, _shows), _together_and_alone)
    random = d.of_baseline(arms)
    places = c.places(of)
    main, chance, rows = dict[Subject, Contrast](), [], []
    for subject in sorted(of, key=c.by_size):
        gaps = {name: _gap([s for s in of[subject] if _coverage(s[0]) == name], random, places) for name in SHOWN}
        gap, above, guessed = gaps["covered"]
        missing = [words for name, words in SHOWN.items() if gaps[name][0] is None]
        why = f"not asked with examples that show {missing[0]}" if missing else _unfit(gap, above) or c.unsized(subject)
        if why is None and gap is not None and guessed is not None:
            main[subject] = gap
            chance.append(guessed)
        else:
            left.append(d.Excluded(subject.name, why or FLOOR))
        rows.append(
            (
                subject.name,
                subject.params,
                *(one.estimate(TOGETHER) if one else None for one, _, _ in gaps.values()),
            )
        )
    found = c.line(TOGETHER, main, ALIKE)
    verdict, reason, test, p = _composed(c.too_few(main), found)
    by_chance = c.mean("random, kinds asked alone", chance, unit="share")
    columns = ("model", "parameters", *(f"examples show {words}" for words in SHOWN.values()))
    return d.Finding(
        claim=COMPOSITION,
        verdict=verdict,
        reason=reason,
        effect=found.large if found else None,
        estimates=(found.slope, found.small) if found else (),
        models=len(main),
        instances=max((one.instances for one in main.values()), default=0),
        excluded=tuple(left),
        baselines=(by_chance,) if by_chance else (),
        parts=(d.Part("Together minus alone", columns, tuple(rows)),),
        p=p,
        test=test,
    )


def _composed(few: str | None, found: c.Line | None) -> tuple[d.Verdict, str, str | None, float | None]:
    if few is not None or found is None:
        return "undecided", few or "no line over size can be fitted", None, None
    if found.large.below(-ALIKE):
        reason = "kinds asked together are satisfied less often than alone by more than 5 points at the largest model"
        return "refuted", reason, "at the largest model, beyond the margin", found.large.p_beyond
    shrinks, ends = found.slope.above() and found.small.value < 0, found.large.within
    p = max(found.slope.p or 1.0, found.large.p_within or 1.0)
    test = "the gap shrinks, and is inside the margin at the largest model: the larger p"
    if shrinks and ends:
        return "supported", "the gap between together and alone shrinks over size and ends inside 5 points", test, p
    if ends:
        return (
            "undecided",
            "together and alone differ by less than 5 points, but not shown to shrink over size",
            test,
            p,
        )
    return "undecided", "not shown where the gap between together and alone ends at the largest model", test, p


def _shows(arm: Arm) -> bool:
    """Return whether there are enough examples to show all that their coverage promises."""
    if arm.manner is None or arm.manner.warning:
        return False
    covers = module_sets(tuple(sorted(arm.modules)), arm.manner.coverage)  # type: ignore[arg-type]
    return not arm.manner.examples or arm.manner.examples >= len(covers)


def _coverage(arm: Arm) -> str:
    if arm.manner is None or not arm.manner.examples:
        return "none"
    return "covered" if arm.manner.coverage in COVERED else arm.manner.coverage


def _together_and_alone(twins: c.Twins) -> c.Sets:
    """Return each arm of several modules with each arm of one of them."""
    together = [arm for arm in twins.values() if len(arm.modules) > 1]
    alone = [arm for arm in twins.values() if len(arm.modules) == 1]
    return [(joint, one) for joint in together for one in alone if one.modules < joint.modules]


def _gap(
    sets: c.Sets, random: Mapping[Asked, Arm], places: c.Places
) -> tuple[Contrast | None, Contrast | None, Contrast | None]:
    """Return (together minus alone, alone minus random, random) of the kinds that the modules stand for."""
    n, gap, above, guessed = np.zeros((4, places.count))
    for together, alone in sets:
        if (by_chance := random.get(alone.asked)) is None:
            continue
        here = places.of(alone.base)
        counted, y = c.paired((together, alone, by_chance), [f"kind:{kind}" for kind in alone.modules])
        n[here] += counted
        gap[here] += y[0] - y[1]
        above[here] += y[1] - y[2]
        guessed[here] += y[2]
    return c.ratio(n, gap), c.ratio(n, above), c.ratio(n, guessed)


# --- 2: modularity ----------------------------------------------------------------------------------------------------

CONTROL = "distractors"  # entities that don't matter, listed like the others: text at least as long as a module's

MODULARITY = d.Claim(
    number=2,
    title="Modular subnetworks",
    published="Networks solve compositional tasks with isolated modular subnetworks; pretraining makes that more"
    " consistent.",
    source="the claims under test, 2",
    supported="whatever module is added, the change of each other constraint kind on the same instances, mean over"
    " models, lies inside ±5 points (two one-sided tests at 5 %), by itself or beyond the change that a longer text"
    " without the module brings",
    refuted="some model satisfies some kind more than 5 points less (or more) often once a module is added, by itself"
    " and beyond that control (Holm over all entries at 5 %)",
    needs="instances with and without a module, and the latter with entities that don't matter; at least 20 instances"
    " an entry, whose kind is satisfied more often than by random answers; for support 3 or more models",
    plan="""\
models = ["all"]             # at least 3
baselines = ["all"]
channels = ["json"]

[[arm]]
families = ["knapsack"]
modules = ["conflict"]
variants = ["fresh", "distractors"]
sizes = ["s"]
instances = 100

[[arm]]
families = ["knapsack"]
modules = ["requires"]
variants = ["fresh", "distractors"]
sizes = ["s"]
instances = 100

[[arm]]
families = ["knapsack"]
modules = ["conflict", "requires"]
sizes = ["s"]
instances = 100
""",
    by="model,modules,variant",
    where=("kind=optimization", "variant=fresh,distractors", "examples=0", "warning=false"),
)


@dataclass(frozen=True)
class Change:
    """What adding a module does to another kind: by itself, and beyond what further entities in the text do."""

    by_itself: Contrast
    beyond: Contrast

    @property
    def p_beyond(self) -> float:
        """p (two-sided) of a change beyond the margin, by itself and beyond the control, to the same side."""
        if self.by_itself.value * self.beyond.value <= 0:
            return 1.0
        return max(self.by_itself.p_beyond(ALIKE), self.beyond.p_beyond(ALIKE))


def modularity(arms: Sequence[Arm]) -> d.Finding:
    """Judge claim 2 by what adding a module changes in the satisfaction of the other kinds, on the same instances."""
    asked = d.chosen(arms, lambda arm: arm.kind == "optimization" and arm.variant in ("fresh", CONTROL), _plainly)
    of, left = c.common_sets(asked, _with_and_without)
    random = d.of_baseline(arms)
    places = c.places(of)
    matrix: dict[Subject, dict[Entry, Change]] = {}
    pooled = np.zeros((3, places.count))
    for subject in sorted(of, key=c.by_size):
        changes, unfit, counted = _changes(of[subject], random, places)
        left += [d.Excluded(f"{subject.name}: {' '.join(entry)}", why) for entry, why in unfit.items()]
        if changes:
            matrix[subject] = changes
            pooled += counted
    over = _over_models(matrix)
    single = [(subject, entry, change) for subject, changes in matrix.items() for entry, change in changes.items()]
    adjusted = holm([change.p_beyond for _, _, change in single])
    verdict, reason, test, p = _modular(single, adjusted, over, len(matrix))
    means = [_means(changes, places) for changes in matrix.values()]
    effect = c.mean("other kinds, module added", [by_itself for by_itself, _ in means], ALIKE)
    control = c.mean("beyond the control", [beyond for _, beyond in means], ALIKE)
    n, added, without = pooled
    if effect is not None and (swapped := paired_difference(n, added, n, without)) is not None:
        effect = replace(effect, p=swapped.p)  # labels (with and without) swapped within instances
    entry = ("family", "kind", "module added")
    by_model = [
        (
            subject.name,
            *e,
            change.by_itself.estimate("change"),
            change.beyond.estimate("beyond the control"),
            float(q),
        )
        for (subject, e, change), q in zip(single, adjusted, strict=True)
    ]
    return d.Finding(
        claim=MODULARITY,
        verdict=verdict,
        reason=reason,
        effect=effect,
        estimates=(control,) if control else (),
        models=len(matrix),
        instances=int(np.count_nonzero(n)),
        excluded=tuple(left),
        parts=(
            d.Part("Mean over models", (*entry, "change", "beyond the control"), tuple((*e, *over[e]) for e in over)),
            d.Part("By model", ("model", *entry, "change", "beyond the control", "p (Holm)"), tuple(by_model)),
        ),
        p=p,
        test=test,
    )


def _with_and_without(twins: c.Twins) -> c.Sets:
    """Return (without a module, with it, without it but with distractors) of every module that was added."""
    out: c.Sets = []
    for (variant, modules), without in twins.items():
        control = twins.get((CONTROL, modules))
        if variant == "fresh" and control is not None:
            added = [arm for (v, more), arm in twins.items() if v == "fresh" and modules < more]
            out += [(without, arm, control) for arm in added if len(arm.modules - modules) == 1]
    return out


def _changes(
    sets: c.Sets, random: Mapping[Asked, Arm], places: c.Places
) -> tuple[dict[Entry, Change], dict[Entry, str], Floats]:
    """Return one model's changes, the entries that don't count, and (n, y with, y without) of those that do.

    The influences of an entry are those of its family's instances alone.
    """
    sums: dict[Entry, Floats] = {}
    for without, added, control in sets:
        [module] = added.modules - without.modules
        if (by_chance := random.get(without.asked)) is None:
            continue
        here, family = places.of(without.base), places.of_family(without.base.family)
        for measure in c.kinds(without, module):
            n, y = c.paired((without, added, control, by_chance), [measure])
            entry = (without.base.family, measure.removeprefix("kind:"), module)
            own = sums.setdefault(entry, np.zeros((5, family.stop - family.start)))
            own[:, here.start - family.start : here.stop - family.start] += [n, *y]
    changes, unfit, pooled = dict[Entry, Change](), dict[Entry, str](), np.zeros((3, places.count))
    for entry, (n, without, added, control, guessed) in sorted(sums.items()):
        by_itself, beyond, above = (c.ratio(n, y) for y in (added - without, added - control, without - guessed))
        why = _unfit(by_itself, above)
        if why is not None or by_itself is None or beyond is None:
            unfit[entry] = why or FLOOR
            continue
        changes[entry] = Change(by_itself, beyond)
        pooled[:, places.of_family(entry[0])] += [n, added, without]
    return changes, unfit, pooled


def _means(changes: Mapping[Entry, Change], places: c.Places) -> tuple[Contrast, Contrast]:
    """Return the means over a model's entries of the changes by themselves and beyond the control."""
    out = []
    for of in ([one.by_itself for one in changes.values()], [one.beyond for one in changes.values()]):
        influence = np.zeros(places.count)
        for (family, *_), one in zip(changes, of, strict=True):
            influence[places.of_family(family)] += one.influence / len(of)
        value, most = float(np.mean([one.value for one in of])), max(one.instances for one in of)
        out.append(Contrast(value, influence, most))
    return out[0], out[1]


def _over_models(matrix: Mapping[Subject, Mapping[Entry, Change]]) -> dict[Entry, tuple[d.Estimate, d.Estimate]]:
    """Return each entry's change, by itself and beyond the control, mean over the models that have it."""
    out = {}
    for entry in sorted({entry for changes in matrix.values() for entry in changes}):
        of = [changes[entry] for changes in matrix.values() if entry in changes]
        by_itself = c.mean("change", [one.by_itself for one in of], ALIKE)
        beyond = c.mean("beyond the control", [one.beyond for one in of], ALIKE)
        if by_itself is not None and beyond is not None:
            out[entry] = (by_itself, beyond)
    return out


def _modular(
    single: Sequence[tuple[Subject, Entry, Change]],
    adjusted: Floats,
    over: Mapping[Entry, tuple[d.Estimate, d.Estimate]],
    models: int,
) -> tuple[d.Verdict, str, str | None, float | None]:
    if not single:
        return "undecided", "no model was asked instances with and without a module, and with distractors", None, None
    worst = int(adjusted.argmin())
    if (p := float(adjusted[worst])) <= d.ALPHA:
        subject, (family, kind, module), change = single[worst]
        moved = f"{100 * change.by_itself.value:+.0f} points, {100 * change.beyond.value:+.0f} beyond the control"
        reason = f"adding {module} moves {kind} of {family} by {moved} ({subject.name})"
        return "refuted", reason, "an entry beyond the margin and the control, Holm over all entries", p
    if models < FEWEST_COMPARED:
        return "undecided", f"{models} models were asked so; it takes {FEWEST_COMPARED}", None, None
    p = max(min(1.0 if one.p_within is None else one.p_within for one in pair) for pair in over.values())
    test = "every entry inside the margin, by itself or beyond the control: the largest p"
    if p <= d.ALPHA:
        return "supported", "no module moves another kind by 5 points or more", test, p
    open_ = sum(not any(one.within for one in pair) for pair in over.values())
    return "undecided", f"{open_} of {len(over)} entries are neither shown inside ±5 points nor beyond", test, p


# --- 3: binding -------------------------------------------------------------------------------------------------------

CROWDS = ("fresh", *EXTRA)
DOUBLINGS = np.log2([1.0, *(1.0 + extra for extra in EXTRA.values())])  # of the entities
PER_DOUBLING = (DOUBLINGS.mean() - DOUBLINGS) / np.square(DOUBLINGS - DOUBLINGS.mean()).sum()  # weights of the drop
ISOMORPHIC = ("renamed", "reordered")
DROP = "drop per doubling of the entities"

BINDING = d.Claim(
    number=3,
    title="Binding of entities",
    published="The binding problem: entities are not kept apart or reused in new structures; scale fixes this partly.",
    source="the claims under test, 3",
    supported="satisfaction of the same constraint kinds drops with every doubling of the entities by ones that don't"
    " matter, also corrected for chance (the 95 % intervals of both means over models lie above 0), and the drop"
    " shrinks over size (that of its slope lies below 0)",
    refuted="the drop lies inside ±3 points a doubling at the smallest and at the largest model (two one-sided tests at"
    " 5 %), and renamed and reordered twins disagree no more than two answers to the same instance do",
    needs="at least 6 models of known size over 1.5 decades of parameters above random answers, each asked the same"
    " instances plain and with 1, 2 and 4 times as many entities added; and 2 answers each to the plain, renamed and"
    " reordered ones",
    plan="""\
models = ["all"]             # at least 6 over 1.5 decades of parameters
baselines = ["all"]
channels = ["json"]
samples = 2
temperature = 0.7            # so that two answers to one instance can differ

[[arm]]
families = ["knapsack", "facility_location", "independent_set", "set_cover"]
sizes = ["s"]
variants = ["fresh", "distractors", "distractors_2x", "distractors_4x", "renamed", "reordered"]
instances = 50
""",
    by="model,variant",
    where=("kind=optimization", f"variant={','.join((*CROWDS, *ISOMORPHIC))}", "examples=0", "warning=false"),
)


def binding(arms: Sequence[Arm]) -> d.Finding:
    """Judge claim 3 by what entities that don't matter cost, and by whether isomorphic twins get the same verdict."""
    asked = d.chosen(arms, lambda arm: arm.variant in (*CROWDS, *ISOMORPHIC) and arm.kind == "optimization", _plainly)
    of, left = c.common_sets(asked, _crowded)
    random = d.of_baseline(arms)
    places = c.places(of)
    drops, corrected, disagreements, rows = dict[Subject, Contrast](), [], [], []
    chance = []
    for subject in sorted(of, key=c.by_size):
        found = _drop(of[subject], random, places)
        why = _unfit(found.drop if found else None, found.above if found else None) or c.unsized(subject)
        twins = _disagreement(of[subject], places)
        if why is None and found is not None:
            drops[subject] = found.drop
            corrected.append(found.corrected)
            chance.append(found.chance)
            disagreements += [twins] if twins is not None else []
        else:
            left.append(d.Excluded(subject.name, why or FLOOR))
        contrasts = (found.drop if found else None, found.corrected if found else None, twins)
        rows.append((subject.name, subject.params, *(one.estimate(DROP) if one else None for one in contrasts)))
    mean = c.mean(DROP, list(drops.values()), NO_DROP)
    beyond = c.mean(f"{DROP}, corrected for chance", corrected, NO_DROP)
    twins_apart = c.mean("twins disagree beyond two answers to one instance", disagreements, NO_DROP)
    over = c.line(DROP, drops, NO_DROP)
    few = c.too_few(drops)
    if few is None and len(disagreements) < d.FEWEST_MODELS:
        few = (
            f"{len(disagreements)} models answered plain, renamed and reordered twins twice; it takes {d.FEWEST_MODELS}"
        )
    verdict, reason, test, p = _bound(few, mean, beyond, over, twins_apart)
    by_chance = c.mean(f"{DROP}, random", chance)
    columns = ("model", "parameters", "drop a doubling", "corrected for chance", "twins disagree beyond noise")
    return d.Finding(
        claim=BINDING,
        verdict=verdict,
        reason=reason,
        effect=mean,
        estimates=tuple(e for e in (beyond, *((over.slope, over.small, over.large) if over else ()), twins_apart) if e),
        models=len(drops),
        instances=max((one.instances for one in drops.values()), default=0),
        excluded=tuple(left),
        baselines=(by_chance,) if by_chance else (),
        parts=(d.Part("What entities that don't matter cost", columns, tuple(rows)),),
        p=p,
        test=test,
    )


def _bound(
    few: str | None,
    mean: d.Estimate | None,
    beyond: d.Estimate | None,
    over: c.Line | None,
    twins: d.Estimate | None,
) -> tuple[d.Verdict, str, str | None, float | None]:
    if few is not None or mean is None or beyond is None or over is None or twins is None:
        return "undecided", few or "no line over size can be fitted", None, None
    if over.small.within and over.large.within:
        p = max(over.small.p_within or 0.0, over.large.p_within or 0.0)
        if twins.above():
            return (
                "undecided",
                "entities that don't matter cost nothing, but renamed or reordered twins disagree",
                None,
                p,
            )
        reason = "entities that don't matter cost less than 3 points a doubling at every size, and twins agree"
        return "refuted", reason, "inside the margin at both ends: the larger p", p
    dropping, shrinking = mean.above() and beyond.above(), over.slope.below()
    p = max(mean.p or 1.0, beyond.p or 1.0, over.slope.p or 1.0)
    test = "a drop, also corrected for chance, that shrinks over size: the largest p"
    if dropping and shrinking:
        return "supported", "entities that don't matter cost satisfaction, less so in larger models", test, p
    if dropping:
        return (
            "undecided",
            "entities that don't matter cost satisfaction, but not shown to cost larger models less",
            test,
            p,
        )
    return "undecided", "neither a drop by entities that don't matter nor its absence is shown", test, p


@dataclass(frozen=True)
class Drop:
    """One model's drop per doubling: as it is, corrected for chance, that of random answers; and its level above."""

    drop: Contrast
    corrected: Contrast
    chance: Contrast
    above: Contrast


def _crowded(twins: c.Twins) -> c.Sets:
    """Return the plain arm with its three crowds, and with each isomorphic twin if all were asked twice."""
    out: c.Sets = []
    for modules in {modules for _, modules in twins}:
        crowd = [twins[variant, modules] for variant in CROWDS if (variant, modules) in twins]
        if len(crowd) == len(CROWDS):
            out.append(tuple(crowd))
        plain = twins.get(("fresh", modules))
        others = [twins[variant, modules] for variant in ISOMORPHIC if (variant, modules) in twins]
        if plain is not None and len(others) == len(ISOMORPHIC) and all(map(_twice, (plain, *others))):
            out += [(plain, other) for other in others]
    return out


def _twice(arm: Arm) -> bool:
    feasible = arm.counts.get("feasible")
    return feasible is not None and bool((feasible[:, 0] > 1).any())


def _drop(sets: c.Sets, random: Mapping[Asked, Arm], places: c.Places) -> Drop | None:
    n, y = np.zeros(places.count), np.zeros((2 * len(CROWDS), places.count))
    for crowd in sets:
        by_chance = [random[arm.asked] for arm in crowd if arm.asked in random]
        if len(crowd) == len(by_chance) == len(CROWDS):
            here = places.of(crowd[0].base)
            counted, held = c.paired((*crowd, *by_chance), c.kinds(crowd[0]))
            n[here] += counted
            y[:, here] += held
    mine, guessed, scale = y[: len(CROWDS)], y[len(CROWDS) :], c.scale_of(PER_DOUBLING)
    drop, chance = c.ratio(n, PER_DOUBLING @ mine, scale), c.ratio(n, PER_DOUBLING @ guessed, scale)
    above = c.ratio(n, mine[0] - guessed[0])
    if drop is None or chance is None or above is None:
        return None
    levels = [(c.ratio(n, one), c.ratio(n, other)) for one, other in zip(mine, guessed, strict=True)]
    shares = [_corrected(r, b) for r, b in levels if r is not None and b is not None and b.value < 1]
    if len(shares) < len(levels):
        return None
    value = float(PER_DOUBLING @ [one.value for one in shares])
    influence = PER_DOUBLING @ np.array([one.influence for one in shares])
    most = max(one.scale for one in shares) * scale
    return Drop(drop, Contrast(value, influence, drop.instances, most), chance, above)


def _corrected(rate: Contrast, chance: Contrast) -> Contrast:
    """Return (r - b) / (1 - b) by the delta method."""
    r, b = rate.value, chance.value
    influence = rate.influence / (1 - b) - chance.influence * (1 - r) / (1 - b) ** 2
    return Contrast((r - b) / (1 - b), influence, rate.instances, 1 / (1 - b))


def _disagreement(sets: c.Sets, places: c.Places) -> Contrast | None:
    """Return how much more often the verdicts (feasible or not) of isomorphic twins differ than two of one instance.

    Two answers to one instance agree with chance p^2 + (1 - p)^2, estimated without bias from pairs of samples. The
    mean of that over both twins less their own agreement is (p - p')^2 on average: 0 where only temperature tells them
    apart.
    """
    n, apart = np.zeros((2, places.count))
    for plain, *twin in sets:
        if len(twin) != 1:
            continue
        counts = np.array([arm.counts["feasible"] for arm in (plain, *twin) if "feasible" in arm.counts], float)
        if len(counts) < 2:
            continue
        (m, a), (o, b) = counts[0].T, counts[1].T
        both = (m > 1) & (o > 1)
        m, o = np.where(both, m, 2), np.where(both, o, 2)
        same = [(k * (k - 1) + (n_ - k) * (n_ - k - 1)) / (n_ * (n_ - 1)) for n_, k in ((m, a), (o, b))]
        across = (a * b + (m - a) * (o - b)) / (m * o)
        here = places.of(plain.base)
        n[here] += both
        apart[here] += np.where(both, sum(same) / 2 - across, 0)
    return c.ratio(n, apart)


# --- 5: novelty and size ----------------------------------------------------------------------------------------------

NOVELTY = (("famous", "imported"), ("perturbed",), ("fresh",))
FEWEST_SIZES = 3
VARIANCE = "share of variance"

NOVEL = d.Claim(
    number=5,
    title="Novelty, not complexity",
    published="Reasoning breaks at instance novelty, not at complexity.",
    source="the claims under test, 5",
    supported="novelty (famous, perturbed, fresh) explains a larger share of the variance of satisfaction between"
    " instances than size does: the 95 % interval of the difference lies above 0, over instances and over models",
    refuted="size explains the larger share: that interval lies below 0",
    needs="3 or more models; famous (or imported), perturbed and fresh instances without modules, in 3 or more sizes,"
    f" at least {FEWEST_CELL} in each cell, of the same families in every cell",
    plan="""\
models = ["all"]             # at least 3
baselines = ["all"]
channels = ["json"]

[[arm]]
families = ["knapsack", "assignment"]
sizes = ["xs", "s", "m"]
variants = ["perturbed", "fresh", "famous", "imported"]  # few problems are famous: import public files to fill a size
modules = ["none"]
instances = 50
""",
    by="model,variant,size",
    where=("kind=optimization", "modules=", "variant=famous,imported,perturbed,fresh"),
)


def novelty(arms: Sequence[Arm]) -> d.Finding:
    """Judge claim 5 by the shares of variance that novelty and size explain."""
    levels = {variant: i for i, level in enumerate(NOVELTY) for variant in level}
    bare = d.chosen(
        arms, lambda arm: arm.kind == "optimization" and arm.variant in levels and not arm.modules, _plainly
    )
    of, left = d.panel(bare)
    subjects = sorted(of, key=c.by_size)
    cells = _cells([of[subject] for subject in subjects], levels)
    sizes, taken = _design({key: min(one.shape[1] for one in found) for key, found in cells.items()})
    rates = _balanced(cells, sizes, taken, len(subjects))
    shares = [variance_shares(one) for one in rates]
    together = variance_shares(rates.mean(axis=0)) if subjects else None
    each = {subject: found for subject, found in zip(subjects, shares, strict=True) if found is not None}
    over = d.over_models("novelty minus size, mean over models", [_of_shares(v) for v in each.values()], unit=VARIANCE)
    verdict, reason = _novel(together, over, len(each), sum(taken.values()), sizes)
    columns = ("model", "novelty", "size", "both together", "novelty minus size")
    rows = [(subject.name, v.novelty, v.size, v.interaction, _of_shares(v)) for subject, v in each.items()]
    return d.Finding(
        claim=NOVEL,
        verdict=verdict,
        reason=reason,
        effect=_of_shares(together) if together else None,
        estimates=(over,) if over else (),
        models=len(each),
        instances=len(NOVELTY) * len(sizes) * sum(taken.values()) if each else 0,
        excluded=tuple(left),
        baselines=d.of_baselines(of, arms, ("blank", "random", "greedy")),
        parts=(d.Part("Shares of the variance between instances", columns, tuple(rows)),),
        p=over.p if over else None,
        test="novelty minus size over models is 0" if over and over.p is not None else None,
    )


def _novel(
    together: VarianceShares | None, over: d.Estimate | None, models: int, in_a_cell: int, sizes: Sequence[str]
) -> tuple[d.Verdict, str]:
    if together is None or over is None:
        cell = f"{in_a_cell} instances a cell in sizes {', '.join(sizes)}" if sizes else "no family has all cells"
        return (
            "undecided",
            f"the best design of famous, perturbed and fresh has {cell}; it takes {FEWEST_CELL} in 3 sizes",
        )
    if models < FEWEST_COMPARED:
        return "undecided", f"{models} models were asked so; it takes {FEWEST_COMPARED}"
    shown = f"novelty explains {100 * together.novelty:.0f} % of the variance, size {100 * together.size:.0f} %"
    if together.low > 0 and over.above():
        return "supported", shown
    if together.high < 0 and over.below():
        return "refuted", shown
    return "undecided", f"{shown}: which is more is not shown over instances and over models"


def _of_shares(found: VarianceShares) -> d.Estimate:
    error = (found.high - found.low) / (2 * d.Z)
    return d.Estimate("novelty minus size", found.difference, found.low, found.high, VARIANCE, error)


def _cells(of: Sequence[Sequence[Arm]], levels: Mapping[str, int]) -> dict[tuple[str, str], list[Floats]]:
    """Return satisfaction by family and size, and in that by level of novelty: (models, instances that all counted).

    Families without all levels in a size have no entry for it.
    """
    found: dict[tuple[str, str], dict[int, dict[tuple[str, Base], list[Floats]]]] = {}
    for arms in of:
        for arm in arms:
            n, y = arm.counts.get("constraints", d.NONE).T
            by_level = found.setdefault((arm.base.family, arm.base.size), {})
            rate = np.where(n > 0, y / np.maximum(n, 1), np.nan)
            by_level.setdefault(levels[arm.variant], {}).setdefault((arm.variant, arm.base), []).append(rate)
    out = {}
    for key, by_level in found.items():
        if len(by_level) == len(NOVELTY):
            blocks = [np.concatenate([by_level[i][at] for at in sorted(by_level[i])], axis=1) for i in sorted(by_level)]
            out[key] = [block[:, np.isfinite(block).all(axis=0)] for block in blocks]
    return out


def _design(complete: Mapping[tuple[str, str], int]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return (sizes, family -> instances in each cell) of the design with the fullest cells, then the most sizes.

    Every cell holds the same families in the same numbers, so that a family that is hard is hard in all of them.
    """
    best: tuple[tuple[int, int, int], tuple[str, ...], dict[str, int]] = ((0, 0, 0), (), {})
    families = sorted({family for family, _ in complete})
    for count in range(FEWEST_SIZES, len(SIZES) + 1):
        for sizes in combinations(SIZES, count):
            fewest = {family: min(complete.get((family, size), 0) for size in sizes) for family in families}
            taken = {family: n for family, n in fewest.items() if n}
            in_a_cell = sum(taken.values())
            if (rank := (min(in_a_cell, FEWEST_CELL), count, in_a_cell)) > best[0] and in_a_cell:
                best = (rank, sizes, taken)
    return best[1], best[2]


def _balanced(
    cells: Mapping[tuple[str, str], Sequence[Floats]], sizes: Sequence[str], taken: Mapping[str, int], models: int
) -> Floats:
    """Return satisfaction (models, levels of novelty, sizes, instances) of a design."""
    out = np.empty((models, len(NOVELTY), len(sizes), sum(taken.values())))
    for level in range(len(NOVELTY)):
        for s, size in enumerate(sizes):
            own = [cells[family, size][level][:, :count] for family, count in taken.items()]
            out[:, level, s] = np.concatenate(own, axis=1) if own else 0
    return out
