"""Claims about iterative procedures: 4 compounding errors and matched subgraphs, 7 iteration against recall."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from probe.asking.measures import POSITIONS
from probe.results.evidence import Arm, Asked, Manner, Subject
from probe.results.findings import contrasts as c
from probe.results.findings import deciding as d
from probe.results.findings.contrasts import Contrast, Floats
from probe.results.statistics import Interval, holm, ratio
from probe.results.traces import StepLaw, step_law
from probe.results.wrong_answers import JUMPS, OTHER, OWN

FEWEST_STEPS = 8
FEWEST_TRACES = 60  # instances
FEWEST_COMPARED = 3  # models
NEAR_ONE = 0.95  # chance of a right step above which errors hardly compound within these traces
STEADY = 0.05  # change of that chance from the first step to the last that counts as none
NO_MORE = 0.05  # by which wrong answers agree with an attractor or with greedy more than chance has it
FLAT = 0.05  # per decade of parameters
FEWEST_WRONG = 100  # wrong final values of a model


# --- 4: compounding ---------------------------------------------------------------------------------------------------

COMPOUNDING = d.Claim(
    number=4,
    title="Matched subgraphs, compounding errors",
    published="Transformers match memorised computation subgraphs; errors compound over steps.",
    source="Dziri et al. 2023, Faith and Fate",
    supported="the chance that a step follows from the model's own previous iterate declines over the steps (its"
    " change, mean over models, differs from 0 at 5 %, and by AIC a changing chance beats a constant one), or, where"
    " greedy fails, wrong answers are greedy's more often than greedy's of other instances (at 5 %); Holm over the two;"
    " a change or an excess shown to lie inside ±5 points counts as none",
    refuted="that chance is constant and near 1 (its change from the first step to the last inside ±5 points by two"
    " one-sided tests at 5 %, its 95 % interval above 95 %), and that excess lies inside ±5 points",
    needs="3 or more models; traces of 8 or more steps on 60 or more instances; for refutation also wrong answers where"
    " greedy fails, on 20 or more instances",
    plan="""\
models = ["all"]             # at least 3
baselines = ["all"]
channels = ["json"]
answer-tokens = 4096

[[arm]]
families = ["jacobi", "gauss_seidel", "gradient_descent", "fixed_point", "euler", "logistic_map"]
sizes = ["xl"]
modes = ["trace"]
instances = 50

