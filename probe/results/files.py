"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from probe.errors import RequestError


@contextmanager
def replacing(file: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that takes the place of ``file`` at the end, or is gone where writing failed.

    Raises RequestError where it can't be made.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with beside.open("xb") as target:
            yield target
        beside.replace(file)
    except OSError as error:
        raise RequestError(
            f"output {file}: can't be written ({error.strerror or error}); choose another place"
        ) from None
    finally:
        beside.unlink(missing_ok=True)


def write(file: Path, content: bytes) -> None:
    """Write a file. Raises RequestError where it can't be written."""
    with replacing(file) as target:
        target.write(content)
