"""Simulated models that compound errors, decline, imitate greedy, iterate, recall the converged value, or guess."""

import numpy as np

from probe.results.wrong_answers import JUMPS, OTHER, OTHERS, OWN
from tests.results.simulated import difficulty, held, of_models

TRACED = {"kind": "numerics", "mode": "trace"}
FINAL = {"kind": "numerics", "mode": "final"}
COMPONENTS = 6  # of a final value


def stepping(rng, subjects, first, last, instances=100, steps=8, spread=0.02, family="jacobi"):
    """Traces of models whose chance of a right step goes from ``first`` to ``last``, each one value a model."""
    easy = difficulty(rng, instances, spread)
    at = np.linspace(0, 1, steps)
    chance = np.asarray(first, float)[:, None] * (1 - at) + np.asarray(last, float)[:, None] * at
    right = rng.random((len(subjects), instances, steps)) < chance[:, None, :] + easy[None, :, None]
    alive = np.logical_and.accumulate(right, axis=2)
    measures = {f"follows:{k + 1}": (1, right[:, :, k]) for k in range(steps)}
    measures |= {f"survives:{k + 1}": (1, alive[:, :, k]) for k in range(steps)}
    return of_models(subjects, measures, family=family, **TRACED)


def imitating(rng, subjects, share, by_chance=0.01, instances=80):
    """Wrong answers where greedy fails; ``share``: of these that are greedy's, beyond chance."""
    own = held(rng, np.full(len(subjects), share + by_chance), np.zeros(instances), 1)
    other = held(rng, np.full(len(subjects), by_chance), np.zeros(instances), OTHERS)
    return of_models(subjects, {OWN + "greedy": (1, own), OTHER + "greedy": (OTHERS, other)}, variant="greedy_fails")


def finals(rng, subjects, right, jumps, by_chance=0.05, altered=0.5, instances=100, spread=0.1):
    """(arms, wrong answers) of models asked for final values, for traces and with altered steps.

    ``right``: share of right values, ``jumps``: of the wrong ones that are an attractor beyond chance, each one value a
    model; ``altered``: share of jumps left where steps are altered.
    """
    easy = difficulty(rng, instances, spread)
    arms = []
    for variant, left in (("fresh", 1.0), ("perturbed", altered)):
        good = held(rng, right, easy, COMPONENTS)
        share = np.asarray(jumps)[:, None] * left + by_chance
        converged = rng.binomial(COMPONENTS - good, np.broadcast_to(share, good.shape))
        measures = {"kind:iterate": (COMPONENTS, good), "attractor:converged": (COMPONENTS - good, converged)}
        arms += of_models(subjects, measures | {"feasible": (1, good == COMPONENTS)}, variant=variant, **FINAL)
        if variant == "fresh":
            wrong = COMPONENTS - good
            guessed = rng.binomial(wrong * OTHERS, by_chance)
            found = {OWN + name: (wrong, converged * (name == "converged")) for name in JUMPS}
            found |= {OTHER + name: (wrong * OTHERS, guessed * (name == "converged")) for name in JUMPS}
            matched = of_models(subjects, found, **FINAL)
    whole = rng.binomial(1, np.clip(np.asarray(right)[:, None] + easy, 0, 1) ** COMPONENTS)
    return arms + of_models(subjects, {"feasible": (1, whole)}, **TRACED), matched
