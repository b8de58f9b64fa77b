"""Claims about what grows with size: 6 (a plateau of satisfaction), 9 (depth), 10 (thinking beside parameters)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from probe.asking.measures import POSITIONS
from probe.results.evidence import Arm, Manner, Subject
from probe.results.findings import contrasts as c
from probe.results.findings import deciding as d
from probe.results.findings.contrasts import Contrast
from probe.results.findings.spending import Spent
from probe.results.findings.voting import MAJORITY
from probe.results.statistics import (
    best_of_each,
    best_of_k,
    logit_slope,
    multiple_slope,
    ratio,
    required_models,
    slope,
    slopes_without,
    t_quantile,
)

FLAT = 0.05  # per decade of parameters
STRICT = 0.02
BAND = (0.55, 0.60)  # of satisfied constraints, as published
ALIKE = 0.05  # within which reasoning on and off are alike
PER_DECADE = "difference per decade"

PLATEAU = d.Claim(
    number=6,
    title="Plateau of constraint satisfaction",
    published="On constrained optimization models plateau at 55-60 % constraint satisfaction whatever the architecture,"
    " size or training; reasoning models do not systematically do better.",
    source="arXiv 2603.23004",
    supported="over models the slope of satisfaction is flat (inside ±5 points per decade of parameters by two"
    " one-sided tests at 5 %), its level lies inside [55, 60] % by the same tests, reasoning on minus off of the same"
    " weights lies inside ±5 points, and the level corrected for chance lies above 0",
    refuted="the 95 % interval of the slope lies beyond ±5 points per decade, or that of the level outside [55, 60] %,"
    " or that of reasoning on minus off above 5 points",
    needs="at least 6 models of known size over 1.5 decades of parameters, most of them better than random answers and"
    " below 97 %; for support also 3 or more pairs of the same weights with reasoning on and"
    " off",
    plan="""\
models = ["all"]             # at least 6 over 1.5 decades of parameters; 20 where they differ much
baselines = ["all"]
channels = ["json"]
answer-tokens = 4096         # reasoning models need room, and all get the same

