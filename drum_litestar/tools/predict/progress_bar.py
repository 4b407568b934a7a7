"""A progress bar on standard error, if that is a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Final, TextIO

WIDTH: Final = 30
INTERVAL: Final = 0.1
"""Seconds between two states that are drawn."""


class ProgressBar:
    """One line that is drawn again and again, and removed at the end. Off a terminal nothing is written."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        """``total`` is the work in any unit, such as bytes."""
        self._stream = stream if stream is not None else sys.stderr
        self._shown = self._stream.isatty()
        self._total = max(total, 1)
        self._began = time.monotonic()
        self._drawn = -INTERVAL

    def show(self, done: int, text: str) -> None:
        """``done`` of the total is done; ``text`` says of what."""
        now = time.monotonic()
        if not self._shown or (now - self._drawn < INTERVAL and done < self._total):
            return
        self._drawn = now
        share = min(done / self._total, 1.0)
        full = int(share * WIDTH)
        left = (now - self._began) * (1 - share) / share if share else 0.0
        remaining = f", {_clock(left)} left" if 0 < share < 1 else ""
        line = f"{share:4.0%} [{'#' * full}{'.' * (WIDTH - full)}] {text}{remaining}"
        self._write(line[: shutil.get_terminal_size().columns - 1])

    def note(self, text: str) -> None:
        """Write a line that stays, also off a terminal."""
        self.close()
        self._stream.write(f"drum-litestar: {text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Remove the line."""
        if self._shown and self._drawn >= 0:
            self._write("")

    def _write(self, line: str) -> None:
        self._stream.write(f"\r\x1b[2K{line}")
        self._stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
