"""The progress of a run on the terminal."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from benchmarks.report.result import Result, save
from benchmarks.runner.run_plan import Estimate


class Bar:
    """A progress bar with the current step and the remaining time."""

    def __init__(self, console: Console, folder: Path) -> None:
        self._console = console
        self._folder = folder
        columns = (BarColumn(bar_width=24), TextColumn("{task.fields[left]} left"), TextColumn("{task.description}"))
        self._progress = Progress(*columns, console=console, refresh_per_second=2, auto_refresh=console.is_terminal)
        self._task = self._progress.add_task("preparing", total=1.0, left="--:--")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, text: str, estimate: Estimate) -> None:
        """Show the current step."""
        left = clock(estimate.left())
        self._progress.update(self._task, description=text, completed=estimate.done, total=estimate.total, left=left)
        if not self._console.is_terminal:
            self._console.print(f"[{left} left] {text}", markup=False, soft_wrap=True)

    def message(self, text: str) -> None:
        """Print a permanent line above the bar."""
        self._console.print(text, markup=False, soft_wrap=True)

    def keep(self, result: Result) -> None:
        """Save the samples so far."""
        save(result, self._folder)


def clock(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