[[arm]]
families = ["knapsack", "assignment", "bin_packing", "job_shop", "graph_coloring", "set_cover", "tsp", "ac_opf"]
sizes = ["xs", "s", "m"]
instances = 30
""",
    by="model,params",
    where=("kind=optimization", "variant=fresh", "examples=0", "warning=false"),
)


def plateau(arms: Sequence[Arm]) -> d.Finding:
    """Judge claim 6 by the satisfaction of all models that were asked the same optimization problems plainly."""
    of, left = d.panel(d.chosen(arms, d.plain, lambda arm: arm.kind == "optimization"))
    found, unfit = d.values(of, d.of_baseline(arms))
    known, unsized = d.sized(found)
    pairs = _reasoning_pairs(found)
    twins = [on for _, on in pairs]
    main = [v for v in known if v not in twins]
    flat, level, above = _slope("slope over size", main), _level(main), _above_chance(main)
    reasoning, table = _reasoning(pairs)
    verdict, reason, test, p = _plateau(d.too_few(main), flat, level, above, reasoning)
    sensitivity = _sensitivity(main)
    same = "the same weights as another with reasoning off: compared apart"
    return d.Finding(
        claim=PLATEAU,
        verdict=verdict,
        reason=reason,
        effect=flat,
        estimates=tuple(e for e in (level, above, reasoning, *sensitivity) if e is not None),
        models=len(main),
        instances=d.instances(main),
        excluded=(*left, *unfit, *unsized, *(d.Excluded(v.subject.name, same) for v in twins if v in known)),
        baselines=d.of_baselines(of, arms, ("blank", "random", "greedy", "template")),
        parts=(d.of_models(main), *table),
        decides=None if verdict != "undecided" else _models_needed(main, FLAT),
        p=p,
        test=test,
    )


def _plateau(
    few: str | None,
    flat: d.Estimate | None,
    level: d.Estimate | None,
    above: d.Estimate | None,
    reasoning: d.Estimate | None,
) -> tuple[d.Verdict, str, str | None, float | None]:
    """Return (verdict, reason, test, p) by the rule of the claim."""
    if few is not None or flat is None or level is None:
        return "undecided", few or "no slope can be fitted", None, None
    direction = "grows" if flat.value > 0 else "falls"
    against = [
        (flat, flat.above(FLAT) or flat.below(-FLAT), f"satisfaction {direction} with size beyond the margin"),
        (level, level.below(BAND[0]) or level.above(BAND[1]), "the level lies outside 55-60 %"),
        (reasoning, reasoning is not None and reasoning.above(ALIKE), "reasoning adds more than 5 points"),
    ]
    if broken := [(one, why) for one, is_so, why in against if is_so and one is not None]:
        first = broken[0][0]
        return "refuted", "; ".join(why for _, why in broken), f"{first.what}, beyond the margin", first.p_beyond
    unshown = [
        (flat.within, "that it is flat over size"),
        (level.within, "that the level lies inside 55-60 %"),
        (reasoning is not None and reasoning.within, "that reasoning on and off are alike"),
        (above is not None and above.above(), "that the level lies above chance"),
    ]
    parts = [1.0 if one is None or one.p_within is None else one.p_within for one in (flat, level, reasoning)]
    test = "flat, at 55-60 % and alike with reasoning: the largest p of the three"
    if missing := [what for shown, what in unshown if not shown]:
        return "undecided", f"not shown: {'; '.join(missing)}", test, max(parts)
    return "supported", "flat over size at 55-60 %, above chance, and no better with reasoning", test, max(parts)


def _slope(what: str, found: Sequence[d.Value], margin: float = FLAT, correct: bool = False) -> d.Estimate | None:
    """Return the slope over log10 of the parameters, one value a model."""
    rates = [v.corrected if correct else v.rate for v in found]
    if any(rate is None or rate.error is None for rate in rates):
        return None
    fitted = slope(d.log10_params(found), [r.value for r in rates if r], [r.error or 0 for r in rates if r])
    return d.of_slope(what, fitted, PER_DECADE, margin)


def _sensitivity(found: Sequence[d.Value]) -> list[d.Estimate | None]:
    """Return the slope judged otherwise: strictly, corrected, over active parameters, without groups, as a logit."""
    sizes, rates, errors = d.log10_params(found), [v.rate.value for v in found], [v.rate.error or 0 for v in found]
    inner = [v for v in found if not (v.at_floor or v.at_ceiling)]
    out = [
        _slope("slope against the strict margin", found, STRICT),
        _slope("slope corrected for chance", found, correct=True),
        _slope("slope without models at floor or ceiling", inner) if len(inner) < len(found) else None,
    ]
    active = [math.log10(v.subject.active_params or v.subject.params or math.nan) for v in found]
    if active != sizes.tolist():
        out.append(d.of_slope("slope over active parameters", slope(active, rates, errors), PER_DECADE, FLAT))
    lines = [v.subject.lineage for v in found]
    without = {line: one for line, one in slopes_without(lines, sizes, rates, errors).items() if one and line}
    if len(without) > 1:
        for end, line in (
            ("lowest", min(without, key=lambda o: without[o].slope)),
            ("highest", max(without, key=lambda o: without[o].slope)),
        ):
            out.append(d.of_slope(f"{end} slope without one lineage ({line})", without[line], PER_DECADE, FLAT))
    if found and (logit := logit_slope(sizes, [v.n.sum() for v in found], [v.y.sum() for v in found])):
        error = (logit.effect_high - logit.effect_low) / 2 / t_quantile(0.95, logit.df)
        out.append(d.estimate("slope by fractional logit", logit.effect, error, logit.df, unit=PER_DECADE, margin=FLAT))
    return out


def _models_needed(found: Sequence[d.Value], margin: float) -> str | None:
    """Return how many models would show flatness, at the scatter that these show around their line."""
    fitted = slope(d.log10_params(found), [v.rate.value for v in found], [v.rate.error or 0 for v in found])
    if fitted is None or not fitted.standard_error:
        return None
    sizes = d.log10_params(found)
    scatter = fitted.standard_error * math.sqrt(float(np.square(sizes - sizes.mean()).sum()))
    models = required_models(margin, scatter)
    shown = f"{models} models" if models else "more than 1,000 models"
    return (
        f"models scatter {100 * scatter:.1f} points around their line; were it flat, {shown} over 3 decades of"
        f" parameters would show it inside ±{100 * margin:g} points per decade in 4 of 5 studies"
    )


def _level(found: Sequence[d.Value]) -> d.Estimate | None:
    """Return the mean over models, uncertain by which models were asked and by which instances."""
    mean = c.mean("", [one for v in found if (one := c.ratio(v.n, v.y)) is not None], unit="share")
    if mean is None:
        return None
    (low, high), what = BAND, "level over models, against 55-60 %"
    band = {"margin": (high - low) / 2, "centre": (high + low) / 2}
    return d.estimate(what, mean.value, mean.error, len(found) - 1, unit="share", **band)


def _above_chance(found: Sequence[d.Value]) -> d.Estimate | None:
    """Return the mean over models of the level corrected for chance."""
    above = [v.corrected for v in found if v.corrected is not None]
    if len(above) < len(found):
        return None
    return d.over_models("level corrected for chance", above, unit="corrected share")


def _reasoning_pairs(found: Sequence[d.Value]) -> list[tuple[d.Value, d.Value]]:
    """Return pairs of the same weights, reasoning off and on; each model is in one pair at most."""
    pairs: list[tuple[d.Value, d.Value]] = []
    free = [v for v in found if v.subject.reasoning]
    for off in (v for v in found if not v.subject.reasoning):
        on = next((v for v in free if _same_weights(off.subject, v.subject)), None)
        if on is not None:
            free.remove(on)
            pairs.append((off, on))
    return pairs


def _same_weights(a: Subject, b: Subject) -> bool:
    if a.served_id is not None and a.served_id == b.served_id:
        return True
    return a.lineage is not None and a.params is not None and (a.lineage, a.params) == (b.lineage, b.params)


def _reasoning(pairs: Sequence[tuple[d.Value, d.Value]]) -> tuple[d.Estimate | None, tuple[d.Part, ...]]:
    """Return reasoning on minus off, mean over pairs of the same weights, and the table of pairs."""
    rows, gains = [], []
    for off, on in pairs:
        n, (y_off, y_on) = c.matched([off.n, on.n], [off.y, on.y])
        if (gain := c.ratio(n, y_on - y_off)) is not None:
            gains.append(gain)
            rows.append((off.subject.name, on.subject.name, off.rate, on.rate, gain.estimate("on minus off", ALIKE)))
    if not rows:
        return None, ()
    columns = ("reasoning off", "reasoning on", "satisfied off", "satisfied on", "on minus off")
    mean = c.mean("reasoning on minus off, the same weights", gains, ALIKE)
    return mean, (d.Part("Reasoning, the same weights", columns, tuple(rows)),)


# --- 9: depth ---------------------------------------------------------------------------------------------------------

SMALL = 2_000_000_000  # parameters below which a model is small
DEEP = 0.03  # per doubling of depth: less is no advantage
FEWEST_DEEP = 8  # models
PER_DEPTH = "difference per doubling of depth"

DEPTH = d.Claim(
    number=9,
    title="Depth beats width in small models",
    published="For small models depth matters more than width: at equal parameters the deeper one is better.",
    source="MobileLLM, arXiv 2402.14905",
    supported="over models below 2 B parameters, at fixed log parameters, satisfaction grows with log depth: the 95 %"
    " interval of its slope lies above 0, and it is not shown to be small",
    refuted="that slope lies inside ±3 points per doubling of depth (two one-sided tests at 5 %), or its interval below"
    " 0",
    needs="at least 8 models below 2 B parameters whose layers and width are known, of different depth at like size,"
    " most of them better than random answers and below 97 %",
    plan="""\
