"""docs/api.md: every example is run by a shell against a real server; the reference is that of the program."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from probe.api.app import make_app
from tests.api.conftest import example_server, operations
from tests.docs.api import reference, run, uses, uses_of

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_page_shows_the_examples_of_this_program(empty):
    """Else: python -m tests.docs api. Every route has a use, and so has every use its place in the page."""
    assert uses_of(PAGE) == [(use.command, use.status) for use in uses()]
    assert {use.route for use in uses()} == {f"{method} {path}" for method, path in operations(make_app(empty))}
    assert PAGE.endswith("\n".join(reference()) + "\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are curl's")
def test_every_example_works(tmp_path, filled_sqlite):
    """In their order, as they stand in the page: each ends with the status that stands below it."""
    by_command = {use.command: use for use in uses()}
    with example_server(tmp_path, filled_sqlite) as (url, home):
        for command, status in uses_of(PAGE):
            found, answer = run(replace(by_command[command], command=command), url, tmp_path, home)
            assert found == status, f"{command}\n{answer}"
            assert (answer == "") == (status == 204)
