"""docs/gallery.md: of each family one small instance, its statement, and its exact answer as a picture."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probe.asking.posed import Posed
from probe.results.pictures import picture
from probe.results.plots import save
from solvers import registry
from solvers.names import sentence
from solvers.problem import Family, Instance

SEED, TRIED = 7, 10
KINDS = {"optimization": "Constrained optimization", "numerics": "Iterative procedures"}


def heading(family: Family[Any, Any]) -> str:
    """Return the title of a family's part."""
    return f"{sentence(family.title)} (`{family.name}`)"


def anchor(title: str) -> str:
    """Return the fragment that GitHub and others give a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def contents() -> Iterator[str]:
    """Yield a paragraph of links for each kind of family."""
    for kind, title in KINDS.items():
        links = [
            f"[{sentence(family.title)}](#{anchor(heading(family))})"
            for family in registry.families()
            if family.kind == kind
        ]
        yield from ("", f"{title}: {', '.join(links)}.")


def write(docs: Path) -> None:
    """Write the page and its pictures."""
    folder = docs / "gallery"
    folder.mkdir(exist_ok=True)
    parts = [
        "# Gallery",
        "",
        "Made by `make docs`: of each family the first instance of size xs of seed 7 without modules, as a model is"
        " asked (in words, the answer's form apart), and its exact answer. `probe sample FAMILY --size xs --modules"
        " none --plot FILE.svg --answer` draws one.",
        *contents(),
    ]
    for family in registry.families():
        found = next(
            one
            for one in (family.instance("xs", SEED, index, ())[0] for index in range(TRIED))
            if isinstance(one, Instance)
        )
        mode = family.modes[-1]
        posed = Posed(found, mode)
        answer = "" if found.answer is None else json.dumps(posed.shape.write(family.exact(found, mode), found.names))
        save(picture(found), folder / f"{family.name}.svg")
        parts += [
            "",
            f"## {heading(family)}",
            "",
            "```text",
            posed.statement,
            "```",
            "",
            f"![The exact answer: {sentence(family.title)}](gallery/{family.name}.svg)",
            "",
            f"Exact answer: `{answer}`",
        ]
    (docs / "gallery.md").write_text("\n".join(parts) + "\n", encoding="utf-8")
