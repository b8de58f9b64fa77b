"""Studies with a known truth, many times over: how often is an interval, test or verdict right?

Each function takes replications and a seed, and returns a table with what missed its band (research plan: coverage
at least 93 %, false positives at most 6 % at 5 %, equivalence at its margin at most 6 %, and power as promised).
"""

import math

import numpy as np

from probe.results import statistics as s
from probe.results import traces
from tests.simulate.tables import FULL, Table, share

COVERAGE, FALSE, POWER = 0.93, 0.06, 0.95


def betas(rng, rate, rho, shape):
    """Abilities of instances: mean `rate`, correlation `rho` of answers within an instance."""
    scale = (1 - rho) / rho
    return rng.beta(rate * scale, (1 - rate) * scale, shape)


def clustered(rng, rate, rho, shape, low=10, high=10):
    """Beta-binomial (n, y) of the given shape, low to high answers an instance."""
    n = rng.integers(low, high + 1, shape)
    return n, rng.binomial(n, betas(rng, rate, rho, shape))


def plain(n, y, quantile):
    """Do the usual cluster-robust limits hold each row's truth? Half widths and rates, vectorised over rows."""
    total = n.sum(axis=1, keepdims=True)
    rate = y.sum(axis=1, keepdims=True) / total
    variance = np.square(y - rate * n).sum(axis=1) / total[:, 0] ** 2 * n.shape[1] / (n.shape[1] - 1)
    return rate[:, 0], quantile * np.sqrt(variance)


REGIMES = [
    ("10 each, correlation .1", 0.1, 10, 10, (5, 10, 20, 50, 200)),
    ("10 each, correlation .5", 0.5, 10, 10, (5, 20, 200)),
    ("2 to 40, correlation .5", 0.5, 2, 40, (5, 20, 200)),
]


def rates(replications, seed):
    """Coverage of a rate's interval, beside that of plain cluster-robust intervals."""
    table = Table(
        "Rates",
        "Share of nominal 95 % intervals of `ratio` that hold the true rate, in brackets what a plain cluster-robust"
        " interval with a normal and with a t quantile reaches.",
        ["constraints an instance", "instances", *(f"rate {rate} (z, t)" for rate in (0.02, 0.57, 0.95))],
        replications,
    )
    rng = np.random.default_rng([seed, 1])
    for name, rho, low, high, sizes in REGIMES:
        for instances in sizes:
            cells = []
            for rate in (0.02, 0.57, 0.95):
                n, y = clustered(rng, rate, rho, (replications, instances), low, high)
                found = [s.ratio(*study) for study in zip(n, y, strict=True)]
                held = share(i.low <= rate <= i.high for i in found)
                table.at_least(f"{name}, {instances} instances, rate {rate}", held, COVERAGE)
                others = []
                for quantile in (1.96, s.t_quantile(0.95, instances - 1)):
                    estimate, half = plain(n, y, quantile)
                    others.append(f"{100 * np.mean(np.abs(estimate - rate) <= half):.0f}")
                cells.append(f"{100 * held:.1f} ({', '.join(others)})")
            table.row(name, instances, *cells)
    return table