models = ["all"]             # at least 8 below 2e9 parameters, added with --params, --layers and --width
baselines = ["all"]
channels = ["json"]

[[arm]]                      # easy enough for small models
families = ["knapsack", "assignment", "graph_coloring", "set_cover", "production_mix", "max_sat"]
sizes = ["xs"]
instances = 50

[[arm]]
families = ["bisection", "fixed_point", "jacobi", "linear_congruential"]
sizes = ["xs"]
instances = 50
""",
    by="model,params,layers,width",
    where=("variant=fresh", "mode=final", "examples=0", "warning=false"),
)


def depth(arms: Sequence[Arm]) -> d.Finding:
    """Judge claim 9 by small models of known shape, all families, final answers; one value a model."""
    of, left = d.panel(d.chosen(arms, d.plain, lambda arm: arm.mode == "final", lambda arm: _shaped(arm.subject)))
    found, unfit = d.values(of, d.of_baseline(arms))
    layers = [math.log2(v.subject.layers or 1) for v in found]
    rates, errors = [v.rate.value for v in found], [v.rate.error or 0 for v in found]
    fitted = multiple_slope([layers, d.log10_params(found)], rates, errors) if found else None
    deep = d.of_slope("slope over log depth at fixed log parameters", fitted, PER_DEPTH, DEEP)
    few = d.too_few(found, FEWEST_DEEP, decades=0)
    verdict: d.Verdict = "undecided"
    test, p = None, None
    if few is not None:
        reason = few
    elif deep is None or deep.p is None:
        reason = "depth can't be told from size in these models"
    elif deep.within:
        verdict, reason = "refuted", "depth makes no difference beyond the margin at equal size"
        test, p = "slope over log depth, inside the margin", deep.p_within
    elif deep.above():
        verdict, reason, test, p = "supported", "deeper models are better at equal size", "slope over log depth", deep.p
    elif deep.below():
        verdict, reason, test, p = "refuted", "deeper models are worse at equal size", "slope over log depth", deep.p
    else:
        reason, test, p = "the slope over depth is neither shown to lie above 0 nor to be small", "slope", deep.p
    rows = tuple((v.subject.name, v.subject.params, v.subject.layers, v.subject.width, v.rate) for v in found)
    return d.Finding(
        claim=DEPTH,
        verdict=verdict,
        reason=reason,
        effect=deep,
        models=len(found),
        instances=d.instances(found),
        excluded=(*left, *unfit),
        baselines=d.of_baselines(of, arms, ("blank", "random")),
        parts=(d.Part("Models", ("model", "parameters", "layers", "width", "satisfied"), rows),),
        p=p,
        test=test,
    )


def _shaped(subject: Subject) -> bool:
    """Return whether a model is small and its depth and width are known."""
    known = subject.params is not None and subject.layers is not None and subject.width is not None
    return known and subject.params is not None and subject.params < SMALL


# --- 10: thinking -----------------------------------------------------------------------------------------------------

GAIN = 0.01  # per doubling of thinking: less is none
LEVELS = 3
PER_DOUBLING = "difference per doubling of tokens"

THINKING = d.Claim(
    number=10,
    title="Thinking as a second axis of scaling",
    published="Models with latent thought open dimensions of scaling besides parameters.",
    source="arXiv 2502.01567",
    supported="at fixed weights satisfaction grows with the tokens spent on an answer: over models the 95 % interval of"
    " the gain per doubling lies above 0, and it is not shown to be small; and the gain in feasible answers lies above"
    " that of spending the same tokens on more samples and taking the best (its 95 % interval too)",
    refuted="the gain per doubling lies inside ±1 point (two one-sided tests at 5 %), or its interval below 0",
    needs="at least 3 models asked the same questions at 3 or more levels of effort that at least double the tokens"
    " spent, in the same manner otherwise; for support also 4 or more samples at the lowest level (temperature above"
    " 0)",
    plan="""\
