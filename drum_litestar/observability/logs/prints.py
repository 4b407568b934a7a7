"""Captured output of hooks and native libraries: whole lines, each with its request and worker."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

import msgspec

from drum_litestar.observability.logs.log_format import context_data, escape, json_line, timestamp

MAX_LINE_LENGTH: Final = 64 * 1024
"""Characters after which a line is cut."""


class LineStream(io.TextIOBase):
    """Replaces ``sys.stdout`` or ``sys.stderr``; buffers each thread's text and writes whole lines.

    ``print`` writes text and newline separately, so two threads' lines would mix in an ordinary stream. Of a line
    that is rewritten with carriage returns (a progress bar) the last state is kept.
    """

    def __init__(self, original: TextIO, render: Callable[[str], str]) -> None:
        """``render`` turns a printed line into the line that is written to ``original``."""
        self._original = original
        self._render = render
        self._lock = threading.Lock()
        self._threads = threading.local()

    def write(self, text: str) -> int:
        *lines, rest = (getattr(self._threads, "text", "") + text).split("\n")
        while len(rest) > MAX_LINE_LENGTH:
            lines.append(rest[:MAX_LINE_LENGTH])
            rest = rest[MAX_LINE_LENGTH:]
        self._threads.text = rest
        if lines:
            whole = "".join(self._render(line.rstrip("\r").rpartition("\r")[2]) + "\n" for line in lines)
            with self._lock:
                self._original.write(whole)
                self._original.flush()
        return len(text)

    def flush(self) -> None:
        """Flush bytes written to :attr:`buffer`. Whole lines are out already; an unfinished one waits for its end or
        for :meth:`drain`."""
        self._original.flush()

    def drain(self) -> None:
        """Write this thread's unfinished line."""
        if getattr(self._threads, "text", ""):
            self.write("\n")

    # The rest of a text stream's interface, for user code

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._original.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._original.errors

    @property
    def buffer(self) -> Any:
        """The underlying byte stream; bytes written to it are not changed."""
        return self._original.buffer

    def fileno(self) -> int:
        return self._original.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def reconfigure(self, **_: object) -> None:
        """No-op: this class buffers in its own way."""


def end_prints() -> None:
    """Write this thread's unfinished lines at the end of a request, so that the next one starts on a new line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, LineStream):
            stream.drain()


def text_line(line: str, worker: int | None) -> str:
    """Render a printed line with the request's context after it, as in the log."""
    context = context_data(worker)
    return f"{escape(line)} {context}" if context else escape(line)


def json_print(stream: str, line: str, worker: int | None) -> str:
    """Render a printed line as a JSON log line of the logger ``stdout`` or ``stderr``."""
    return json_line(
        {
            "timestamp": timestamp(time.time()),
            "level": "INFO",
            "logger": stream,
            "message": line,
            "worker": worker,
            "request_id": context_data(None).get("request_id"),
        }
    )


def forwarded(stream: str, text: str, worker: int, *, json_lines: bool) -> str:
    """Render a line read from a worker's pipe (without its newline).

    Lines of the worker's logging and of :class:`LineStream` are formatted already; output of native code is escaped,
    or wrapped in a JSON object when lines are JSON.
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
