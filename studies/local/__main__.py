"""The study of two small local models: `python -m studies.local` asks every recipe (the .toml files beside this one).

It goes through the same functions as `probe run`, into the default database; run again, it goes on where it stopped.
With the name of a model it asks that one alone, so that two can run side by side, each with a thread of its own.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from probe import demo
from probe.batches import read_spec
from probe.errors import RequestError
from probe.local import LOCAL_MODELS

FOLDER = Path(__file__).parent


def ask(names: Sequence[str]) -> None:
    """Ask the models named (all without a name) every recipe. Raises RequestError, LocalError, WorkError."""
    if unknown := set(names) - {model.name for model in LOCAL_MODELS}:
        raise RequestError(f"model {', '.join(sorted(unknown))}: one of {', '.join(m.name for m in LOCAL_MODELS)}")
    recipes = sorted(FOLDER.glob("*.toml"))
    for model in LOCAL_MODELS:
        if names and model.name not in names:
            continue
        named = {f"{recipe.stem}-{model.name}": recipe for recipe in recipes}
        specs = {name: read_spec(path, {"models": [model.name]})[0] for name, path in named.items()}
        demo.measure(model, specs, threads=1 if names else None)


if __name__ == "__main__":
    sys.exit(demo.exit_code(lambda: ask(sys.argv[1:]), "start again to go on"))