# Run it three times, with effort = "low", "medium" and "high": --effort overrides this file.
models = ["all"]             # at least 3 that take a reasoning effort
baselines = ["all"]
channels = ["json"]
effort = "low"
samples = 4                  # to be compared with: the best of as many samples as the same tokens buy
temperature = 0.7
answer-tokens = 8192

[[arm]]
families = ["knapsack", "assignment", "bin_packing", "graph_coloring", "set_cover", "tsp"]
sizes = ["xs", "s"]
instances = 30
""",
    by="model,effort",
    where=("variant=fresh", "mode=final", "examples=0", "warning=false"),
)


def thinking(arms: Sequence[Arm], spent: Mapping[int, Spent], voted: Sequence[Arm]) -> d.Finding:
    """Judge claim 10 within models: the same weights and questions at several efforts.

    ``spent``: tokens by shard (`spending`); ``voted``: what the commonest of several answers is worth (`voting`).
    """
    asked = d.chosen(arms, d.plain, lambda arm: arm.mode == "final")
    at_efforts = {arm.subject for arm in asked if arm.manner is not None and arm.manner.effort is not None}
    of_model: dict[Subject, list[Arm]] = {}
    for arm in asked:
        if arm.subject in at_efforts:
            of_model.setdefault(arm.subject, []).append(arm)
    places = c.Places(arm for own in of_model.values() for arm in own)
    left, rows = [], []
    gains: list[Contrast] = []
    beyond: list[Contrast] = []
    for subject in sorted(of_model, key=c.by_size):
        levels = _levels(of_model[subject], spent)
        if (why := _unfit(levels)) is not None:
            left.append(d.Excluded(subject.name, why))
            continue
        if (gain := _gain(levels, "constraints", places)) is None or gain.instances < d.FEWEST_INSTANCES:
            left.append(d.Excluded(subject.name, f"below {d.FEWEST_INSTANCES} instances counted at all levels"))
            continue
        gains.append(gain)
        sampled = _beyond_sampling(levels, places)
        beyond += [sampled] if sampled is not None else []
        rows.append(
            (
                subject.name,
                subject.params,
                " → ".join(f"{2**x:.0f}" for x, _ in levels),
                gain.estimate("gain", GAIN, PER_DOUBLING),
                None if sampled is None else sampled.estimate("beyond best-of-k", unit=PER_DOUBLING),
            )
        )
    mean = c.mean("gain per doubling of tokens spent, over models", gains, GAIN, PER_DOUBLING)
    more = c.mean("gain in feasible answers beyond best-of-k at equal tokens", beyond, unit=PER_DOUBLING)
    verdict, reason, test, p = _thinking(len(gains), mean, more)
    columns = ("model", "parameters", "tokens an answer", "gain per doubling", "beyond best-of-k")
    return d.Finding(
        claim=THINKING,
        verdict=verdict,
        reason=reason,
        effect=mean,
        estimates=tuple(e for e in (more, _beside(asked) if gains else None) if e is not None),
        models=len(gains),
        instances=max((one.instances for one in gains), default=0),
        excluded=tuple(left),
        parts=(d.Part("Models", columns, tuple(rows)), _samples(asked, voted)),
        p=p,
        test=test,
    )


def _samples(asked: Sequence[Arm], voted: Sequence[Arm]) -> d.Part:
    """Return what more samples are worth: one answer, the best of all, and the commonest; feasible ones."""
    votes = {(arm.subject, arm.manner, arm.asked): arm for arm in voted}
    groups: dict[tuple[Subject, Manner | None], list[Arm]] = {}
    for arm in asked if votes else ():
        if (arm.subject, arm.manner, arm.asked) in votes:
            groups.setdefault((arm.subject, arm.manner), []).append(arm)
    rows = []
    for (subject, manner), single in groups.items():
        n, y = d.counted(single, "feasible")
        commonest = d.counted((votes[subject, manner, arm.asked] for arm in single), MAJORITY)
        rates = [ratio(n, y), best_of_k(n, y, int(n.max())), ratio(*commonest)] if n.any() else []
        shown = (None if rate is None else d.of_rate("feasible", rate) for rate in rates)
        if rates:
            rows.append((subject.name, manner.effort if manner else None, int(n.max()), *shown))
    columns = ("model", "effort", "samples", "one of them feasible", "the best of them", "the commonest of them")
    return d.Part("More samples", columns, tuple(rows))


def _thinking(
    models: int, gain: d.Estimate | None, more: d.Estimate | None
) -> tuple[d.Verdict, str, str | None, float | None]:
    """Return (verdict, reason, test, p) by the rule of the claim."""
    if models < d.FEWEST_COMPARED or gain is None or gain.p is None:
        return (
            "undecided",
            f"{models} models were asked at 3 levels of effort; it takes {d.FEWEST_COMPARED}",
            None,
            None,
        )
    if gain.within:
        return "refuted", "more thinking makes no difference beyond the margin", "gain inside the margin", gain.p_within
    if gain.below():
        return "refuted", "more thinking makes answers worse", "gain below 0", gain.p
    if not gain.above():
        return "undecided", "not shown: that more thinking helps, nor that it does not", "gain per doubling", gain.p
    if more is None or more.p is None:
        return "undecided", "thinking helps; that it helps more than sampling is not measured", "gain", gain.p
    p = max(gain.p, more.p)
    if more.above():
        return "supported", "thinking helps at fixed weights, and more than sampling as much", "both gains", p
    return "undecided", "thinking helps; not shown: that it helps more than sampling as much", "both gains", p


Level = tuple[float, list[Arm]]  # log2 of the tokens an answer took on average; the arms


def _levels(own: Sequence[Arm], spent: Mapping[int, Spent]) -> list[Level]:
    """Return one model's levels of effort on the questions that all of them were asked, by tokens spent."""
    by_manner: dict[object, dict[str | None, list[Arm]]] = {}
    for arm in own:
        if arm.manner is not None:
            rest = replace(arm.manner, effort=None)
            by_manner.setdefault(rest, {}).setdefault(arm.manner.effort, []).append(arm)
    best: list[Level] = []
    for efforts in by_manner.values():
        common = set.intersection(*({arm.asked for arm in level} for level in efforts.values()))
        levels = []
        for level in efforts.values():
            kept = [arm for arm in level if arm.asked in common]
            cost = [spent[shard] for arm in kept for shard in arm.shards if shard in spent]
            if cost:
                levels.append((math.log2(sum(c.tokens for c in cost) / sum(c.answers for c in cost)), kept))
        if common and len(levels) > len(best):
            best = sorted(levels, key=lambda level: level[0])
    return best


