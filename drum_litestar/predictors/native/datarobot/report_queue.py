"""Queue of monitoring reports, sent by a background thread: they may be lost, but never delay a request (Q-15)."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

logger = logging.getLogger("drum")

MAX_REPORTS: Final = 1000
MAX_ROWS: Final = 200_000
"""Rows of data in the queue. A larger report is accepted while the queue is empty."""
WARN_EVERY: Final = 60.0


class _Report(NamedTuple):
    send: Callable[[], None]
    rows: int


class ReportQueue:
    """A bounded queue and its thread, which starts with the first report. Thread-safe."""

    def __init__(self, *, max_reports: int = MAX_REPORTS, max_rows: int = MAX_ROWS) -> None:
        self.dropped = 0
        """Reports lost because the queue was full."""
        self.failed = 0
        """Reports whose sending raised."""
        self._taken = 0
        self._max_reports, self._max_rows = max_reports, max_rows
        self._reports: deque[_Report] = deque()
        self._rows = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._last_warning = -WARN_EVERY

    def put(self, send: Callable[[], None], rows: int = 0) -> bool:
        """Enqueue ``send``, which holds ``rows`` rows of data. False when it was dropped. Never blocks."""
        with self._changed:
            full = len(self._reports) >= self._max_reports or (self._rows > 0 and self._rows + rows > self._max_rows)
            if full or self._closing:
                self.dropped += 1
                self._warn("%d monitoring report(s) dropped so far: the queue is full", self.dropped)
                return False
            self._reports.append(_Report(send, rows))
            self._rows += rows
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="monitoring", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return True

    def take_lost(self) -> int:
        """The number of reports dropped or failed since the previous call."""
        with self._changed:
            lost, self._taken = self.dropped + self.failed - self._taken, self.dropped + self.failed
            return lost

    def close(self, timeout: float = 5.0) -> None:
        """Send the queued reports for at most ``timeout`` seconds, then drop the rest."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)
        with self._changed:
            self.dropped += len(self._reports)
            self._reports.clear()
        if self.dropped or self.failed:
            logger.warning("Monitoring reports: %d dropped, %d failed", self.dropped, self.failed)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._reports and not self._closing:
                    self._changed.wait()
                if not self._reports:
                    return
                report = self._reports.popleft()
                self._rows -= report.rows
            try:
                report.send()
            except Exception as error:
                with self._changed:
                    self.failed += 1
                    self._warn("%d monitoring report(s) failed so far; the last one: %r", self.failed, error)

    def _warn(self, text: str, *values: object) -> None:
        now = time.monotonic()
        if now - self._last_warning >= WARN_EVERY:
            self._last_warning = now
            logger.warning(text, *values)
