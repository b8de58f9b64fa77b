"""A second arithmetic for procedures: decimals of eighty digits, and formulas as they stand in a statement."""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction
from typing import Any

from solvers.problem import Hole, Instance
from solvers.procedure import Procedure, Vector

PRECISE = Context(prec=80, rounding=ROUND_HALF_EVEN, Emin=-(10**6), Emax=10**6)
EACH = 25  # instances of each size and variant: 250 of a family
OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def drawn(family: Procedure[Any], size: str, index: int, variant: str = "fresh", seed: int = 11) -> Instance:
    """Return the instance of an index, or of the next one that is no hole."""
    for i in range(index, index + 20):
        found, _ = family.instance(size, seed, i, variant=variant)
        if not isinstance(found, Hole):
            return found
    raise AssertionError(f"{family.name} {size}: twenty holes from index {index} on: {found}")


def several(family: Procedure[Any], size: str, *variants: str, seed: int = 11, each: int = EACH) -> Iterator[Instance]:
    """Yield instances of a size, ``each`` of each variant, `fresh` and `perturbed` where none is named."""
    for variant in variants or ("fresh", "perturbed"):
        for index in range(each):
            yield drawn(family, size, 25 * index, variant, seed)


def number(value: Fraction | int) -> Decimal:
    """Return a fraction as a decimal of eighty digits."""
    with localcontext(PRECISE):
        return Decimal(value.numerator) / value.denominator


def follow(instance: Instance, start: Vector, step: Callable[..., list[Decimal]]) -> None:
    """Assert that ``step(state, rounded)``, in decimals, gives the stored trace from a start."""
    unit = Decimal(1).scaleb(-instance.knobs["places"])
    with localcontext(PRECISE):
        x = [number(v) for v in start]
        for k, row in enumerate(instance.answer, 1):
            x = step(x, lambda value: value.quantize(unit))
            assert tuple(map(Fraction, x)) == row, f"{instance.family} {instance.size} {instance.index}: step {k}"


def formulas(text: str) -> dict[str, str]:
    """Return the lines "name = formula" of a statement."""
    lines = [line.split(" = ", 1) for line in text.splitlines() if " = " in line]
    return {name: formula for name, formula in lines if " " not in name.replace(", ", ",")}


def evaluated(text: str, known: Mapping[str, Any], **functions: Callable[..., Any]) -> Any:
    """Return the value of an expression of a statement; whole numbers and decimals in it are of the kind known."""
    kind = next((type(v) for v in known.values()), Decimal)

    def value(node: ast.expr) -> Any:
        match node:
            case ast.BinOp(op=ast.Pow(), left=base, right=ast.Constant(value=int(exponent))):
                return value(base) ** exponent
            case ast.BinOp(op=op, left=left, right=right):
                return OPERATORS[type(op)](value(left), value(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return functions[name](*map(value, arguments))
            case ast.Name(id=name):
                return known[name]
            case ast.Constant(value=constant):
                return kind(str(constant))
        raise AssertionError(ast.dump(node))

    return value(ast.parse(text.replace("^", "**"), mode="eval").body)