def other_rates(replications, seed):
    """Coverage of everything else that has a rate's interval."""
    table = Table(
        "Other rates",
        "Share of nominal 95 % intervals that hold the truth; constraints, samples or traces correlate by .1 to .3"
        " within an instance.",
        ["estimate", "truth", *(f"{g} instances" for g in (10, 20, 50, 200))],
        replications,
    )
    rng = np.random.default_rng([seed, 2])

    def macro(shape):
        return clustered(rng, 0.57, 0.3, shape, 2, 40)

    def corrected(rate, base):
        def draw(shape):
            ability = rng.random(shape)  # instances easy for one are easy for the other
            n = np.full(shape, 10)
            p = [np.clip(r + 0.4 * r * (1 - r) * (2 * ability - 1), 0, 1) for r in (rate, base)]
            return n, rng.binomial(n, p[0]), n, rng.binomial(n, p[1])

        return draw

    def excess(rate, null):
        def draw(shape):
            n = np.ones(shape, int)
            matched = rng.binomial(n, betas(rng, rate, 0.2, shape))
            return n, matched, n, rng.binomial(20, betas(rng, null, 0.1, shape)) / 20

        return draw

    def samples(shape):
        return clustered(rng, 0.3, 0.3, shape, 8, 8)

    x = betas(np.random.default_rng(1), 0.3, 0.3, 1_000_000)
    rows = [
        ("`macro`, 2 to 40 constraints", 0.57, macro, s.macro),
        ("`corrected`, .57 over .3", 0.27 / 0.7, corrected(0.57, 0.3), s.corrected),
        ("`corrected`, .97 over .6", 0.37 / 0.4, corrected(0.97, 0.6), s.corrected),
        ("`corrected`, .03 over .02", 0.01 / 0.98, corrected(0.03, 0.02), s.corrected),
        ("`excess`, .02 over .02", 0.0, excess(0.02, 0.02), s.excess),
        ("`excess`, .1 over .02", 0.08, excess(0.1, 0.02), s.excess),
        ("`excess`, .5 over .05", 0.45, excess(0.5, 0.05), s.excess),
        ("`best_of_k`, 4 of 8 samples", float(np.mean(1 - (1 - x) ** 4)), samples, lambda n, y: s.best_of_k(n, y, 4)),
    ]
    for name, truth, draw, estimate in rows:
        cells = []
        for instances in (10, 20, 50, 200):
            found = [estimate(*study) for study in zip(*draw((replications, instances)), strict=True)]
            held = share(i.low <= truth <= i.high for i in found)
            cells.append(table.at_least(f"{name}, {instances} instances", held, COVERAGE))
        table.row(name, f"{truth:.3f}", *cells)
    return table


def pairs(replications, seed):
    """Level and coverage of paired differences, and of equivalence at its margin."""
    table = Table(
        "Paired differences",
        "Two arms on the same instances, 10 constraints each, abilities of an instance shared by half: share of"
        " permutation tests with p <= .05 and of 95 % intervals that hold the truth; share that `equivalence` calls"
        " equal within ±5 points where the difference is 5 points, and where it is 0.",
        ["rates", "instances", "p <= .05", "interval holds", "no interval", "equal at 5 points", "equal at 0"],
        replications,
    )
    rng = np.random.default_rng([seed, 3])
    for rate, gap in ((0.57, 0.0), (0.57, 0.05), (0.05, 0.0), (0.05, 0.05), (0.02, 0.2)):
        for instances in (10, 20, 50, 200):
            shape, n = (replications, instances), np.full(instances, 10)
            shared = betas(rng, rate, 0.2, shape)
            arms = [
                rng.binomial(10, np.where(rng.random(shape) < 0.5, shared, betas(rng, rate, 0.2, shape)))
                for _ in range(2)
            ]
            arms[0] = arms[0] + rng.binomial(10 - arms[0], gap / (1 - rate))
            found = [s.paired_difference(n, a, n, b) for a, b in zip(*arms, strict=True)]
            where = f"rate {rate}, difference {gap}, {instances} instances"
            known = [d for d in found if d.low is not None]
            held = table.at_least(f"interval, {where}", share(d.low <= gap <= d.high for d in known), COVERAGE)
            p = share(d.p <= 0.05 for d in found)
            same = share(e is not None and e.p <= 0.05 for e in (s.equivalence(d, 0.05) for d in found))
            if gap:
                if gap == 0.05:
                    table.at_most(f"equivalence at its margin, {where}", same, FALSE)
            else:
                table.at_most(f"permutation test, {where}", p, FALSE)
            cells = ("", same) if not gap else (same, "") if gap == 0.05 else ("", "")
            names = f"{rate:.2f}" if not gap else f"{rate + gap:.2f} - {rate:.2f}"
            table.row(names, instances, p, held, 1 - len(known) / replications, cells[0], cells[1])
    return table