[[arm]]
families = ["knapsack", "bin_packing", "set_cover", "tsp"]
sizes = ["s"]
variants = ["greedy_fails"]
instances = 100
""",
    by="model,variant,mode",
    where=("variant=fresh,greedy_fails", "mode=trace,final"),
)


@dataclass(frozen=True)
class Steps:
    """How one model goes from step to step: chance that a step is right, its change, its law, traces all right."""

    level: Contrast
    change: Contrast
    law: StepLaw | None
    whole: Interval | None


def compounding(arms: Sequence[Arm], wrong: Sequence[Arm]) -> d.Finding:
    """Judge claim 4 by steps of traces, and by what wrong answers where greedy fails agree with.

    ``wrong``: as `probe.results.wrong_answers.load` gives them.
    """
    of, left = d.panel(d.chosen(arms, d.plain, lambda arm: arm.mode == "trace" and _steps(arm) >= FEWEST_STEPS))
    going: dict[Subject, Steps] = {}
    for subject in sorted(of, key=c.by_size):
        found = _of_steps(of[subject])
        if found is None or found.level.instances < FEWEST_TRACES:
            why = f"traces of {FEWEST_STEPS} or more steps on fewer than {FEWEST_TRACES} instances"
            left.append(d.Excluded(subject.name, why))
        else:
            going[subject] = found
    alike = _agreement([arm for arm in wrong if arm.variant == "greedy_fails"], ("greedy",), d.FEWEST_INSTANCES)
    change = c.mean("change from the first step to the last", [one.change for one in going.values()], STEADY)
    level = c.mean("chance that a step is right", [one.level for one in going.values()], unit="share")
    greedy = c.mean("wrong answers that are greedy's, beyond chance", [one.excess for one in alike.values()], NO_MORE)
    gain = sum(one.law.aic_difference or 0.0 for one in going.values() if one.law is not None)
    verdict, reason, test, p = _compounds(len(going), len(alike), change, level, greedy, gain)
    columns = ("model", "parameters", "a step is right", "change", "constant less changing, AIC", "whole trace right")
    rows = [
        (
            subject.name,
            subject.params,
            one.level.estimate("a step is right", unit="share"),
            one.change.estimate("change"),
            one.law.aic_difference if one.law else None,
            d.of_rate("whole trace right", one.whole) if one.whole else None,
        )
        for subject, one in going.items()
    ]
    agreeing = [(s.name, s.params, one.wrong, one.excess.estimate("beyond chance")) for s, one in alike.items()]
    return d.Finding(
        claim=COMPOUNDING,
        verdict=verdict,
        reason=reason,
        effect=change,
        estimates=tuple(one for one in (level, greedy) if one is not None),
        models=len(going),
        instances=max((one.level.instances for one in going.values()), default=0),
        excluded=tuple(left),
        parts=(
            d.Part("From step to step", columns, tuple(rows)),
            d.Part(
                "Wrong answers equal to greedy's", ("model", "parameters", "wrong", "beyond chance"), tuple(agreeing)
            ),
        ),
        p=p,
        test=test,
    )


def _compounds(
    models: int,
    agreeing: int,
    change: d.Estimate | None,
    level: d.Estimate | None,
    greedy: d.Estimate | None,
    gain: float,
) -> tuple[d.Verdict, str, str | None, float | None]:
    declining = _p_of(change, -1) if models >= FEWEST_COMPARED and gain > 0 else 1.0
    imitating = _p_of(greedy, 1) if agreeing >= FEWEST_COMPARED else 1.0
    p_declining, p_imitating = (float(p) for p in holm([declining, imitating]))
    if min(p_declining, p_imitating) <= d.ALPHA:
        shown = ["the chance of a right step declines over the steps"] if p_declining <= d.ALPHA else []
        shown += ["wrong answers are greedy's more often than chance has it"] if p_imitating <= d.ALPHA else []
        test = "decline, or agreement with greedy: the smaller p, Holm over the two"
        return "supported", " and ".join(shown), test, min(p_declining, p_imitating)
    if models < FEWEST_COMPARED or change is None or level is None:
        return "undecided", f"{models} models have traces to judge; it takes {FEWEST_COMPARED}", None, None
    steady = change.within and level.above(NEAR_ONE)
    if not steady:
        reason = f"no decline is shown, nor that {100 * level.value:.0f} % of steps right is constant and near 1"
        return "undecided", reason, "change inside the margin", change.p_within
    if agreeing < FEWEST_COMPARED or greedy is None:
        reason = f"steps are right, but only {agreeing} models have wrong answers where greedy fails"
        return "undecided", reason, "change inside the margin", change.p_within
    p = max(change.p_within or 0.0, greedy.p_within or 1.0)
    test = "change, and agreement with greedy, inside the margins: the larger p"
    if greedy.within:
        return "refuted", "steps are right with a constant chance near 1, and greedy is not imitated", test, p
    return "undecided", "steps are right, but it is not shown that greedy is not imitated", test, p


def _p_of(found: d.Estimate | None, side: int) -> float:
    """Return the two-sided p of an effect to one side; 1 to the other, and of one shown to lie inside its margin."""
    return 1.0 if found is None or found.p is None or found.within or found.value * side <= 0 else found.p


def _steps(arm: Arm) -> int:
    """Return how many steps a trace was asked for."""
    return sum(name.startswith("survives:") for name in arm.counts)


def _of_steps(arms: Sequence[Arm]) -> Steps | None:
    """Return one model's steps, over those that all its traces have: so every step is one of the same procedures."""
    steps = range(1, min(map(_steps, arms)) + 1)
    n, y = _by_step(arms, "follows", steps)
    level, change = c.ratio(n.sum(axis=1), y.sum(axis=1)), _change(n, y)
    if level is None or change is None:
        return None
    whole_n, whole_y = _by_step(arms, "survives", steps[-1:])
    return Steps(level, change, step_law(n, y), ratio(whole_n[:, 0], whole_y[:, 0]))


