"""Families by name. A family is registered by being in the folder: module ``knapsack`` holds family ``knapsack``."""

import inspect
import pkgutil
from functools import cache
from importlib import import_module
from typing import Any

import solvers.numerics
import solvers.optimization
from solvers.problem import Family

PACKAGES = (solvers.optimization, solvers.numerics)


@cache
def modules() -> dict[str, str]:
    """Return the module of each family by name, in alphabetical order; optimization first."""
    return {
        found.name: f"{package.__name__}.{found.name}"
        for package in PACKAGES
        for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name)
    }


@cache
def get(name: str) -> Family[Any, Any]:
    """Return a family. Raises KeyError with the known names for an unknown one."""
    if name not in modules():
        raise KeyError(f"no family {name!r}; families: {', '.join(modules())}")
    module = import_module(modules()[name])
    (found,) = (
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Family) and kind.__module__ == module.__name__ and not inspect.isabstract(kind)
    )
    if found.name != name:
        raise TypeError(f"module {module.__name__} holds family {found.name!r}: the names must be equal")
    family: Family[Any, Any] = found()
    return family


def families() -> list[Family[Any, Any]]:
    """Return every family."""
    return [get(name) for name in modules()]