def mcnemar(replications, seed):
    """False positives of McNemar's mid-p, exactly: sums over all outcomes."""
    table = Table(
        "McNemar",
        "Two arms of equal rate, one trial an instance: chance that `mcnemar_mid_p` is <= .05, computed exactly"
        " (no simulation), by the share of instances on which the arms differ.",
        ["instances", *(f"{d:.0%} differ" for d in (0.1, 0.3, 0.6))],
        replications,
    )
    for instances in (10, 20, 50, 200):
        cells = []
        for differ in (0.1, 0.3, 0.6):
            chance = 0.0
            for m in range(1, instances + 1):
                weight = math.comb(instances, m) * differ**m * (1 - differ) ** (instances - m)
                low = [math.comb(m, b) for b in range(m + 1) if s.mcnemar_mid_p(b, m - b) <= 0.05]
                chance += weight * sum(low) / 2**m if weight > 1e-15 else 0.0
            cells.append(table.at_most(f"{instances} instances, {differ:.0%} differ", chance, FALSE))
        table.row(instances, *cells)
    return table


def models(rng, replications, count, tau, true=0.0):
    """Sizes over three decades, and rates that scatter by tau and by 1 point of measurement around a line."""
    x = np.linspace(8, 11, count)
    return x, 0.57 + true * (x - 9.5) + rng.normal(0, math.hypot(tau, 0.01), (replications, count))


