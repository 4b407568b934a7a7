"""What hooks print, and what native libraries write: whole lines that say which request and worker they belong to."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

import msgspec

from drum_litestar.observability.logs.log_format import escape, json_line, request_context, timestamp

LONGEST: Final = 64 * 1024
"""Characters after which a line is cut."""


class LineStream(io.TextIOBase):
    """Stands in for ``sys.stdout`` or ``sys.stderr``: passes whole lines on, each thread's by itself.

    ``print`` writes text and newline separately, so two threads' lines would mix in an ordinary stream. Of a line
    that is rewritten with carriage returns (a progress bar) the last state is kept.
    """

    def __init__(self, original: TextIO, render: Callable[[str], str]) -> None:
        """``render`` makes the line to write to ``original`` from a printed one."""
        self._original = original
        self._render = render
        self._lock = threading.Lock()
        self._threads = threading.local()

    def write(self, text: str) -> int:
        *lines, rest = (getattr(self._threads, "text", "") + text).split("\n")
        while len(rest) > LONGEST:
            lines.append(rest[:LONGEST])
            rest = rest[LONGEST:]
        self._threads.text = rest
        if lines:
            whole = "".join(self._render(line.rstrip("\r").rpartition("\r")[2]) + "\n" for line in lines)
            with self._lock:
                self._original.write(whole)
                self._original.flush()
        return len(text)

    def flush(self) -> None:
        """Lines go out as they end; an unfinished one waits for its end (see :meth:`drain`). So what is left to flush
        are bytes that were written to :attr:`buffer`."""
        self._original.flush()

    def drain(self) -> None:
        """Write this thread's unfinished line."""
        if getattr(self._threads, "text", ""):
            self.write("\n")

    # What user code expects of a standard stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._original.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._original.errors

    @property
    def buffer(self) -> Any:
        """The bytes below, for those who write bytes: they pass as they are."""
        return self._original.buffer

    def fileno(self) -> int:
        return self._original.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def reconfigure(self, **_: object) -> None:
        """Buffering is this class's own affair."""


def end_prints() -> None:
    """Write the unfinished lines of this thread: what it prints next belongs to another request."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, LineStream):
            stream.drain()


def text_line(line: str, worker: int | None) -> str:
    """A printed line, followed by the request's context as in the log."""
    context = request_context(worker)
    return f"{escape(line)} {context}" if context else escape(line)


def json_print(stream: str, line: str, worker: int | None) -> str:
    """A printed line as a JSON log line of the logger ``stdout`` or ``stderr``."""
    return json_line(
        {
            "timestamp": timestamp(time.time()),
            "level": "INFO",
            "logger": stream,
            "message": line,
            "worker": worker,
            "request_id": request_context(None).get("request_id"),
        }
    )


def forwarded(stream: str, text: str, worker: int, *, json_lines: bool) -> str:
    """A line that came through a worker's pipe, without its newline, ready to be written.

    Those of the worker's logging and prints already have their form; what native code wrote is escaped, and wrapped
    when lines are JSON.
    """
    if not json_lines:
        return escape(text)
    if text.startswith('{"timestamp":'):
        try:
            if isinstance(msgspec.json.decode(text), dict):
                return text
        except msgspec.DecodeError:
            pass
    return json_print(stream, text, worker)
