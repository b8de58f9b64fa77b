"""QR iteration for the eigenvalues of a symmetric matrix (Francis 1961; Golub and Van Loan, section 7.3).

With A = Q R, the new matrix R Q equals Q^T A Q, so it is symmetric, and each of its entries is u^T A w / (|u| |w|),
where u and w are columns of A made orthogonal (Gram and Schmidt): one square root an entry, of a rational number. It is
taken to fifty decimals and told apart from every number of fewer, so that the rounding that follows is that of the
exact root.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, isqrt, lcm
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Data, Famous, Instance, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector
from solvers.sketches import Curves, Panels

DIGITS = 50  # decimals to which a square root is taken


@dataclass(frozen=True, kw_only=True)
class QrIterationKnobs(ProcedureKnobs):
    order: int


@dataclass(frozen=True)
class QrIterationData(Data):
    a: tuple[tuple[int, ...], ...]  # the symmetric matrix, row by row from the diagonal on
    shift: int = 0  # 0: the method itself; otherwise what is added to the diagonal before, taken off after a step


class QrIteration(Procedure[QrIterationData]):
    """State: the entries of A on and above the diagonal, row by row."""

    name: ClassVar[str] = "qr_iteration"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "QR iteration"
    state: ClassVar[str] = "matrix"
    data = QrIterationData
    sizes: ClassVar[Any] = ladder(
        QrIterationKnobs, order=(2, 2, 3, 3, 3), steps=(2, 3, 3, 5, 7), places=(3, 4, 4, 4, 4)
    )

    def draw(self, knobs: QrIterationKnobs, stream: Stream) -> QrIterationData:
        n = knobs.order
        diagonal, off, sign = stream("diagonal"), stream("off"), stream("sign")
        return QrIterationData(
            a=tuple(
                (diagonal.integer(5, 60), *(sign.choice((-1, 1)) * off.integer(1, 12) for _ in range(n - 1 - i)))
                for i in range(n)
            )
        )

    def perturb(self, d: QrIterationData, stream: Stream) -> QrIterationData:
        """Factorise a shifted matrix."""
        return replace(d, shift=stream("shift").integer(2, 6))

    def famous(self) -> Sequence[Famous[QrIterationData]]:
        return (
            Famous(
                "tridiagonal, 3 and 1",
                "m",
                QrIterationData(a=((3, 1, 0), (3, 1), (3,))),
                None,
                "Burden and Faires, Numerical Analysis, section 9.5, examples",
            ),
        )

    def parts(self, d: QrIterationData) -> tuple[tuple[str, int], ...]:
        n = len(d.a)
        return tuple((f"a_{i + 1}{j + 1}", 1) for i in range(n) for j in range(i, n))

    def start(self, d: QrIterationData) -> Vector:
        return tuple(Fraction(v) for row in d.a for v in row)

    def step(self, d: QrIterationData, x: Vector, rounded: Rounding) -> Vector:
        n, common = len(d.a), lcm(*(v.denominator for v in x))
        entries = iter(v.numerator * (common // v.denominator) for v in x)
        a = [[0] * n for _ in range(n)]
        for i in range(n):
            for j in range(i, n):
                a[i][j] = a[j][i] = next(entries)
            a[i][i] += d.shift * common
        u = orthogonal(a)
        sizes = [_dot(v, v) for v in u]
        new = []
        for i in range(n):
            image = [_dot(row, u[i]) for row in a]
            new.append(rounded(Fraction(_dot(u[i], image), common * sizes[i]) - d.shift))
            for j in range(i + 1, n):
                product = _dot(u[j], image)
                root = square_root(product**2, common**2 * sizes[i] * sizes[j])
                new.append(rounded(root if product >= 0 else -root))
        return tuple(new)

    def intro(self, d: QrIterationData, names: Names) -> str:
        n = len(d.a)
        rows = "\n".join(
            f"row {i + 1} of A: [{', '.join(names.word(f'a_{min(i, j) + 1}{max(i, j) + 1}') for j in range(n))}]"
            for i in range(n)
        )
        matrix = names.word(self.state)
        return f"QR iteration is applied to the symmetric {matrix} A with {n} rows and {n} columns:\n{rows}"

    def say(self, d: QrIterationData, names: Names) -> str:
        matrix = names.word(self.state)
        shifted, back = ("A", "R Q") if not d.shift else (f"A + {d.shift} * I", f"R Q - {d.shift} * I")
        identity = f" (I is the identity {matrix})" if d.shift else ""
        return (
            f"write {shifted}{identity}, with A as it was before the step, as the product Q R of an orthogonal {matrix}"
            f" Q (Q^T Q = I) and an upper triangular {matrix} R whose diagonal entries are all positive; there is"
            f" exactly one such pair. The new A is {back}; it is symmetric again. Q, R and the square roots in them are"
            " not rounded."
        )

    def sketch(self, instance: Instance) -> Panels:
        """Return the diagonal, which tends to the eigenvalues, and the other entries, which tend to 0."""
        d: QrIterationData = instance.data  # type: ignore[assignment]
        labels = self.shape(instance, "final").labels(instance.names)
        diagonal = [sum(len(row) for row in d.a[:i]) for i in range(len(d.a))]
        points = [
            [(k, float(x[c]), label) for c, label in enumerate(labels) if (c in diagonal) == on for k, x in rows]
            for rows in [list(enumerate([self.start(d), *instance.answer]))]
            for on in (True, False)
        ]
        return Panels((Curves("step", tuple(points[0]), "diagonal"), Curves("step", tuple(points[1]), "other entries")))


def _dot(u: Sequence[int], v: Sequence[int]) -> int:
    return sum(a * b for a, b in zip(u, v, strict=True))


def orthogonal(a: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return positive multiples of the columns of Q of a symmetric matrix (Gram and Schmidt, from left to right).

    A column that depends on those before it leaves zeros: dividing by its size then raises ZeroDivisionError.
    """
    found: list[list[int]] = []
    for column in a:  # its columns are its rows
        u = list(column)
        for w in found:
            size, share = _dot(w, w), _dot(w, u)
            u = [size * p - share * q for p, q in zip(u, w, strict=True)]
        common = gcd(*u) or 1
        found.append([v // common for v in u])
    return found


def square_root(numerator: int, denominator: int) -> Fraction:
    """Return the square root of a fraction >= 0: exact where it has at most `DIGITS` decimals, else off by less than
    half a unit of the last one, and on the same side of every number of so few decimals as the exact root."""
    unit = 10**DIGITS
    square = numerator * unit**2
    low = isqrt(square // denominator)
    return Fraction(low, unit) if low * low * denominator == square else Fraction(2 * low + 1, 2 * unit)