def _by_step(arms: Sequence[Arm], measure: str, steps: Iterable[int]) -> tuple[Floats, Floats]:
    """Return n and y of a measure, (instances, steps)."""
    none = np.zeros((POSITIONS, 2), np.int64)
    counts = [
        np.stack([arm.counts.get(f"{measure}:{k}", none) for k in steps], axis=1)
        for arm in sorted(arms, key=lambda arm: arm.base)
    ]
    n, y = np.moveaxis(np.concatenate(counts).astype(float), 2, 0)
    return n, y


def _change(n: Floats, y: Floats) -> Contrast | None:
    """Return the least-squares slope of the rate over steps times the steps between the first and the last."""
    total = n.sum(axis=0)
    if not total.all():
        return None
    k = np.arange(total.size) - (total.size - 1) / 2
    weights = k / (k @ k) * (total.size - 1)
    rates = y.sum(axis=0) / total
    influence = ((y - rates * n) / total) @ weights
    counted = int(np.count_nonzero(n.any(axis=1)))
    if counted < 2:
        return None
    influence *= np.sqrt(counted / (counted - 1))
    return Contrast(float(weights @ rates), influence, counted, c.scale_of(weights))


@dataclass(frozen=True)
class Agreement:
    """How much more often one model's wrong answers are something than chance has it; ``wrong``: how many there are.

    ``shares``: by name, how often they are.
    """

    excess: Contrast
    wrong: int
    shares: Mapping[str, float]


def _agreement(arms: Sequence[Arm], names: Sequence[str], instances: int, fewest: int = 0) -> dict[Subject, Agreement]:
    """Return each model's agreement with any of some attractors; without those with too few wrong answers.

    Chance is the agreement with the attractors of other instances of the same block (permutation).
    """
    by_subject: dict[Subject, dict[str, Floats]] = {}
    places = c.Places(arms)
    for arm in arms:
        sums = by_subject.setdefault(arm.subject, {name: np.zeros((4, places.count)) for name in names})
        for name in names:
            own, other = arm.counts[OWN + name], arm.counts[OTHER + name]
            sums[name][:, places.of(arm.base)] += [*own.T, *other.T]
    out = {}
    for subject, by_name in sorted(by_subject.items(), key=lambda item: c.by_size(item[0])):
        n = by_name[names[0]][0] * (by_name[names[0]][2] > 0)
        excess = sum(y - n * other / np.maximum(m, 1) for _, y, m, other in by_name.values())
        found = c.ratio(n, np.where(n > 0, excess, 0))
        if found is not None and found.instances >= instances and n.sum() >= fewest:
            shares = {name: float(y[n > 0].sum() / n.sum()) for name, (_, y, *_) in by_name.items()}
            out[subject] = Agreement(found, int(n.sum()), shares)
    return out


# --- 7: iteration or recall -------------------------------------------------------------------------------------------

RECALL = d.Claim(
    number=7,
    title="Recall instead of iteration",
    published="LLMs do not run iterative numerical procedures; they recognise the template and emit plausible values;"
    " this persists across scale.",
    source="arXiv 2603.23004",
    supported="wrong final values are the converged, the start or a round value more often than they are those of other"
    " instances: at the largest model the 95 % interval of that excess lies above 0, and it is flat over size (inside"
    " ±5 points per decade by two one-sided tests at 5 %)",
    refuted="at the largest model that excess lies inside ±5 points by the same tests, or the share of right final"
    " values rises with size (its 95 % interval lies above 5 points per decade)",
    needs="at least 6 models of known size over 1.5 decades of parameters with 100 or more wrong final values each,"
    " asked the same instances for the final values, for traces, and with altered steps",
    plan="""\
models = ["all"]             # at least 6 over 1.5 decades of parameters
baselines = ["all"]
channels = ["json"]
answer-tokens = 4096

[[arm]]
families = ["jacobi", "gauss_seidel", "gradient_descent", "fixed_point", "newton", "power_iteration"]
sizes = ["s", "m"]
variants = ["fresh", "perturbed"]
modes = ["final", "trace"]
instances = 50
""",
    by="model,variant,mode",
    where=("kind=numerics", "variant=fresh,perturbed", "examples=0", "warning=false"),
)


