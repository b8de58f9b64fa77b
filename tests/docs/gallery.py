"""docs/gallery.md: of each family one small instance, its statement, and its exact answer as a picture."""

import json
from pathlib import Path

from probe.asking.posed import Posed
from probe.results.pictures import picture
from probe.results.plots import save
from solvers import registry
from solvers.problem import Instance

SEED, TRIED = 7, 10


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
            f"## {family.title} (`{family.name}`)",
            "",
            "```text",
            posed.statement,
            "```",
            "",
            f"![The exact answer](gallery/{family.name}.svg)",
            "",
            f"Exact answer: `{answer}`",
        ]
    (docs / "gallery.md").write_text("\n".join(parts) + "\n", encoding="utf-8")
