"""Documents: sections of text, tables, figures and commands, written as one self-contained page or as markdown.

What a document says is plain text throughout: each format escapes it, so that no name can become markup.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list of short texts; with a name each that stands before it where ``named``."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """Rows of texts; the first ``left`` columns are names, the others numbers. ``muted``: rows that stand back."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    muted: Sequence[bool] = ()
    title: str = ""


@dataclass(frozen=True)
class Figure:
    """A plot as an SVG document; ``name`` is unique in its document."""

    name: str
    svg: str
    says: str  # for those who can't see it


@dataclass(frozen=True)
class Listing:
    """Lines as they are: commands, or a specification. ``folded``: under its title, opened by a click."""

    lines: Sequence[str]
    title: str = ""
    folded: bool = False


Block = Text | Items | Table | Figure | Listing


@dataclass(frozen=True)
class Section:
    """A part with a heading; ``level`` 2 is a chapter, 3 a part of one. ``anchor``: what links point at."""

    heading: str
    anchor: str
    blocks: Sequence[Block]
    level: int = 2


@dataclass(frozen=True)
class Document:
    """A title and sections in their order."""

    title: str
    sections: Sequence[Section] = field(default_factory=list)


# --- a page -----------------------------------------------------------------------------------------------------------


def page(document: Document) -> str:
    """Return a document as one HTML page that fetches nothing: styles and plots stand in it, there is no script."""
    return _template().render(document=document, kind=lambda block: type(block).__name__, inlined=_inlined)


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    source = files("probe.results").joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source)


def _inlined(figure: Figure) -> str:
    """Return a plot's SVG as a part of a page: its ids, which the converter counts from 0 in each plot, made unique."""
    from markupsafe import Markup

    ids = dict.fromkeys(re.findall(r'\bid="([^"]+)"', figure.svg))
    svg = figure.svg
    for number, name in zip(count(), ids):
        new = f"{figure.name}-{number}"
        svg = svg.replace(f'id="{name}"', f'id="{new}"').replace(f"url(#{name})", f"url(#{new})")
        svg = svg.replace(f'href="#{name}"', f'href="#{new}"')
    return Markup(svg)


# --- markdown ---------------------------------------------------------------------------------------------------------


def markdown(document: Document, figures: Mapping[str, str]) -> str:
    """Return a document as GitHub's markdown; ``figures``: where each figure's file lies, by its name."""
    lines = [f"# {_plain(document.title)}"]
    for section in document.sections:
        lines += ["", f"{'#' * section.level} {_plain(section.heading)}"]
        for block in section.blocks:
            lines += ["", *_lines(block, figures)]
    return "\n".join(lines) + "\n"


def _lines(block: Block, figures: Mapping[str, str]) -> list[str]:
    match block:
        case Text():
            return [_plain(block.text)]
        case Items():
            return [
                f"- **{_plain(name)}** {_plain(text)}" if name else f"- {_plain(text)}" for name, text in block.rows
            ]
        case Table():
            return _table(block)
        case Figure():
            return [f"![{_plain(block.says)}]({figures[block.name]})"]
        case Listing():
            longest = max((len(run) for line in block.lines for run in re.findall("`+", line)), default=0)
            fence = "`" * max(3, longest + 1)
            title = [f"{_plain(block.title)}:", ""] if block.title else []
            return [*title, fence, *(" ".join(line.splitlines()) for line in block.lines), fence]


def _table(table: Table) -> list[str]:
    def row(texts: Sequence[str]) -> str:
        return f"| {' | '.join(_plain(text) for text in texts)} |"

    out = [f"{_plain(table.title)}:", ""] if table.title else []
    out += [row(table.headings), "|" + "---|" * table.left + "---:|" * (len(table.headings) - table.left)]
    muted = table.muted or [False] * len(table.rows)
    for texts, back in zip(table.rows, muted, strict=True):
        line = row(texts)
        out.append(re.sub(r"^\| (.*?) \|", r"| *\1* |", line, count=1) if back else line)
    return out


def _plain(text: str) -> str:
    """Return a text on one line in which nothing is markup."""
    return re.sub(r"([\\`*|\[\]])", r"\\\1", " ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;")
