"""docs/families.md: every family at every size, as the baselines fare and as the solver does.

The figures come the way a user's do: `probe run` of all baselines over all families into a database of its own, read
back by the result table.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import select

from probe.asking.posed import load
from probe.asking.presentation import Presentation, estimated_tokens, prompt
from probe.preparing import unpack_document
from probe.results.cells import Cell, result_table
from probe.results.formats import percent
from probe.settings import DATABASE
from probe.store.sessions import Store, open_store
from probe.store.tables import Block, FamilyVersion, Instance, Question
from solvers import registry
from solvers.problem import SIZES, Family

SHOWN = {"optimization": ("blank", "random", "greedy", "template"), "numerics": ("blank", "random", "template")}


def run(folder: Path, instances: int) -> Store:
    """Run the baselines over everything; return the database."""
    flags = {"families": "all", "sizes": ",".join(SIZES), "models": "none", "instances": str(instances)}
    command = [sys.executable, "-c", "from probe.cli import main; main()", "run"]
    subprocess.run(
        [*command, *(part for name, value in flags.items() for part in (f"--{name}", value))],
        check=True,
        env=os.environ | {"PROBE_HOME": str(folder)},
        stdout=subprocess.DEVNULL,
    )
    return open_store(f"sqlite:///{folder / DATABASE}")


def measured(store: Store) -> dict[tuple[str, str], dict[str, Any]]:
    """Return, by family and size, what is known of its instances."""
    out: dict[tuple[str, str], dict[str, Any]] = {}
    with store.reading() as session:
        blocks = session.execute(
            select(Block, FamilyVersion.name, Question.mode)
            .join(FamilyVersion, Block.family_version_id == FamilyVersion.id)
            .join(Question, Question.block_id == Block.id)
        ).all()
        for block, name, mode in blocks:
            rows = session.scalars(select(Instance.document).where(Instance.block_id == block.id))
            posed = [load(unpack_document(row), mode) for row in rows]
            out[name, block.size] = {
                "instances": len(posed),
                "discarded": sum(block.discards.values()),
                "seconds": median(one.instance.proof.seconds for one in posed),
                "constraints": median(len(one.constraints) for one in posed),
                "tokens": max(estimated_tokens(prompt(one, Presentation())) for one in posed),
            }
    return out


def rates(store: Store) -> dict[tuple[str, str, str], Cell]:
    """Return the cell of each family, size and baseline."""
    with store.reading() as session:
        cells = result_table(session, ("model", "family", "size")).cells
    return {(c.group["family"], c.group["size"], c.group["model"]): c for c in cells}


def table(header: Sequence[str], rows: Iterable[Sequence[object]], texts: int = 2) -> list[str]:
    """Return a Markdown table; all columns but the first ``texts`` are numbers."""
    rule = ["---" if k < texts else "---:" for k in range(len(header))]
    return [f"| {' | '.join(map(str, row))} |" for row in [header, rule, *rows]]


def rows_of(kind: str, known: dict[Any, Any], cells: dict[Any, Cell]) -> Iterable[list[object]]:
    """Yield a row for each family of a kind and each size."""
    for family in registry.families():
        for size in SIZES if family.kind == kind else ():
            facts = known[family.name, size]
            row: list[object] = [
                f"`{family.name}`" if size == "xs" else "",
                size,
                facts["instances"],
                facts["discarded"],
            ]
            row += [f"{facts['constraints']:g}", facts["tokens"]]
            for baseline in SHOWN[kind]:
                cell = cells.get((family.name, size, baseline))
                row.append("–" if cell is None else shown(cell))
            row.append(f"{1000 * facts['seconds']:.0f}" if kind == "optimization" else "")
            yield row[: len(row) - (kind == "numerics")]


def shown(cell: Cell) -> str:
    """Return micro satisfaction / feasible but for the target / feasible, in percent."""
    names = ("satisfaction_micro", "feasible_core", "feasible")
    found = [cell.rates[name] for name in names]
    return " / ".join(percent(None if rate is None else rate.rate).removesuffix(" %") for rate in found)


def described(family: Family[Any, Any]) -> list[object]:
    """Return what a family is made of."""
    kinds = [kind for kind in family.constraint_kinds if kind not in family.module_names]
    famous = len(family.famous())
    extra = [v for v in family.variants if v not in ("fresh", "renamed", "reordered", "greedy_fails", "imported")]
    return [
        f"`{family.name}`",
        family.title,
        ", ".join(kinds),
        ", ".join(family.module_names) or "–",
        ", ".join(f"{v} ({famous})" if v == "famous" else v for v in extra) or "–",
        ", ".join(family.formats) or "–",
    ]


def document(store: Store, instances: int) -> str:
    """Return the whole page."""
    known, cells = measured(store), rates(store)
    lines = [
        "# Families",
        "",
        "Made by `python -m tests.docs`: the baselines answer the first instances of seed 7 of every family at every"
        " size, with all modules, and are judged like any model. Three percentages stand together: constraints"
        " satisfied (micro) / feasible but for the target / feasible.",
        "",
    ]
    for kind, title in (("optimization", "Constrained optimization"), ("numerics", "Iterative procedures")):
        families = [family for family in registry.families() if family.kind == kind]
        header = ["family", "what it is", "constraint kinds", "modules", "variants of its own", "public formats"]
        lines += [
            f"## {title}: {len(families)} families",
            "",
            *table(header, map(described, families), len(header)),
            "",
        ]
        header = ["family", "size", "instances", "discarded", "constraints", "tokens", *SHOWN[kind]]
        header += ["solved in ms"] if kind == "optimization" else []
        lines += [*table(header, rows_of(kind, known, cells)), ""]
    lines += [
        "*discarded*: attempts that no proof was found for (procedures: that stand still); *constraints*: median;"
        " *tokens*: of the longest question (characters / 3); *solved in*: median time of the proof, one worker.",
        f"{instances} indexes were tried for each row.",
    ]
    return "\n".join(lines) + "\n"


def write(docs: Path, instances: int) -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder:
        store = run(Path(folder), instances)
        (docs / "families.md").write_text(document(store, instances), encoding="utf-8")
