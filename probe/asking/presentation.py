"""Presentation: how a posed instance is put to a model. All text around a statement stands here, under one version."""

import json
from dataclasses import asdict, dataclass
from functools import cache
from itertools import combinations
from typing import Any, Literal

from probe.asking.posed import Posed
from solvers import registry
from solvers.keys import digest
from solvers.problem import Instance

TEMPLATE = 1
CHANNELS = ("text", "json", "tool")
Channel = Literal["text", "json", "tool"]
Form = Literal["text", "json_schema", "json_object", "tool"]
FORM_OF: dict[Channel, Form] = {"text": "text", "json": "json_schema", "tool": "tool"}
COVERAGES = ("joint", "none", "each", "pairs")
Coverage = Literal["joint", "none", "each", "pairs"]
EXAMPLE_SEED = -1  # worked examples come from a seed that no user can ask for

WARNING = (
    "Warning: this problem may resemble a well-known one. Its numbers and rules are its own: solve it exactly as stated"
    " and don't answer from memory."
)
INSTRUCTIONS: dict[Channel, str] = {
    "text": "Solve the problem yourself. {form}\nEnd your reply with this JSON object, filled in.",
    "json": "Solve the problem yourself. {form}\nReply with this JSON object only, filled in.",
    "tool": "Solve the problem yourself. {form}\nHand in your answer by one call of the tool, with this object as its"
    " arguments.",
}


@dataclass(frozen=True)
class Presentation:
    """How a question is asked. ``form`` is what the endpoint is asked for: channel json may fall back to an object.

    ``coverage``: what the worked examples show of the question's modules: all together in each (`joint`), one module in
    each, in turn (`each`), a pair of them in each (`pairs`), or no module (`none`).
    """

    channel: Channel = "text"
    form: Form = "text"
    examples: int = 0
    coverage: Coverage = "joint"
    warning: bool = False
    template: int = TEMPLATE
    temperature: float | None = 0.0
    effort: str | None = None
    answer_tokens: int = 1024

    @property
    def digest(self) -> str:
        """What identifies the presentation."""
        plain = asdict(self)
        if self.coverage == "joint":  # as it was before there were others
            del plain["coverage"]
        return digest(plain)


def prompt(posed: Posed, presentation: Presentation) -> str:
    """Return the text that the model is asked with."""
    shown = (presentation.examples, presentation.coverage)
    worked = examples(posed.instance.family, posed.instance.modules, posed.mode, *shown)
    parts = [f"Example {i}\n\n{text}" for i, text in enumerate(worked, 1)]
    if worked:
        parts.append("Now the problem to solve.")
    if presentation.warning:
        parts.append(WARNING)
    parts += [posed.statement, INSTRUCTIONS[presentation.channel].format(form=posed.form)]
    return "\n\n".join(parts)


def messages(posed: Posed, presentation: Presentation) -> tuple[dict[str, str], ...]:
    """Return the chat messages."""
    return ({"role": "user", "content": prompt(posed, presentation)},)


@cache
def examples(
    family: str, modules: tuple[str, ...], mode: Any, count: int, coverage: Coverage = "joint"
) -> tuple[str, ...]:
    """Return worked examples: the smallest instances of a seed of their own, with their exact answers."""
    kind, shown = registry.get(family), module_sets(modules, coverage)
    texts: list[str] = []
    index = 0
    while len(texts) < count:
        found, _ = kind.instance("xs", EXAMPLE_SEED, index, shown[len(texts) % len(shown)])
        index += 1
        if isinstance(found, Instance):
            posed = Posed(found, mode)
            answer = posed.shape.write(kind.exact(found, mode), found.names)
            texts.append(f"{posed.statement}\n\n{posed.form}\n\nAnswer: {json.dumps(answer)}")
    return tuple(texts)


def module_sets(modules: tuple[str, ...], coverage: Coverage) -> list[tuple[str, ...]]:
    """Return the module sets that worked examples have in turn; the whole set where it has no pairs (or no modules)."""
    sets: dict[Coverage, list[tuple[str, ...]]] = {
        "joint": [modules],
        "none": [()],
        "each": [(name,) for name in modules],
        "pairs": list(combinations(modules, 2)),
    }
    return sets[coverage] or [modules]


def estimated_tokens(text: str) -> int:
    """Return a cautious count of tokens: characters / 3."""
    return len(text) // 3 + 1
