"""An instance as one question poses it: what presenting, baselines and judging all need, computed once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from solvers import registry
from solvers.problem import Constraint, Family, Instance, Mode, Objective
from solvers.shapes import Shape


@dataclass(frozen=True)
class Posed:
    """An instance and the mode in which it is asked."""

    instance: Instance
    mode: Mode

    @cached_property
    def family(self) -> Family[Any, Any]:
        """The family of the instance."""
        return registry.get(self.instance.family)

    @cached_property
    def shape(self) -> Shape[Any, Any]:
        """The form of an answer."""
        return self.family.shape(self.instance, self.mode)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of an answer."""
        return self.shape.schema(self.instance.names)

    @cached_property
    def constraints(self) -> list[Constraint[Any, Any]]:
        """Every constraint that is counted: the fixed denominator of each answer."""
        return self.family.constraints(self.instance, self.mode)

    @cached_property
    def objective(self) -> Objective[Any, Any] | None:
        """What is optimised, None where nothing is."""
        return self.family.objective_of(self.instance)

    @cached_property
    def statement(self) -> str:
        """The problem in words."""
        return self.family.statement(self.instance, self.mode)

    @cached_property
    def form(self) -> str:
        """The answer's form in words."""
        return self.shape.form(self.instance.names)


def load(document: dict[str, Any], mode: Mode) -> Posed:
    """Return a stored instance as posed in ``mode``. Raises ValueError where the family has moved on."""
    return Posed(registry.get(document["family"]).load(document), mode)
