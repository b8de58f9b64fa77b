"""A table of simulated error rates, and the bands they must lie in."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

FULL = 2_000  # replications of `make simulate`


@dataclass
class Table:
    """Rows of simulated figures; `missed` says which of them lie outside their band."""

    title: str
    about: str
    columns: list[str]
    replications: int
    rows: list[list[str]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def row(self, *cells: object) -> None:
        """Add a row; shares are written in per cent."""
        written = (f"{100 * c:.1f}" if isinstance(c, float) else str(c) for c in cells)
        self.rows.append(["0.0" if cell == "-0.0" else cell for cell in written])

    def slack(self, rate: float) -> float:
        """What chance may add with few replications: nothing in a full run, whose bands stand as they are."""
        return 0.0 if self.replications >= FULL // 2 else 4 * math.sqrt(max(rate * (1 - rate), 0) / self.replications)

    def at_least(self, what: str, found: float, bound: float) -> float:
        """Return the share found, noting a miss below the bound."""
        if found < bound - self.slack(bound):
            self.missed.append(f"{self.title}: {what}: {100 * found:.1f} %, at least {100 * bound:.0f} % promised")
        return found

    def at_most(self, what: str, found: float, bound: float) -> float:
        """Return the share found, noting a miss above the bound."""
        if found > bound + self.slack(bound):
            self.missed.append(f"{self.title}: {what}: {100 * found:.1f} %, at most {100 * bound:.0f} % promised")
        return found

    def markdown(self) -> str:
        """Return the table as the page shows it."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def share(flags: Iterable[bool]) -> float:
    """Share of true ones."""
    return float(np.mean(list(flags)))
