"""Readers of public instance formats: pure functions from a file's text to a frozen dataclass of plain numbers."""
