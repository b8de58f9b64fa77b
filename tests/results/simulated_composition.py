"""Simulated models that compose, interfere, are modular, bind badly, or fail by novelty or by size."""

import numpy as np

from probe.results.evidence import Manner
from solvers.variants import EXTRA
from tests.results.simulated import RANDOM, difficulty, held, of_models

MODULES = ("conflict", "requires")
EACH = 20  # constraints of a kind in an instance
CHANCE = 0.3
SHOWN = {"none": Manner("json", 2, "none"), "each": Manner("json", 2, "each"), "pairs": Manner("json", 2, "pairs")}


def guesses(rng, kinds, easy, chance=CHANCE, **more):
    """Arms of `random`, five answers an instance."""
    of = {f"kind:{kind}": (5 * EACH, held(rng, [chance], easy, 5 * EACH)) for kind in kinds}
    return of_models([RANDOM], of, manner=None, asked=5, **more)


def composing(rng, subjects, level, gaps, instances=50, spread=0.05):
    """Models asked two modules alone and together; ``level``: alone, ``gaps``: together minus alone, by coverage."""
    easy, out = difficulty(rng, instances, spread), []
    for modules in ((MODULES[0],), (MODULES[1],), MODULES):
        for coverage, manner in SHOWN.items():
            rates = level + gaps[coverage] * (len(modules) > 1)
            some = easy if coverage == "pairs" else easy[:25]  # what the others show doesn't enter the verdict
            of = {f"kind:{kind}": (EACH, held(rng, rates, some, EACH)) for kind in modules}
            out += of_models(subjects, of, manner=manner, modules=modules)
        out += guesses(rng, modules, easy, modules=modules)
    return out


def interfering(rng, subjects, level, moved, by_text, instances=50, spread=0.05):
    """Models asked with and without modules and with distractors: a module moves the other kinds by ``moved``, further
    text by ``by_text``, each one value a model."""
    easy, out = difficulty(rng, instances, spread), []
    for modules in ((MODULES[0],), (MODULES[1],), MODULES):
        kinds = ("capacity", *modules)
        for variant in ("fresh", "distractors")[: 3 - len(modules)]:
            change = np.asarray(by_text if variant == "distractors" else moved if len(modules) > 1 else 0 * level)
            of = {f"kind:{kind}": (EACH, held(rng, level + change, easy, EACH)) for kind in kinds}
            out += of_models(subjects, of, variant=variant, modules=modules)
        out += guesses(rng, kinds, easy, modules=modules)
    return out


def binding(rng, subjects, level, drop, apart=0.0, chance_drop=0.0, instances=50, spread=0.05, feasible=0.4):
    """Models asked among more and more entities, and twins; ``drop``: per doubling, ``apart``: how far the chance of a
    feasible answer moves, to either side, with names or order alone."""
    easy, out = difficulty(rng, instances, spread), []
    for variant, extra in {"fresh": 0, **EXTRA, "renamed": 0, "reordered": 0}.items():
        doublings = np.log2(1 + extra)
        of = {"kind:capacity": (2 * EACH, held(rng, level - drop * doublings, easy, 2 * EACH))}
        if variant in ("fresh", "renamed", "reordered"):
            moved = apart * rng.choice([-1, 1], instances)
            of["feasible"] = (2, rng.binomial(2, np.clip(feasible + easy + moved, 0, 1), (len(subjects), instances)))
        out += of_models(subjects, of, variant=variant, asked=2)
        if variant not in ("renamed", "reordered"):
            out += guesses(rng, ["capacity"], easy, CHANCE - chance_drop * doublings, variant=variant)
    return out


def two_way(rng, subjects, novelty, size, instances=50, level=0.6, spread=0.1):
    """Models asked three levels of novelty in three sizes; ``novelty``, ``size``: what each step of it costs."""
    out = []
    for i, variant in enumerate(("famous", "perturbed", "fresh")):
        for j, rung in enumerate(("xs", "s", "m")):
            easy = difficulty(rng, instances, spread)
            rates = np.full(len(subjects), level - novelty * (i - 1) - size * (j - 1))
            of = {"constraints": (10, held(rng, rates, easy, 10))}
            out += of_models(subjects, of, variant=variant, size=rung)
    return out
