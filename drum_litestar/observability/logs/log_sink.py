"""Log output that never blocks the logging thread: a bounded queue, one writer thread, a counter of dropped lines."""

from __future__ import annotations

import contextlib
import logging
import threading
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple, TextIO, Union

from drum_litestar.observability.logs.terminal import ERASE, Terminal
from drum_litestar.settings.masking import masked

BATCH: Final = 512
"""Maximum number of lines that are joined into one write."""


class _Line(NamedTuple):
    stream: TextIO
    text: str


class _Status(NamedTuple):
    """A new status line; empty for none."""

    text: str


_Entry = Union[_Line, _Status, threading.Event]


class LineSink:
    """Takes lines from any thread and writes them in order; never blocks, never raises.

    A full queue (a stalled terminal, a full pipe) drops lines and counts them; a warning with their number is logged
    when half of the queue is free again.
    """

    def __init__(self, limit: int = 10_000, terminal: Terminal | None = None) -> None:
        """``limit``: lines that may be queued. ``terminal``: where the status line is shown, if it can be rewritten."""
        self._limit = limit
        self._terminal = terminal if terminal is not None and terminal.rewrites else None
        self._status = ""
        self._queue: SimpleQueue[_Entry] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.dropped = 0
        """Lines lost so far, because the queue was full or the stream was gone."""

    @property
    def has_room(self) -> bool:
        """Whether at least half of the queue is free."""
        return self._queue.qsize() * 2 <= self._limit

    @property
    def has_terminal(self) -> bool:
        """Whether a status line can be shown."""
        return self._terminal is not None

    def put(self, stream: TextIO, line: str) -> None:
        """Write ``line``, without its newline, to ``stream`` as soon as possible."""
        if self._closed:
            _write(stream, line + "\n")  # the process is ending: blocking is fine
        elif self._queue.qsize() >= self._limit:
            with self._lock:
                self.dropped += 1
        else:
            if self._thread is None:
                self._start()
            self._queue.put(_Line(stream, line))

    def show_status(self, text: str) -> None:
        """Show ``text`` below all lines until the next call; empty shows nothing. No-op without a terminal."""
        if self._terminal is not None and not self._closed and self._queue.qsize() < self._limit:
            if self._thread is None:
                self._start()
            self._queue.put(_Status(text))

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what is queued now has been written; False after ``timeout`` seconds."""
        if self._thread is None or not self._thread.is_alive():
            return True
        written = threading.Event()
        self._queue.put(written)
        return written.wait(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Flush; later lines are written by the thread that logs them. Idempotent."""
        self.show_status("")
        done = self.flush(timeout)
        self._closed = True
        return done and self.flush(timeout)  # lines queued before ``_closed`` was set

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="drum-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            entries = [self._queue.get()]
            with contextlib.suppress(Empty):
                while len(entries) < BATCH:
                    entries.append(self._queue.get_nowait())
            self._write(entries)

    def _write(self, entries: list[_Entry]) -> None:
        lines: dict[TextIO, list[str]] = {}
        status = self._status
        for entry in entries:
            if isinstance(entry, _Line):
                lines.setdefault(entry.stream, []).append(entry.text)
            elif isinstance(entry, _Status):
                status = entry.text
        if self._status and self._terminal is not None:
            _write(self._terminal.stream, ERASE)
        for stream, texts in lines.items():
            if not _write(stream, "\n".join(texts) + "\n"):
                with self._lock:
                    self.dropped += len(texts)
        self._status = status
        if status and self._terminal is not None:
            _write(self._terminal.stream, self._terminal.fitting(status))
        for entry in entries:
            if isinstance(entry, threading.Event):
                entry.set()


class SinkHandler(logging.Handler):
    """Formats a record in the logging thread, which has the request's context, and passes the line to a sink."""

    def __init__(self, sink: LineSink, stream: TextIO) -> None:
        super().__init__()
        self._sink = sink
        self._stream = stream
        self._reported = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        if self._sink.dropped != self._reported and self._sink.has_room:
            self._report()
        self._sink.put(self._stream, line)

    def _report(self) -> None:
        lost, self._reported = self._sink.dropped - self._reported, self._sink.dropped
        text = f"{lost} log lines were dropped, because they came faster than they could be written"
        self._sink.put(
            self._stream,
            self.format(logging.LogRecord("drum_litestar.log", logging.WARNING, __file__, 0, text, None, None)),
        )


def _write(stream: TextIO, text: str) -> bool:
    """Mask secrets in ``text`` and write it; False when the stream is gone.

    Masking takes place here because no request waits for the writer thread.
    """
    text = masked(text)
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:  # a lone surrogate, or a terminal without UTF-8
            stream.write(text.encode("ascii", "backslashreplace").decode())
        stream.flush()
    except (OSError, ValueError):  # closed, or its reader is gone
        return False
    return True
