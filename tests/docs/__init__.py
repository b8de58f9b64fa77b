"""Documents that are made by a command: `python -m tests.docs` writes docs/families.md from a run of the baselines."""
