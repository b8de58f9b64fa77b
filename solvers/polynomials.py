"""Polynomials with whole coefficients: their value, their derivative, their text."""

from collections.abc import Sequence
from fractions import Fraction
from math import lcm, prod
from typing import TypeAlias

Terms: TypeAlias = tuple[tuple[int, tuple[int, ...]], ...]  # (coefficient, exponent of each variable)


def horner(coefficients: Sequence[int], x: Fraction) -> tuple[Fraction, Fraction]:
    """Return the value and the derivative of a polynomial (highest power first) at ``x``."""
    value = slope = Fraction(0)
    for c in coefficients:
        slope = slope * x + value
        value = value * x + c
    return value, slope


def value_at(terms: Terms, x: Sequence[Fraction]) -> Fraction:
    """Return the value of a sum of terms. Raises ZeroDivisionError for a negative power of zero."""
    if any(e < 0 for _, exponents in terms for e in exponents):
        return Fraction(sum(c * prod(v**e for v, e in zip(x, exponents, strict=True)) for c, exponents in terms))
    common = lcm(*(v.denominator for v in x))  # whole numbers, reduced once: several times as fast
    whole = [v.numerator * (common // v.denominator) for v in x]
    degree = max((sum(exponents) for _, exponents in terms), default=0)
    total = sum(
        c * prod(v**e for v, e in zip(whole, exponents, strict=True)) * common ** (degree - sum(exponents))
        for c, exponents in terms
    )
    return Fraction(total, common**degree)


def polynomial(coefficients: Sequence[int], exponents: Sequence[Sequence[int]], words: Sequence[str]) -> str:
    """Return a polynomial as text: "2 * x^2 - x * y + 3"; a negative power divides: "21 / x^2"."""
    text = ""
    for c, powers in zip(coefficients, exponents, strict=True):
        if c == 0:
            continue
        factors = [_power(w, e) for w, e in zip(words, powers, strict=True) if e > 0]
        size = [] if abs(c) == 1 and factors else [str(abs(c))]
        below = "".join(f" / {_power(w, -e)}" for w, e in zip(words, powers, strict=True) if e < 0)
        term = " * ".join([*size, *factors]) + below
        text += f" {'-' if c < 0 else '+'} {term}" if text else f"{'-' if c < 0 else ''}{term}"
    return text or "0"


def spelled(terms: Terms, words: Sequence[str]) -> str:
    """Return a sum of terms as text."""
    return polynomial([c for c, _ in terms], [exponents for _, exponents in terms], words)


def powers(degree: int) -> list[tuple[int]]:
    """Return the exponents of a polynomial in one variable, highest power first."""
    return [(k,) for k in range(degree, -1, -1)]


def _power(word: str, exponent: int) -> str:
    return word if exponent == 1 else f"{word}^{exponent}"