def _unfit(levels: Sequence[Level]) -> str | None:
    """Return why a model's levels don't count, None where they do."""
    if len(levels) < LEVELS or levels[-1][0] - levels[0][0] < 1:
        return f"no {LEVELS} levels of effort that at least double the tokens spent on the same questions"
    return next((why for _, arms in levels if (why := d.lost(arms)) is not None), None)


def _rates(arms: Iterable[Arm], measure: str) -> d.Floats:
    """Return the rate of each instance, NaN where nothing was counted."""
    n, y = d.counted(arms, measure)
    return np.where(n > 0, y / np.maximum(n, 1), math.nan)


def _slopes(x: Sequence[float], rates: Sequence[d.Floats]) -> d.Floats:
    """Return each instance's slope of its rate over x, NaN where a rate is."""
    centred = np.asarray(x) - np.mean(x)
    return np.asarray(centred @ np.array(rates) / float(centred @ centred))


def _gain(levels: Sequence[Level], measure: str, places: c.Places) -> Contrast | None:
    """Return the mean over instances of the change of a rate per doubling of tokens."""
    slopes = _slopes([x for x, _ in levels], [_rates(arms, measure) for _, arms in levels])
    return _over_instances(levels[0][1], slopes, places)


def _over_instances(arms: Iterable[Arm], values: d.Floats, places: c.Places) -> Contrast | None:
    """Return the mean of one value per instance of some arms, those left out that are NaN."""
    n, total = np.zeros((2, places.count))
    for base, of_base in zip(sorted({arm.base for arm in arms}), values.reshape(-1, POSITIONS), strict=True):
        n[places.of(base)], total[places.of(base)] = np.isfinite(of_base), np.nan_to_num(of_base)
    return c.ratio(n, total)


