"""Write the documents that are made by the program: ``python -m tests.docs [families|gallery|api] [INSTANCES]``."""

import sys
from pathlib import Path

from tests.docs import api, families, gallery

DOCS = Path(__file__).parents[2] / "docs"
INSTANCES = 20


def main() -> None:
    wanted = [word for word in sys.argv[1:] if not word.isdecimal()] or ["families", "gallery", "api"]
    instances = next((int(word) for word in sys.argv[1:] if word.isdecimal()), INSTANCES)
    if "families" in wanted:
        families.write(DOCS, instances)
    if "gallery" in wanted:
        gallery.write(DOCS)
    if "api" in wanted:
        api.write(DOCS)
    print(f"wrote {', '.join(wanted)}")


if __name__ == "__main__":
    main()
