"""Linear systems in exact arithmetic."""

from collections.abc import Sequence
from fractions import Fraction


def solved(a: Sequence[Sequence[Fraction]], b: Sequence[Fraction]) -> list[Fraction] | None:
    """Return x with A x = b (Gauss and Jordan, with the first pivot that is not 0), None for a singular A."""
    rows = [[*row, rhs] for row, rhs in zip(a, b, strict=True)]
    n = len(rows)
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k] != 0), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        top = rows[k] = [v / rows[k][k] for v in rows[k]]
        for i in range(n):
            factor = rows[i][k]
            if i != k and factor != 0:
                rows[i] = [v - factor * w for v, w in zip(rows[i], top, strict=True)]
    return [row[-1] for row in rows]