def slopes(replications, seed):
    """False slopes over models, by model and by trial."""
    table = Table(
        "Slopes",
        "Models scatter by tau points around a flat line, 1 point of measurement: share of studies that find a slope"
        " at 5 %. `slope` and `logit_slope` take the model as the unit; *by trial* is the trap: errors clustered by"
        " instance, as if nothing but the trials were random. Twice as many studies, for `logit_slope` half as many.",
        ["tau", "models", "`slope`", "`logit_slope`", "by trial"],
        replications,
    )
    rng = np.random.default_rng([seed, 4])
    for tau in (0.03, 0.08):
        for count in (3, 4, 6, 8, 12, 20):
            x, y = models(rng, 2 * replications, count, tau)
            errors = np.full(count, 0.01)
            where = f"{count} models, tau {tau}"
            by_model = table.at_most(f"slope, {where}", share(s.slope(x, r, errors).p <= 0.05 for r in y), FALSE)
            n = np.full(count, 2_400)
            fits = [s.logit_slope(x, n, n * np.clip(r, 0, 1)) for r in y[: max(20, replications // 2)]]
            logit = "" if fits[0] is None else share(fit.p <= 0.05 for fit in fits)
            if logit != "":
                table.at_most(f"logit_slope, {where}", logit, FALSE)
            centred = x - x.mean()
            by_trial = float(np.mean(np.abs(y @ centred) / (0.01 * math.sqrt(centred @ centred)) > 1.96))
            table.row(f"{100 * tau:.0f}", count, by_model, logit, by_trial)
    return table


def lineages(replications, seed):
    """False slopes where models of a lineage share more than their size."""
    table = Table(
        "Lineages",
        "12 models in 4 lineages; a lineage shifts all its models by 5 points (sd), a model scatters by 2: share of"
        " studies of a flat truth that find a slope at 5 %, by where a lineage's sizes lie. Within lineages:"
        " `multiple_slope` with a column for each lineage but one.",
        ["sizes of a lineage", "`slope`", "within lineages"],
        replications,
    )
    rng = np.random.default_rng([seed, 5])
    group = np.repeat(np.arange(4), 3)
    columns = [(group == g).astype(float) for g in (1, 2, 3)]
    for name, x in (("the same for all", np.tile([8, 9.5, 11], 4)), ("each its own range", np.linspace(8, 11, 12))):
        y = 0.57 + rng.normal(0, 0.05, (replications, 4))[:, group] + rng.normal(0, 0.02, (replications, 12))
        found = share(s.slope(x, r).p <= 0.05 for r in y)
        within = share(s.multiple_slope([x, *columns], r).p <= 0.05 for r in y)
        table.row(name, found, table.at_most(f"within lineages, {name}", within, FALSE))
    return table


def flatness(replications, seed):
    """Power of flatness in truly flat curves, and its false positives at the margin."""
    table = Table(
        "Flatness",
        "Sizes over three decades, 1 point of measurement: share of truly flat curves that `equivalence` calls flat"
        " within ±margin points per decade, beside what `flatness_power` promises, and (at) of curves whose slope is"
        " the margin; *by trial*: the latter with errors of trials.",
        ["margin", "tau", "models", "flat", "promised", "at", "by trial"],
        replications,
    )
    rng = np.random.default_rng([seed, 6])
    for margin, tau in ((2, 2), (2, 3), (5, 3), (5, 5), (5, 8)):
        for count in (4, 6, 8, 12, 20, 40):
            errors = np.full(count, 0.01)

            def flat(x, y, errors=errors, margin=margin):
                found = (s.equivalence(s.slope(x, r, errors), margin / 100) for r in y)
                return share(e is not None and e.p <= 0.05 for e in found)

            where = f"margin {margin}, tau {tau}, {count} models"
            x, y = models(rng, replications, count, tau / 100)
            promised = s.flatness_power(x, math.hypot(tau, 1), margin)
            power = flat(x, y)
            table.at_least(f"power, {where}", power, promised - 0.03)
            if promised >= 0.97:
                table.at_least(f"power, {where}", power, POWER)
            _, y = models(rng, replications, count, tau / 100, margin / 100)
            at = table.at_most(f"at the margin, {where}", flat(x, y), FALSE)
            centred = x - x.mean()
            spread = float(centred @ centred)
            half = 1.645 * 0.01 / math.sqrt(spread)
            by_trial = float(np.mean(np.abs(y @ centred) / spread + half < margin / 100))
            table.row(margin, tau, count, power, promised, at, by_trial)
    return table


def planning(replications, seed):
    """Is what planning promises found?"""
    table = Table(
        "Planning",
        "Share of studies of the planned size that find (p <= .05) the effect they were planned for; 80 % are meant.",
        ["planned by", "for", "needs", "found"],
        replications,
    )
    rng = np.random.default_rng([seed, 7])
    for difference, rate, constraints, rho in ((0.1, 0.57, 10, 0.1), (0.05, 0.57, 10, 0.1), (0.2, 0.4, 1, 0.1)):
        needed = s.required_instances(difference, rate, constraints, rho)
        n = np.full(needed, constraints)
        arms = [
            clustered(rng, r, rho, (replications, needed), constraints, constraints)[1]
            for r in (rate + difference / 2, rate - difference / 2)
        ]
        found = share(s.paired_difference(n, a, n, b).low > 0 for a, b in zip(*arms, strict=True))
        what = f"{100 * difference:.0f} points around {rate}, {constraints} constraints"
        table.at_least(what, found, 0.76)
        table.row("`required_instances`", what, f"{needed} instances", found)
    for count, tau in ((6, 0.03), (8, 0.05), (20, 0.08)):
        x = np.linspace(8, 11, count)
        true = s.minimum_detectable_slope(x, math.hypot(tau, 0.01))
        _, y = models(rng, replications, count, tau, true)
        found = share(s.slope(x, r, np.full(count, 0.01)).p <= 0.05 for r in y)
        what = f"{count} models, tau {100 * tau:.0f} points"
        table.at_least(what, found, 0.76)
        table.row("`minimum_detectable_slope`", what, f"{100 * true:.1f} points a decade", found)
    return table


def steps(replications, seed):
    """False changes of a constant law of steps, and true ones."""
    table = Table(
        "Laws of steps",
        "Traces whose chance of a right step is constant (correlated within an instance by .1 to .4), or falls from"
        " the first to the last step: share with p <= .05, and with p <= .05, a decline and AIC for it, and by AIC"
        " alone (either direction).",
        ["chance of a step", "steps", "instances", "p <= .05", "declining", "by AIC alone"],
        replications,
    )
    rng = np.random.default_rng([seed, 8])
    laws = [(0.9, 0.9, 0.1), (0.9, 0.9, 0.4), (0.6, 0.6, 0.3), (0.98, 0.98, 0.2), (0.9, 0.7, 0.2)]
    for first, last, rho in laws:
        for instances, count in ((10, 8), (20, 8), (60, 8), (60, 16)):
            n = np.ones((instances, count))
            chance = np.linspace(first, last, count) / first
            tested = declining = by_aic = 0
            for _ in range(replications):
                ability = betas(rng, first, rho, (instances, 1))
                law = traces.step_law(n, rng.random(n.shape) < ability * chance)
                significant = law.p is not None and law.p <= 0.05
                preferred = law.aic_difference is not None and law.aic_difference > 0
                tested += significant
                declining += significant and preferred and law.direction < 0
                by_aic += preferred
            where = f"{first} to {last}, {count} steps, {instances} instances"
            if first == last:
                table.at_most(f"p, {where}", tested / replications, FALSE)
            elif instances == 60:
                table.at_least(f"declining, {where}", declining / replications, POWER)
            name = f"{first}" if first == last else f"{first} to {last}"
            table.row(
                f"{name}, correlation {rho}", count, instances, *(c / replications for c in (tested, declining, by_aic))
            )
    return table


def horizons(replications, seed):
    """Coverage of the horizon of 50 % survival."""
    table = Table(
        "Horizons",
        "Traces of 12 steps whose chance of a right step differs between instances (correlation .01 or .3): share of"
        " 95 % intervals of `survival` that hold the true horizon, and their mean width in steps. 13 stands for"
        " beyond step 12.",
        ["chance of a step", "horizon", *(f"{g} instances" for g in (5, 10, 20, 60))],
        replications // 2,
    )
    rng = np.random.default_rng([seed, 9])
    for rate, rho in ((0.8, 0.01), (0.8, 0.3), (0.9, 0.01), (0.97, 0.01)):
        scale = (1 - rho) / rho
        a, b, alive, true = rate * scale, (1 - rate) * scale, 1.0, 13
        for k in range(12):  # the mean of ability^k
            alive *= (a + k) / (a + b + k)
            if alive < 0.5:
                true = k + 1
                break
        cells = []
        for instances in (5, 10, 20, 60):
            n = np.ones((instances, 12))
            found = []
            for _ in range(table.replications):
                right = rng.random(n.shape) < betas(rng, rate, rho, (instances, 1))
                found.append(traces.survival(n, right.cumprod(axis=1)))
            held = share(f.low <= true <= f.high for f in found)
            table.at_least(f"{rate}, correlation {rho}, {instances} instances", held, COVERAGE)
            cells.append(f"{100 * held:.1f} ({np.mean([f.high - f.low for f in found]):.1f})")
        table.row(f"{rate}, correlation {rho}", true if true < 13 else "beyond", *cells)
    return table


def shares(replications, seed):
    """False differences of variance shares, and true ones."""
    table = Table(
        "Variance shares",
        "3 levels of novelty x 3 sizes, 10 constraints an instance, instances scatter by 25 points; twins: positions"
        " correlate by .6 over novelty. Share of 95 % intervals of novelty minus size above 0 and below 0, and mean"
        " shares.",
        ["effects (points a level): novelty, size", "twins", "in a cell", "above 0", "below 0", "novelty", "size"],
        replications // 2,
    )
    rng = np.random.default_rng([seed, 10])
    steps_ = np.array([1, 0, -1]) / 100
    for novelty, size in ((0, 0), (5, 5), (15, 15), (15, 5), (5, 15)):
        for twins, instances in ((0.0, 40), (0.6, 40), (0.0, 100)) if novelty == size else ((0.0, 40), (0.6, 40)):
            found = []
            for _ in range(table.replications):
                own, common = rng.normal(0, 0.25, (3, 3, instances)), rng.normal(0, 0.25, (1, 3, instances))
                scatter = math.sqrt(twins) * common + math.sqrt(1 - twins) * own
                p = 0.5 + (novelty * steps_)[:, None, None] + (size * steps_)[None, :, None] + scatter
                found.append(s.variance_shares(rng.binomial(10, np.clip(p, 0, 1)) / 10))
            above, below = share(v.low > 0 for v in found), share(v.high < 0 for v in found)
            where = f"{novelty} and {size} points, twins {twins}, {instances} in a cell"
            if novelty == size:
                table.at_most(where, above + below, FALSE)
            elif not twins:
                table.at_least(where, above if novelty > size else below, 0.9)
            means = (float(np.mean([getattr(v, f) for v in found])) for f in ("novelty", "size"))
            table.row(f"{novelty}, {size}", "yes" if twins else "no", instances, above, below, *means)
    return table


def largest(x, first):
    """`drift` for every night from the `first` on: the z of the window that differs most. `x`: (nights, instances)."""
    reference, nights = s.REFERENCE_NIGHTS, np.arange(first, len(x) + 1)
    sums = np.vstack([np.zeros_like(x[:1]), x.cumsum(axis=0)])
    before = sums[reference]
    z = np.zeros((len(s.WINDOWS), nights.size))
    for row, window in zip(z, s.WINDOWS, strict=True):
        ends = nights[nights >= reference + window]  # windows that don't reach into the reference
        after, both = sums[ends] - sums[ends - window], reference + window
        pooled = (before + after + 1) / (both + 2)
        variance = (both / (both - 1) * pooled * (1 - pooled) * (1 / reference + 1 / window)).sum(axis=1)
        row[nights.size - ends.size :] = (after / window - before / reference).sum(axis=1) / np.sqrt(variance)
    return z[np.abs(z).argmax(axis=0), np.arange(nights.size)]


def quiet(replications, seed):
    """False alarms of a year without drift."""
    table = Table(
        "Drift: quiet years",
        "365 nights without a change: share of years with an alarm at |z| > 4 (at most 5 %).",
        ["canaries", *(f"rate {name}" for name in (".2 to 1", ".57", ".9", ".98", ".02"))],
        replications // 2,
    )
    rng = np.random.default_rng([seed, 11])
    for canaries in (10, 60):
        cells = []
        for rate in (None, 0.57, 0.9, 0.98, 0.02):
            alarms = 0
            for _ in range(table.replications):
                p = rng.uniform(0.2, 1, canaries) if rate is None else np.full(canaries, rate)
                x = (rng.random((365, canaries), np.float32) < p).astype(np.float32)
                alarms += np.abs(largest(x, first=15)).max() > s.drift_threshold(1)
            cells.append(table.at_most(f"{canaries} canaries, rate {rate}", alarms / table.replications, 0.05))
        table.row(canaries, *cells)
    return table


def drops(replications, seed):
    """Nights until a drop is seen."""
    table = Table(
        "Drift: drops",
        "60 canaries with rates from .2 to 1; after 28 quiet nights all fall by as many points: share of cases that"
        " see it (z < -4) within a year, and the median of the nights that these wait.",
        ["points", "seen in a year", "median nights"],
        max(20, replications // 4),
    )
    rng = np.random.default_rng([seed, 12])
    for points, within in ((20, 3), (10, 9), (5, None)):
        waited = []
        for _ in range(table.replications):
            p = rng.uniform(0.2, 1, 60)
            x = np.vstack([rng.random((28, 60)) < p, rng.random((365, 60)) < p - points / 100]).astype(np.float32)
            alarms = np.flatnonzero(largest(x, first=29) < -s.drift_threshold(1))
            waited.append(alarms[0] + 1 if alarms.size else math.inf)
        seen = np.isfinite(waited)
        median = float(np.median(np.array(waited)[seen]))
        if within and median > within and replications >= FULL // 2:
            table.missed.append(f"{table.title}: {points} points: {median:.0f} nights, at most {within} promised")
        table.row(points, share(seen), f"{median:.0f}")
    return table


STUDIES = (
    rates,
    other_rates,
    pairs,
    mcnemar,
    slopes,
    lineages,
    flatness,
    planning,
    steps,
    horizons,
    shares,
    quiet,
    drops,
)