def recall(arms: Sequence[Arm], wrong: Sequence[Arm]) -> d.Finding:
    """Judge claim 7 by what wrong final values are, and by whether final values get right with size.

    ``wrong``: as `probe.results.wrong_answers.load` gives them.
    """
    numerics = d.chosen(arms, lambda arm: arm.kind == "numerics")
    of, left = d.panel(one for one in numerics if d.plain(one) and one.mode == "final")
    same = {(subject, arm.asked, arm.manner) for subject, own in of.items() for arm in own}
    jumps = _agreement(
        [arm for arm in wrong if (arm.subject, arm.asked, arm.manner) in same],
        JUMPS,
        d.FEWEST_INSTANCES,
        FEWEST_WRONG,
    )
    others = _Others(numerics)
    places = c.Places(arm for own in of.values() for arm in own)
    right, excess, rows = dict[Subject, Contrast](), dict[Subject, Contrast](), []
    altered, traced = dict[Subject, Contrast](), dict[Subject, Contrast]()
    for subject in sorted(of, key=c.by_size):
        own = of[subject]
        accuracy = _accuracy(own, places)
        why = d.lost(own) or c.unsized(subject)
        if accuracy is None or accuracy.instances < d.FEWEST_INSTANCES:
            why = f"below {d.FEWEST_INSTANCES} instances counted"
        if why is not None or accuracy is None:
            left.append(d.Excluded(subject.name, why or ""))
            continue
        right[subject] = accuracy
        if (drop := others.altered(own, places)) is not None:
            altered[subject] = drop
        if (gain := others.traced(own, places)) is not None:
            traced[subject] = gain
        jump = jumps.get(subject)
        if jump is None:
            why = f"below {FEWEST_WRONG} wrong final values (on {d.FEWEST_INSTANCES} instances) to compare"
            left.append(d.Excluded(f"wrong final values of {subject.name}", why))
        else:
            excess[subject] = jump.excess
        rows.append(
            (
                subject.name,
                subject.params,
                accuracy.estimate("right", unit="share"),
                jump.wrong if jump else None,
                *(jump.shares[name] if jump else None for name in JUMPS),
                jump.excess.estimate("beyond chance") if jump else None,
                altered[subject].estimate("less with altered steps") if subject in altered else None,
                traced[subject].estimate("trace minus final") if subject in traced else None,
            )
        )
    over = c.line("attractors beyond chance", excess, NO_MORE, FLAT)
    rising = c.line("right final values", right, None, FLAT)
    few = c.too_few(excess) or _lacking(excess, altered, traced)
    verdict, reason, test, p = _recalls(c.too_few(right), few, over, rising)
    estimates = (
        over.slope if over else None,
        rising.slope if rising else None,
        c.mean("jumps to the limit, less with altered steps", list(altered.values())),
        c.mean("right answers, trace minus final", list(traced.values())),
    )
    columns = (
        "model",
        "parameters",
        "right",
        "wrong values",
        *JUMPS,
        "beyond chance",
        "less altered",
        "trace minus final",
    )
    return d.Finding(
        claim=RECALL,
        verdict=verdict,
        reason=reason,
        effect=over.large if over else None,
        estimates=tuple(one for one in estimates if one is not None),
        models=len(right),
        instances=max((one.instances for one in right.values()), default=0),
        excluded=tuple(left),
        baselines=d.of_baselines(of, arms, ("random", "template")),
        parts=(d.Part("Final values", columns, tuple(rows)),),
        p=p,
        test=test,
    )


