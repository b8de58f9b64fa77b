"""Tests of the readers: each feature on a file small enough to check by hand, each error by its line."""

from pathlib import Path

PUBLIC = Path(__file__).parents[2] / "data" / "public"


def public(name):
    """Return the text of a public instance."""
    return (PUBLIC / name).read_text(encoding="utf-8")
