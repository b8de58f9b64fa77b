"""Alternating-current power flow in polar form.

The branch model is MATPOWER's (Zimmerman, Murillo-Sánchez and Thomas 2011, section II-B): a series impedance between
two half charging susceptances, and a transformer at its tail.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ITERATIONS = 20  # of Newton's method
MISMATCH = 1e-9  # p.u. at which it has converged


@dataclass(frozen=True)
class Branch:
    """A branch's admittances (p.u.): conductance and susceptance at its ends (ff, tt) and between them (ft, tf)."""

    tail: int
    head: int
    ff: complex
    ft: complex
    tf: complex
    tt: complex


def branch(tail: int, head: int, r: float, x: float, charging: float, tap: float = 1.0, shift: float = 0.0) -> Branch:
    """Return a branch of impedance r + jx; ``shift`` in degrees."""
    series = 1 / complex(r, x)
    turn = tap * complex(math.cos(math.radians(shift)), math.sin(math.radians(shift)))
    shunted = series + complex(0, charging / 2)
    return Branch(tail, head, shunted / tap**2, -series / turn.conjugate(), -series / turn, shunted)


def flow(b: Branch, v: Mapping[int, Any], angle: Mapping[int, Any], m: Any = math) -> tuple[Any, Any, Any, Any]:
    """Return active and reactive power into a branch at its tail, then at its head (p.u.).

    ``angle`` in radians; ``m``: the module of sine and cosine (math, or mpmath for more digits).
    """
    vi, vj, delta = v[b.tail], v[b.head], angle[b.tail] - angle[b.head]
    c, s, both = m.cos(delta), m.sin(delta), v[b.tail] * v[b.head]
    return (
        vi * vi * b.ff.real + both * (b.ft.real * c + b.ft.imag * s),
        -vi * vi * b.ff.imag + both * (b.ft.real * s - b.ft.imag * c),
        vj * vj * b.tt.real + both * (b.tf.real * c - b.tf.imag * s),
        -vj * vj * b.tt.imag - both * (b.tf.real * s + b.tf.imag * c),
    )


def injections(
    n: int, branches: Sequence[Branch], v: Mapping[int, Any], angle: Mapping[int, Any], m: Any = math
) -> tuple[list[Any], list[Any]]:
    """Return active and reactive power that leaves each bus over its branches (p.u.)."""
    active: list[Any] = [0] * n
    reactive: list[Any] = [0] * n
    for b in branches:
        pf, qf, pt, qt = flow(b, v, angle, m)
        active[b.tail] += pf
        reactive[b.tail] += qf
        active[b.head] += pt
        reactive[b.head] += qt
    return active, reactive


@dataclass(frozen=True)
class Solved:
    """A solved power flow: voltage and angle (radians) by bus with 50 digits, and Newton's iterations."""

    v: dict[int, Any]
    angle: dict[int, Any]
    iterations: int


def solve(
    n: int,
    branches: Sequence[Branch],
    active: Sequence[float],
    reactive: Sequence[float],
    held: Mapping[int, float],
    reference: int,
) -> Solved | None:
    """Return the power flow in which each bus injects ``active`` and, where its voltage is not ``held``, ``reactive``
    power (p.u.); the reference bus, which is held, injects what is missing. None where Newton's method fails.

    It starts flat and converges in floating point; two more corrections with residuals of 50 digits make the result
    the same on every machine.
    """
    import mpmath
    import numpy as np

    buses = [i for i in range(n) if i != reference]
    free = [i for i in range(n) if i not in held]
    v: dict[int, Any] = {i: mpmath.mpf(held.get(i, 1.0)) for i in range(n)}
    angle: dict[int, Any] = {i: mpmath.mpf(0) for i in range(n)}
    corrected = 0
    with mpmath.workdps(50):
        for iteration in range(1, ITERATIONS + 3):
            exact = corrected > 0
            state_v = v if exact else {i: float(x) for i, x in v.items()}
            state_a = angle if exact else {i: float(x) for i, x in angle.items()}
            p, q = injections(n, branches, state_v, state_a, mpmath if exact else math)
            residual = [*(active[i] - p[i] for i in buses), *(reactive[i] - q[i] for i in free)]
            worst = max(abs(float(r)) for r in residual)
            if not math.isfinite(worst) or worst > 1e6:
                return None
            if worst < MISMATCH:
                corrected += 1
            if corrected == 3:
                return Solved(v, angle, iteration)
            near_v, near_a = ({i: float(x) for i, x in values.items()} for values in (v, angle))
            jacobian = _jacobian(n, branches, near_v, near_a)
            rows = [*buses, *(n + i for i in free)]
            try:
                step = np.linalg.solve(jacobian[np.ix_(rows, rows)], np.array([float(r) for r in residual]))
            except np.linalg.LinAlgError:
                return None
            for k, i in enumerate(buses):
                angle[i] += mpmath.mpf(float(step[k]))
            for k, i in enumerate(free):
                v[i] += mpmath.mpf(float(step[len(buses) + k]))
    return None


def _jacobian(n: int, branches: Sequence[Branch], v: Mapping[int, float], angle: Mapping[int, float]) -> Any:
    """Return the derivatives of (active, reactive) injections by (angle, voltage), a 2n x 2n matrix."""
    import numpy as np

    out = np.zeros((2 * n, 2 * n))
    for b in branches:
        for i, j, own, between in ((b.tail, b.head, b.ff, b.ft), (b.head, b.tail, b.tt, b.tf)):
            delta = angle[i] - angle[j]
            c, s = math.cos(delta), math.sin(delta)
            along, across = between.real * c + between.imag * s, between.real * s - between.imag * c
            # P = vi^2 g + vi vj along, Q = -vi^2 b + vi vj across; d(along) = -across, d(across) = along by delta.
            out[i, i] -= v[i] * v[j] * across
            out[i, j] += v[i] * v[j] * across
            out[i, n + i] += 2 * v[i] * own.real + v[j] * along
            out[i, n + j] += v[i] * along
            out[n + i, i] += v[i] * v[j] * along
            out[n + i, j] -= v[i] * v[j] * along
            out[n + i, n + i] += -2 * v[i] * own.imag + v[j] * across
            out[n + i, n + j] += v[i] * across
    return out