def _recalls(
    few: str | None, few_wrong: str | None, over: c.Line | None, rising: c.Line | None
) -> tuple[d.Verdict, str, str | None, float | None]:
    if few is not None or rising is None:
        return "undecided", few or "no line over size can be fitted", None, None
    if rising.slope.above(FLAT):
        reason = f"right final values rise by {100 * rising.slope.value:.0f} points per decade of parameters"
        return "refuted", reason, "slope of right final values beyond the margin", rising.slope.p_beyond
    if few_wrong is not None or over is None:
        return "undecided", few_wrong or "no line over size can be fitted", None, None
    if over.large.within:
        reason = "wrong final values of the largest models are no more often attractors than chance has it"
        return "refuted", reason, "excess at the largest model inside the margin", over.large.p_within
    p = max(over.large.p or 1.0, over.slope.p_within or 1.0)
    test = "excess at the largest model, and flat over size: the larger p"
    if over.large.above() and over.slope.within:
        return "supported", "wrong final values are attractors beyond chance, at every size alike", test, p
    if over.large.above():
        return (
            "undecided",
            "wrong final values are attractors beyond chance, but not shown to be so at every size",
            test,
            p,
        )
    return (
        "undecided",
        "not shown whether wrong final values of the largest models are attractors beyond chance",
        test,
        p,
    )


def _lacking(excess: Iterable[Subject], altered: Iterable[Subject], traced: Iterable[Subject]) -> str | None:
    """Return what the models lack that is needed beside wrong final values."""
    for what, have in (("with altered steps", altered), ("for traces", traced)):
        if (count := len(set(excess) & set(have))) < d.FEWEST_MODELS:
            return f"{count} models were also asked {what}; it takes {d.FEWEST_MODELS}"
    return None


def _accuracy(arms: Sequence[Arm], places: c.Places) -> Contrast | None:
    n, y = np.zeros((2, places.count))
    for arm in arms:
        if (counts := arm.counts.get("kind:iterate")) is not None:
            n[places.of(arm.base)] += counts[:, 0]
            y[places.of(arm.base)] += counts[:, 1]
    return c.ratio(n, y)


class _Others:
    """What models were asked beside fresh final values: the altered twins and the traces of the same instances."""

    def __init__(self, arms: Iterable[Arm]) -> None:
        self._arms: dict[tuple[Subject, Manner | None, Asked], Arm] = {
            (arm.subject, arm.manner, arm.asked): arm for arm in arms
        }

    def altered(self, finals: Sequence[Arm], places: c.Places) -> Contrast | None:
        """Return how much more often final values are the converged one as they are than with altered steps."""
        return self._paired(finals, places, "perturbed", "final", "kind:iterate", "attractor:converged")

    def traced(self, finals: Sequence[Arm], places: c.Places) -> Contrast | None:
        """Return how much more often all is right in traces than in final answers."""
        found = self._paired(finals, places, "fresh", "trace", "feasible", "feasible")
        return None if found is None else Contrast(-found.value, -found.influence, found.instances)

    def _paired(
        self, finals: Sequence[Arm], places: c.Places, variant: str, mode: str, counted: str, held: str
    ) -> Contrast | None:
        """Return a rate of fresh final answers minus that of others: y of ``held`` over n of ``counted``."""
        n, change = np.zeros((2, places.count))
        none = np.zeros((POSITIONS, 2), np.int64)
        for arm in finals:
            other = self._arms.get((arm.subject, arm.manner, (arm.base, variant, arm.modules, mode)))
            if other is None or counted not in arm.counts or counted not in other.counts:
                continue
            both = (arm, other)
            fewest, y = c.matched(
                [one.counts[counted][:, 0] for one in both], [one.counts.get(held, none)[:, 1] for one in both]
            )
            n[places.of(arm.base)] += fewest
            change[places.of(arm.base)] += y[0] - y[1]
        return c.ratio(n, change)
