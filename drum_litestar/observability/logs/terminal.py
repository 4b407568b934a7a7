"""What only a terminal shows: colours, and a status line that is rewritten below all other lines."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from typing import Final, NamedTuple, TextIO

ERASE: Final = "\r\x1b[K"
"""Erases the line that the cursor is in: the status line, or the ``^C`` that the terminal echoes."""

_GOOD, _BAD, _RESET = "\x1b[1;32m", "\x1b[1;33m", "\x1b[0m"


class Terminal(NamedTuple):
    """A terminal behind a text stream."""

    stream: TextIO
    rewrites: bool = True
    """It understands control sequences."""
    colours: bool = True

    @classmethod
    def behind(cls, stream: TextIO, environ: Mapping[str, str] = os.environ) -> Terminal | None:
        """The terminal that ``stream`` writes to; None for a file or a pipe. ``NO_COLOR`` turns colours off,
        ``TERM=dumb`` all control sequences."""
        try:
            if not stream.isatty():
                return None
        except ValueError:  # closed
            return None
        rewrites = environ.get("TERM", "") != "dumb"
        return cls(stream, rewrites, rewrites and not environ.get("NO_COLOR"))

    def stress(self, text: str, *, good: bool) -> str:
        """``text`` in bold green, or yellow; unchanged without colours."""
        return f"{_GOOD if good else _BAD}{text}{_RESET}" if self.colours else text

    def fresh(self, text: str) -> str:
        """``text`` for an empty line, whatever stands in the present one."""
        return f"{ERASE}{text}" if self.rewrites else text

    def fitting(self, text: str) -> str:
        """``text`` cut to one row: a line that wraps cannot be rewritten."""
        columns = shutil.get_terminal_size().columns
        with contextlib.suppress(OSError, ValueError):
            columns = os.get_terminal_size(self.stream.fileno()).columns or columns
        return text if len(text) < columns else f"{text[: max(0, columns - 4)]}..."
