"""The report: what is in it, that it needs nothing else, and that every number leads to its trials."""

import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from sqlalchemy import update

from probe.batches import Arm, BatchSpec
from probe.errors import RequestError, WorkError
from probe.results.cells import result_table
from probe.results.documents import page
from probe.results.formats import render
from probe.results.report import report, save
from probe.store.sessions import Store, open_store
from probe.store.tables import Shard
from tests.endpoint import Endpoint
from tests.runs import known, ran, submitted, varied

HOSTILE = "night</pre><script>alert(1)</script>\"'&|`*"
NEVER_CLOSED = {"meta", "br", "path", "line", "rect"}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A database with a small real run of two models, whose batch has a hostile name; one shard tells of an error."""
    file = tmp_path_factory.mktemp("report") / "probe.sqlite3"
    store = open_store(f"sqlite:///{file}")
    arms = (
        Arm(families=("knapsack",), sizes=("xs",), variants=("fresh", "perturbed"), instances=6),
        Arm(families=("jacobi",), sizes=("xs",), modes=("trace",), instances=6),
    )
    with Endpoint(varied) as endpoint:
        for name, params in (("small", 10**8), ("large", 10**10)):
            known(store, endpoint.url, name, params=params, layers=12, price_in=0.5, price_out=2.0)
        batch = submitted(store, BatchSpec(arms=arms, models=("small", "large")), HOSTILE)
        assert ran(store, batch).state == "complete"
    with store.writing() as session:
        session.execute(update(Shard).where(Shard.id == 1).values(error=HOSTILE))
    store.dispose()
    return file


@pytest.fixture
def store(file):
    """The study, to be read."""
    store = Store(f"sqlite:///{file}")
    yield store
    store.dispose()


@pytest.fixture(scope="module")
def document(file):
    """Its report."""
    store = Store(f"sqlite:///{file}")
    with store.reading() as session:
        made = report(session)
    store.dispose()
    return made


@pytest.fixture(scope="module")
def html(document):
    """Its page."""
    return page(document)


class Read(HTMLParser):
    """What a page holds: tags, attributes, ids, texts by tag; every tag is closed in its order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.ids, self.texts, self.open = set(), [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in ("meta", "!doctype"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append((self.open[-1] if self.open else "", text))


def listings(document):
    return [block for section in document.sections for block in section.blocks if type(block).__name__ == "Listing"]


def test_the_report_has_every_part(document):
    """Summary, tables, plots, the eleven findings, methods, versions, batches: each under its heading."""
    headings = [section.heading for section in document.sections]
    for heading in ("Summary", "Results", "By model", "By family", "By constraint class", "Unscored", "Plots"):
        assert heading in headings
    for heading in ("Findings", "Methods", "How it was asked", "What was asked", "Versions", "Batches", HOSTILE):
        assert heading in headings
    claims = [int(found[1]) for h in headings if (found := re.match(r"(\d+)\. .*: (supported|refuted|undecided)$", h))]
    assert claims == list(range(1, 12))
    names = {block.name for s in document.sections for block in s.blocks if type(block).__name__ == "Figure"}
    assert {f"plot-{n}" for n in ("size", "kinds", "outcomes", "novelty", "survival", "compare")} <= names


def test_the_page_needs_nothing_else(html):
    """Nothing is fetched, there is no script; tags are closed, ids unique, links have their targets."""
    read = Read(html)
    assert read.open == []
    assert "script" not in read.tags
    assert not read.tags & {"link", "img", "iframe", "object"}
    links = [value for name, value in read.attributes if name in ("href", "src", "xlink:href", "srcset")]
    assert all(link.startswith("#") for link in links)
    assert len(read.ids) == len(set(read.ids))
    assert {link[1:] for link in links} <= set(read.ids)
    used = re.findall(r"url\(([^)]*)\)", html)
    assert used
    assert {target.strip("#\"'") for target in used} <= set(read.ids)
    assert len(html) < 3_000_000


def test_hostile_names_stay_text(html, document, tmp_path):
    """A batch's name and an error are shown as they are, in the page and in markdown, and become no markup."""
    texts = [text for _, text in Read(html).texts]
    assert HOSTILE in texts
    assert any(text.endswith(f"shards: {HOSTILE}") for text in texts)
    assert "<script" not in html
    save(document, tmp_path / "report.md")
    prose = re.sub(r"^(`{3,})\n.*?\n\1$", "", (tmp_path / "report.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in prose
    assert "night&lt;/pre>&lt;script>" in prose


def test_tables_say_what_results_say(store, document, tmp_path):
    """The rows of the report in markdown are those that `probe results --format markdown` prints."""
    save(document, tmp_path / "report.md")
    lines = (tmp_path / "report.md").read_text().splitlines()
    with store.reading() as session:
        for by in (("model", "params"), ("model", "family"), ("model", "constraint_class"), ("model", "size")):
            rows = [line for line in render(result_table(session, by), "markdown").splitlines() if line[:1] == "|"]
            start = lines.index(rows[0])
            unbracketed = [line.replace("\\[", "[").replace("\\]", "]") for line in lines[start : start + len(rows)]]
            assert unbracketed == rows


def test_markdown_links_its_plots(document, tmp_path):
    """Each plot is a file beside the report, linked by a relative path."""
    files = save(document, tmp_path / "out.md")
    linked = re.findall(r"^!\[.*\]\((.*)\)$", (tmp_path / "out.md").read_text(), re.MULTILINE)
    assert sorted(linked) == sorted(f"out-plots/{file.name}" for file in files[1:])
    assert all((tmp_path / link).read_text().startswith("<svg") for link in linked)


def test_the_same_data_give_the_same_bytes(file, html, tmp_path):
    """Another process, elsewhere on the clock and with another hash seed, writes the same page."""
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland", "PROBE_HOME": str(tmp_path)}
    environment["PROBE_DATABASE_URL"] = f"sqlite:///{file}"
    command = [sys.executable, "-m", "probe.cli", "report", "-o", str(tmp_path / "again.html")]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    assert (tmp_path / "again.html").read_text() == html


def test_every_command_works(probe, monkeypatch, file, document, tmp_path):
    """Whatever command stands in the report can be typed, its capitals filled in; tables and plots lead to trials."""
    monkeypatch.setenv("PROBE_DATABASE_URL", f"sqlite:///{file}")
    commands = {line for block in listings(document) for line in block.lines if line.startswith("probe ")}
    assert {command.split()[1] for command in commands} >= {"results", "trials", "show", "plot", "findings", "status"}
    filled = {"MODEL": "small", "FAMILY": "knapsack", "SIZE": "xs", "TRIAL": "1", "CHANNEL": "json"}
    for command in sorted(commands):
        if command.startswith("probe plot"):
            continue  # drawn above by the same functions; one is tried below
        words = [re.sub(r"\b[A-Z]{4,}\b", lambda found: filled[found[0]], word) for word in shlex.split(command)[1:]]
        code, _, err = probe(*words)
        assert code == 0, f"{command}\n{err}"
    [one] = [command for command in commands if command.startswith("probe plot compare")]
    assert probe(*shlex.split(one.replace(".html", ".svg"))[1:])[0] == 0
    assert (tmp_path / "compare.svg").exists()


def test_every_table_plot_and_finding_has_its_command(document):
    """No numbers without the way to their rows."""
    for section in document.sections:
        kinds = {type(block).__name__ for block in section.blocks}
        lines = [line for block in section.blocks if type(block).__name__ == "Listing" for line in block.lines]
        if kinds & {"Table", "Figure"} and section.anchor not in ("results", "batches"):
            assert any(line.startswith("probe ") for line in lines), section.heading
        if section.anchor.startswith(("plot-", "claim-", "by-", "unscored")):
            assert [line.split()[1] for line in lines[-2:]] == ["trials", "show"]


def test_a_report_of_a_part_says_so(store):
    """Conditions hold for all of it and stand in its summary and in its commands; a title is taken."""
    with store.reading() as session:
        document = report(session, 1, {"family": "jacobi"}, "Iterations")
    assert document.title == "Iterations"
    said = str(document.sections[0])
    assert "family=jacobi" in said
    assert "knapsack" not in "".join(str(s) for s in document.sections if not s.anchor.startswith(("batch-", "claim-")))
    commands = [line for block in listings(document) for line in block.lines if line.startswith("probe results")]
    assert all("--batch" in command for command in commands)
    assert sum("--where family=jacobi" in command for command in commands) >= 5


def test_costs_and_calls_are_those_of_the_calls(document):
    """Two models, 18 questions each, at 7 and 3 tokens a call."""
    [section] = [section for section in document.sections if section.anchor == "batches"]
    [table] = [block for block in section.blocks if type(block).__name__ == "Table"]
    assert [row[:4] for row in table.rows] == [["small", "18", "126", "54"], ["large", "18", "126", "54"]]
    assert table.rows[0][-1] == f"{(126 * 0.5 + 54 * 2) / 1e6:.4f}"


def test_what_cannot_be_reported_says_what_to_do(probe, store, document, tmp_path):
    """No answers, an unknown condition, another kind of file, a place that can't be written."""
    code, _, err = probe("report", "-o", "report.html")
    assert code == 1
    assert "ask some with `probe run`" in err
    assert probe("report", "-o", "report.pdf")[0] == 2
    with store.reading() as session:
        with pytest.raises(RequestError, match="unknown 'colour'"):
            report(session, where={"colour": "red"})
        with pytest.raises(WorkError, match="no model has answered anything here"):
            report(session, where={"family": "knapsack", "size": "xl"})
    for name in ("report.html", "report.md"):
        with pytest.raises(RequestError, match="choose another place"):
            save(document, tmp_path / "nowhere" / name)
