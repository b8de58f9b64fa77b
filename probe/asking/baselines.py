"""Baselines: answers made without a model, run through the same judge."""

from typing import Any

from probe.asking.posed import Posed
from solvers.keys import Stream

BASELINES = ("blank", "random", "greedy", "template", "exact")
RANDOM_SAMPLES = 5  # random answers an instance, so that the chance level is known better than the models' rates


def samples(baseline: str) -> int:
    """Return how many answers a baseline gives to one instance."""
    return RANDOM_SAMPLES if baseline == "random" else 1


def answer(posed: Posed, baseline: str, sample: int) -> Any | None:
    """Return a baseline's answer, None where the family offers none. Raises KeyError for an unknown baseline."""
    instance, shape = posed.instance, posed.shape
    match baseline:
        case "blank":
            return shape.empty()
        case "random":
            return shape.random(Stream(f"{instance.key}/random/{posed.mode}/{sample}"))
        case "greedy":
            return posed.family.greedy_answer(instance)
        case "template":
            return posed.family.template_answer(instance, posed.mode)
        case "exact":
            return posed.family.exact(instance, posed.mode)
    raise KeyError(f"no baseline {baseline!r}; baselines: {', '.join(BASELINES)}")
