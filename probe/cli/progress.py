"""Progress on stderr: bars on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType

from probe.cli.common import say

EVERY = 15.0  # seconds between lines where there is no terminal


class Lines:
    """Progress as plain lines, for logs."""

    def __enter__(self) -> "Lines":
        self._total: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._said = 0.0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self._done:
            say(f"{name}: {self._done[name]} of {self._total[name]} answers")

    def preparing(self, done: int, total: int) -> None:
        """Say how far preparing is."""
        if total and done == total:
            say(f"prepared {total} instances")

    def asking(self, model: str, total: int) -> None:
        """Begin a model."""
        self._done.setdefault(model, 0)
        self._total[model] = self._done[model] + total

    def answered(self, model: str, outcome: str) -> None:
        """Count an answer."""
        self._done[model] += 1
        if time.monotonic() - self._said > EVERY:
            self._said = time.monotonic()
            say(f"{model}: {self._done[model]} of {self._total[model]} answers")

    def note(self, text: str) -> None:
        """Say something that the user must know."""
        say(f"note: {text}")


class Bars:
    """Progress as bars."""

    def __enter__(self) -> "Bars":
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[outcomes]}", style="dim"),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, int] = {}
        self._outcomes: dict[str, dict[str, int]] = {}
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def _task(self, name: str, total: int) -> int:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, outcomes="")
        return self._tasks[name]

    def preparing(self, done: int, total: int) -> None:
        """Show how far preparing is."""
        if total:
            self._progress.update(self._task("preparing", total), completed=done)  # type: ignore[arg-type]

    def asking(self, model: str, total: int) -> None:
        """Begin a model."""
        done = sum(self._outcomes.setdefault(model, {}).values())
        self._progress.update(self._task(model, total), total=done + total)  # type: ignore[arg-type]

    def answered(self, model: str, outcome: str) -> None:
        """Count an answer."""
        seen = self._outcomes[model]
        seen[outcome] = seen.get(outcome, 0) + 1
        text = " ".join(f"{name} {count}" for name, count in sorted(seen.items()))
        self._progress.update(self._tasks[model], advance=1, outcomes=text)  # type: ignore[arg-type]

    def note(self, text: str) -> None:
        """Say something that the user must know."""
        self._progress.console.print(f"note: {text}", markup=False, highlight=False)


def progress() -> Bars | Lines:
    """Return the kind of progress that fits where stderr goes."""
    return Bars() if sys.stderr.isatty() else Lines()
