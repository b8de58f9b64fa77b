"""The simulation study, reduced: every method keeps its promises, a broken one is noticed, and the page is current."""

import re

import pytest

from probe.results import statistics
from tests.simulate import __main__ as simulate
from tests.simulate import studies
from tests.simulate.tables import Table

PAGE = simulate.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("study", studies.STUDIES, ids=lambda study: study.__name__)
def test_every_method_keeps_its_promises(study):
    """Thirty seeded replications, bands widened by what chance may add; the committed page has the same table."""
    table = study(30, 5)
    assert table.missed == []
    header, _, *rows = table.markdown().splitlines()
    assert table.about in PAGE
    assert f"\n{header}\n" in PAGE
    first = [row.split("|")[1] for row in rows]
    assert all(f"|{cell}|" in PAGE for cell in first)


def test_errors_of_trials_instead_of_models_are_noticed(monkeypatch):
    """The trap that finds slopes in half of all studies leaves its band even in a reduced run."""
    honest = statistics.slope
    monkeypatch.setattr(
        statistics, "slope", lambda x, rates, errors, confidence=0.95: honest(x, rates * 0 + 0.1 * x, errors * 0.1)
    )
    assert any("slope, 6 models" in miss for miss in studies.slopes(30, 5).missed)


def test_intervals_that_are_too_short_are_noticed(monkeypatch):
    """Limits at 60 % confidence cover too little."""
    honest = statistics.ratio
    monkeypatch.setattr(statistics, "ratio", lambda n, y: honest(n, y, confidence=0.6))
    assert studies.rates(30, 5).missed


def test_a_full_run_has_no_slack():
    """From a thousand replications on, the bands are those that the page promises."""
    full, reduced = (Table("Title", "about", [], replications) for replications in (2_000, 100))
    for table in (full, reduced):
        table.at_least("coverage", 0.92, 0.93)
        table.at_most("false positives", 0.07, 0.06)
    assert full.missed == [
        "Title: coverage: 92.0 %, at least 93 % promised",
        "Title: false positives: 7.0 %, at most 6 % promised",
    ]
    assert reduced.missed == []


def broken(replications, seed):
    """A study that misses its band."""
    table = Table("Broken", "About it.", ["rate"], replications, missed=["Broken: 80.0 %"])
    table.row(0.8)
    return table


def test_a_missed_band_ends_with_exit_code_1_and_still_writes_the_page(monkeypatch, tmp_path, capsys):
    """What missed is printed."""
    page, template = tmp_path / "page.md", tmp_path / "template.md"
    template.write_text("{replications} studies, seed {seed}\n\n{broken}\n", encoding="utf-8")
    for name, value in (("STUDIES", (broken,)), ("PAGE", page), ("TEMPLATE", template)):
        monkeypatch.setattr(simulate, name, value)
    monkeypatch.setattr("sys.argv", ["simulate", "--replications", "3000", "--seed", "9", "--processes", "1"])
    assert simulate.main() == 1
    assert page.read_text(encoding="utf-8") == "3,000 studies, seed 9\n\nAbout it.\n\n| rate |\n| --- |\n| 80.0 |\n"
    assert capsys.readouterr().out == f"Broken: 80.0 %\nwrote {page}\n"


def test_the_committed_page_is_a_full_run_of_the_template():
    """Prose between the tables is the template's, and the run was the full one."""
    pieces = re.split(r"\{\w+\}", simulate.TEMPLATE.read_text(encoding="utf-8"))
    place = 0
    for piece in pieces:
        place = PAGE.find(piece, place)
        assert place >= 0, piece
        place += len(piece)
    assert "2,000 studies" in PAGE
