"""Sinkhorn's iteration (Sinkhorn 1967; Sinkhorn and Knopp 1967): rows and columns of a positive matrix are scaled in
turn, until their sums are the given ones.

The matrix has a strong diagonal (in some order of its columns): the less its rows resemble one another, the slower the
iteration is.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Data, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal, dot


@dataclass(frozen=True, kw_only=True)
class SinkhornKnobs(ProcedureKnobs):
    rows: int
    columns: int


@dataclass(frozen=True)
class SinkhornData(Data):
    a: tuple[tuple[int, ...], ...]
    row_sums: tuple[int, ...]
    column_sums: tuple[int, ...]  # with the same total
    share: Fraction = Fraction(1)  # of each change that is made; 1: the method itself


class Sinkhorn(Procedure[SinkhornData]):
    """State: the factors u of the rows, then v of the columns. The method itself does not use the old u."""

    name: ClassVar[str] = "sinkhorn"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Sinkhorn iteration"
    state: ClassVar[str] = "state"
    data = SinkhornData
    sizes: ClassVar[Any] = ladder(
        SinkhornKnobs,
        rows=(2, 2, 3, 3, 4),
        columns=(2, 3, 3, 4, 4),
        steps=(2, 3, 3, 4, 5),
        places=(3, 4, 4, 4, 4),
    )

    def draw(self, knobs: SinkhornKnobs, stream: Stream) -> SinkhornData:
        n, m = knobs.rows, knobs.columns
        strong, weak = stream("strong"), stream("weak")
        column = stream("column").shuffled(range(m))
        a = tuple(
            tuple(strong.integer(20, 60) if i == column[j] % n else weak.integer(1, 6) for j in range(m))
            for i in range(n)
        )
        row_sums = stream("row sums").integers(n, 30, 90)
        # Parts of the same total, each of at least 20.
        rest = sum(row_sums) - 20 * m
        cuts = sorted(stream("column sums").integers(m - 1, 0, rest))
        return SinkhornData(
            a=a,
            row_sums=row_sums,
            column_sums=tuple(20 + high - low for low, high in zip((0, *cuts), (*cuts, rest), strict=True)),
        )

    def perturb(self, d: SinkhornData, stream: Stream) -> SinkhornData:
        """Make a share of each change only."""
        return replace(d, share=Fraction(stream("share").integer(5, 8), 10))

    def parts(self, d: SinkhornData) -> tuple[tuple[str, int], ...]:
        return (("u", len(d.row_sums)), ("v", len(d.column_sums)))

    def start(self, d: SinkhornData) -> Vector:
        return (Fraction(1),) * (len(d.row_sums) + len(d.column_sums))

    def step(self, d: SinkhornData, x: Vector, rounded: Rounding) -> Vector:
        u, v = x[: len(d.row_sums)], x[len(d.row_sums) :]

        def scaled(old: Fraction, wanted: int, is_: Fraction) -> Fraction:
            return rounded(old + d.share * (wanted / is_ - old))

        u = tuple(scaled(w, r, dot(row, v)) for w, r, row in zip(u, d.row_sums, d.a, strict=True))
        columns = zip(*d.a, strict=True)
        return (*u, *(scaled(w, c, dot(column, u)) for w, c, column in zip(v, d.column_sums, columns, strict=True)))

    def intro(self, d: SinkhornData, names: Names) -> str:
        u, v = names.word("u"), names.word("v")
        rows = "\n".join(
            f"row {i} of A: {list(row)}; wanted sum r_{i} = {r}"
            for i, (row, r) in enumerate(zip(d.a, d.row_sums, strict=True), 1)
        )
        wanted = ", ".join(f"c_{j} = {c}" for j, c in enumerate(d.column_sums, 1))
        return (
            f"The Sinkhorn iteration looks for factors {u}_i of the rows and {v}_j of the columns of a matrix A, such"
            f" that the numbers {u}_i * a_ij * {v}_j have the wanted sums r_i in each row i and c_j in each column j"
            f" (a_ij is the j-th number in row i of A):\n{rows}\nwanted sums of the columns: {wanted}"
        )

    def say(self, d: SinkhornData, names: Names) -> str:
        u, v = names.word("u"), names.word("v")
        one = f"r_i / (the sum of a_ij * {v}_j over all j)"
        other = f"c_j / (the sum of a_ij * {u}_i over all i)"
        with_u = with_v = ""
        if d.share != 1:
            share = decimal(d.share)
            one, other = f"{u}_i + {share} * ({one} - {u}_i)", f"{v}_j + {share} * ({other} - {v}_j)"
            with_u, with_v = f"{u}_i and ", f"{v}_j as it was before the step and "
        return (
            f"first, for every i, the new {u}_i is {one}, with {with_u}every {v}_j as before the step. Then, for every"
            f" j, the new {v}_j is {other}, with {with_v}every {u}_i in the sum the new one, rounded."
        )
