"""Shapes: the forms of an answer, shared by families.

A shape owns everything about the form and nothing about the problem: JSON schema, parsing and writing, the empty
answer, random and mutated answers, the solver's variables, fixing them to an answer and reading them back.
"""

from solvers.shapes.amounts import AmountOf, GridOf
from solvers.shapes.base import Partial, Shape
from solvers.shapes.choices import MapOf, SetsOf, SubsetOf
from solvers.shapes.joint import Joint
from solvers.shapes.orders import (
    OrderOf,
    OrderVariables,
    RoutesOf,
    RouteVariables,
    TourOf,
    TourVariables,
    along,
    in_order,
)
from solvers.shapes.quantities import Quantities, QuantityOf
from solvers.shapes.times import Starts, StartVariables
from solvers.shapes.vectors import Rows, VectorOf, exact_fraction

__all__ = [
    "AmountOf",
    "GridOf",
    "Joint",
    "MapOf",
    "OrderOf",
    "OrderVariables",
    "Partial",
    "Quantities",
    "QuantityOf",
    "RouteVariables",
    "RoutesOf",
    "Rows",
    "SetsOf",
    "Shape",
    "StartVariables",
    "Starts",
    "SubsetOf",
    "TourOf",
    "TourVariables",
    "VectorOf",
    "along",
    "exact_fraction",
    "in_order",
]
