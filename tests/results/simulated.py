"""Simulated models whose truth is known: arms as `probe.results.evidence.load` gives them, without a database.

A study is one numpy draw: true rates (models, instances) -> counts. Instances share a difficulty over all models, as
real ones do, so that answers of different models to one instance are alike and pairing helps.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from probe.asking.judging import UNSCORED
from probe.asking.measures import POSITIONS
from probe.results.evidence import Arm, Base, Manner, Subject
from probe.results.findings.spending import Spent

CONSTRAINTS = 10  # of an instance
PLAIN = Manner("json")
RANDOM, GREEDY = (Subject(-i, name, "baseline") for i, name in enumerate(("random", "greedy"), 1))


def models(sizes, **facts):
    """Subjects of these numbers of parameters; ``facts``: one value for all, or one a model."""
    of = {name: value if isinstance(value, list) else [value] * len(sizes) for name, value in facts.items()}
    return [
        Subject(i, f"m{i}", "endpoint", params=int(size), **{name: values[i - 1] for name, values in of.items()})
        for i, size in enumerate(sizes, 1)
    ]


def ladder(count, decades=3.0, smallest=1e8):
    """Numbers of parameters, evenly spread in log10."""
    return smallest * 10 ** np.linspace(0, decades, count)


def difficulty(rng, instances, spread):
    """What makes an instance easier (> 0) or harder for every model; its mean is 0, as if instances were many."""
    drawn = rng.normal(0, spread, instances)
    return drawn - drawn.mean()


def counts(n, y):
    """Counts (POSITIONS, 2)."""
    out = np.zeros((POSITIONS, 2), np.int64)
    out[: len(n), 0], out[: len(n), 1] = n, y
    return out


def arms(
    subject,
    measures,
    *,
    manner=PLAIN,
    kind="optimization",
    variant="fresh",
    mode="final",
    modules=(),
    family="knapsack",
    asked=1,
    lost=None,
    number=0,
    size="s",
    shard=None,
):
    """The arms of one subject over as many blocks as it takes; ``measures``: name -> (n, y), each by instance.

    ``asked``: answers to each instance; ``lost``: how many of them failed by the instrument; ``shard``: id of the row
    behind each arm.
    """
    instances = len(next(iter(measures.values()))[1])
    out = []
    for start in range(0, instances, POSITIONS):
        part = slice(start, min(start + POSITIONS, instances))
        width = part.stop - part.start
        full = np.full(width, asked)
        of = {f"outcome:{cause}": counts(full, np.zeros(width)) for cause in UNSCORED}
        if lost is not None:
            of[f"outcome:{UNSCORED[0]}"] = counts(full, lost[part])
        for name, (n, y) in measures.items():
            of[name] = counts(np.broadcast_to(n, instances)[part], y[part])
        base = Base(family, 1, size, 7, number + start // POSITIONS)
        shards = () if shard is None else (shard,)
        out.append(Arm(subject, manner, base, kind, variant, frozenset(modules), mode, of, shards))
    return out


def held(rng, rates, easy, n):
    """Satisfied constraints (models, instances) of n, at true rates moved by what makes an instance easy."""
    return rng.binomial(n, np.clip(np.asarray(rates, float)[:, None] + easy, 0, 1))


def of_models(
    subjects,
    measures,
    *,
    manner=PLAIN,
    variant="fresh",
    modules=(),
    size="s",
    asked=1,
    kind="optimization",
    mode="final",
    family="knapsack",
):
    """Arms of all models, whole blocks at once; ``measures``: name -> (n, y of shape (models, instances))."""
    instances = next(iter(measures.values()))[1].shape[1]
    blocks = -(-instances // POSITIONS)
    there = np.arange(blocks * POSITIONS) < instances
    table = {}
    for name, (n, y) in {**{f"outcome:{cause}": (asked, 0) for cause in UNSCORED}, **measures}.items():
        filled = np.zeros((len(subjects), blocks * POSITIONS, 2), np.int64)
        filled[:, there, 0], filled[:, there, 1] = n, y
        table[name] = filled.reshape(len(subjects), blocks, POSITIONS, 2)
    bases, modules = [Base(family, 1, size, 7, number) for number in range(blocks)], frozenset(modules)
    return [
        Arm(subject, manner, base, kind, variant, modules, mode, {name: of[i, j] for name, of in table.items()})
        for i, subject in enumerate(subjects)
        for j, base in enumerate(bases)
    ]


def satisfaction(rng, subjects, rates, instances=200, spread=0.05, chance=0.35, **more):
    """Arms of models with these true rates of satisfied constraints, and of the baselines `random` and `greedy`."""
    easy = difficulty(rng, instances, spread)
    truth = np.clip(np.asarray(rates, float)[:, None] + easy, 0, 1)
    y = rng.binomial(CONSTRAINTS, truth)
    out = [
        arm for s, row in zip(subjects, y, strict=True) for arm in arms(s, {"constraints": (CONSTRAINTS, row)}, **more)
    ]
    return out + baselines(rng, easy, chance, **more)


def baselines(rng, easy, chance, **more):
    """Arms of `random`, five answers an instance, and `greedy`."""
    more = more | {"manner": None}
    guessed = rng.binomial(5 * CONSTRAINTS, np.clip(chance + easy, 0, 1))
    good = rng.binomial(CONSTRAINTS, np.clip(0.88 + easy, 0, 1))
    return arms(RANDOM, {"constraints": (5 * CONSTRAINTS, guessed)}, **more | {"asked": 5}) + arms(
        GREEDY, {"constraints": (CONSTRAINTS, good)}, **more
    )


def scattered(rng, sizes, level, slope, tau):
    """True rates of models around a line over log10 of their size that passes ``level`` at the middle size."""
    x = np.log10(sizes)
    return np.clip(level + slope * (x - x.mean()) + rng.normal(0, tau, len(sizes)), 0, 1)


class Truth(NamedTuple):
    """Simulated studies of which it is known what is so; ``powered``: they are large enough to show it."""

    name: str
    study: Callable  # (random generator) -> finding
    right: str
    powered: bool = True


def verdicts(study, runs, seed=1):
    """How often each verdict is reached over simulated studies."""
    seen = dict.fromkeys(("supported", "refuted", "undecided"), 0)
    for run in range(runs):
        seen[study(np.random.default_rng((seed, run))).verdict] += 1
    return {verdict: count / runs for verdict, count in seen.items()}


def holds(truth, runs):
    """Whether verdicts over simulated studies are right where they are powered, and hardly ever wrong."""
    seen = verdicts(truth.study, runs)
    wrong = 1 - seen["undecided"] - (seen[truth.right] if truth.right != "undecided" else 0)
    assert wrong <= 0.025 + 1e-9, seen
    assert not truth.powered or seen[truth.right] >= 0.95, seen


def thinkers(rng, count, gain, feasible_gain, sampled_gain, instances=100, samples=4, tau=0.003):
    """What `thinking` takes: models at three levels of effort, each with twice the tokens of the one before.

    ``gain``: in satisfaction per doubling, over models with a scatter of tau; ``feasible_gain``: in feasible answers,
    where best-of-k gains ``sampled_gain`` per doubling.
    """
    out, spent = [], {}
    for i, subject in enumerate(models(ladder(count))):
        own, easy = rng.normal(gain, tau), difficulty(rng, instances, 0.05)
        # An instance is solved always, never, or by half of the samples: these make what sampling gains.
        kind = rng.random(instances)
        lucky = 0.5 * (kind < 2.2 * sampled_gain)
        for level, effort in enumerate(("low", "medium", "high")):
            satisfied = rng.binomial(CONSTRAINTS * samples, np.clip(0.5 + easy + own * level, 0, 1))
            solved = np.where(kind > 1 - 0.2 - feasible_gain * level, 1.0, lucky)
            measures = {"constraints": (CONSTRAINTS * samples, satisfied)}
            measures["feasible"] = (samples, rng.binomial(samples, solved))
            shard = 10 * i + level
            spent[shard] = Spent(instances, 500 * instances * 2**level)
            manner = Manner("json", temperature=0.7, effort=effort)
            out += arms(subject, measures, manner=manner, asked=samples, shard=shard)
    return out, spent, []


def rememberers(rng, count, leak, with_warning, chance=0.02, twins=100, solved=0.8):
    """Arms of models that meet procedures and their altered twins; ``leak``: answers of memory beyond chance.

    An original is solved with chance ``solved``; with the warning ``with_warning`` of the answers are memory's.
    """
    more = {"kind": "numerics", "family": "jacobi"}
    out = []
    for subject in models(ladder(count)):
        out += arms(subject, {"feasible": (1, rng.binomial(1, solved, twins))}, **more)
        for manner, rate in ((PLAIN, leak), (replace(PLAIN, warning=True), with_warning)):
            memory = rng.binomial(1, np.clip(chance + rng.normal(rate, 0.01), 0, 1), twins)
            out += arms(subject, {"recalled": (1, memory)}, manner=manner, variant="perturbed", **more)
    guessed = {"recalled": (5, rng.binomial(5, chance, twins))}
    return out + arms(RANDOM, guessed, manner=None, variant="perturbed", asked=5, **more)


def tuned(rng, before, after, large, instances=150):
    """Arms of a small model before and after training on negative examples, and of a large one.

    Each (share of valid answers, share of constraints satisfied in them).
    """
    facts = {"lineage": ["line", "line", "other"], "training": ["sft", "dpo", "rl"]}
    out = []
    for subject, (valid, right) in zip(models([1e9, 1e9, 3e10], **facts), (before, after, large), strict=True):
        well = CONSTRAINTS * rng.binomial(1, valid, instances)
        satisfied = rng.binomial(well, np.clip(right + difficulty(rng, instances, 0.05), 0, 1))
        out += arms(subject, {"constraints": (CONSTRAINTS, satisfied), "wellformed": (well, satisfied)})
    return out
