"""Progress bar and log on standard error; standard output has the report."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LOGGER: Final = logging.getLogger("drum_litestar.compare")

Advance = Callable[[str], None]


@contextlib.contextmanager
def progress(total: int, title: str, *, quiet: bool) -> Iterator[Advance]:
    """Show a progress bar with the remaining time. Yields a function that advances it by one and sets its remark.

    Where standard error is not a terminal, only the last state is printed.
    """
    console = Console(file=sys.stderr, quiet=quiet)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total, remark="")
        yield lambda remark: bar.update(task, advance=1, remark=remark)


@contextlib.contextmanager
def log_lines(*, quiet: bool) -> Iterator[None]:
    """Print the records of :data:`LOGGER` with their time in UTC; only warnings when ``quiet``."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    before = (LOGGER.level, LOGGER.propagate)
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.WARNING if quiet else logging.INFO)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.level, LOGGER.propagate = before