def _beyond_sampling(levels: Sequence[Level], places: c.Places) -> Contrast | None:
    """Return the gain in feasible answers per doubling of tokens less that per doubling of samples at the lowest level.

    Best-of-k by the judge, who knows: more than anyone can have who does not. None without 4 samples of an instance.
    """
    n, y = d.counted(levels[0][1], "feasible")
    doublings = range(int(math.log2(n.max())) + 1) if n.size and n.max() >= 4 else range(0)
    if not doublings:
        return None
    thought = _slopes([x for x, _ in levels], [_rates(arms, "feasible") for _, arms in levels])
    sampled = _slopes(doublings, [best_of_each(n, y, 2**i) for i in doublings])
    return _over_instances(levels[0][1], thought - sampled, places)


def _beside(asked: Sequence[Arm]) -> d.Estimate | None:
    """Return the gain per doubling of parameters, to be set beside that of thinking."""
    of, _ = d.panel(asked)
    known, _ = d.sized(d.values(of, {})[0])
    grown = _slope("", known)
    if grown is None or grown.error is None:
        return None
    what, doubling = "gain per doubling of parameters", math.log10(2)
    unit = "difference per doubling of parameters"
    return d.estimate(what, doubling * grown.value, doubling * grown.error, len(known) - 2, unit=unit)
