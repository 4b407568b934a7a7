"""What happened to the server and what went wrong, as the console shows it: from log records and failed calls."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from drum_litestar.errors import RequestError
from drum_litestar.observability.logs.log_format import LIFECYCLE_LOGGER, exception_text
from drum_litestar.predictors.protocol import Reply
from drum_litestar.request_context import request_id_var
from drum_litestar.request_state import RequestState
from drum_litestar.settings.masking import masked

KEPT: Final = 100
"""Faults, and events of the history, that are listed."""
LONGEST: Final = 20_000
"""Characters of a text or traceback; the end of a longer one is kept, where Python has the exception."""

HIDDEN: Final = "The text may hold what a client sent; it is shown with --show-stacktrace"


class Event(msgspec.Struct, frozen=True):
    """Something in the server's life: a start, a reload, a worker that was replaced."""

    at: float
    """Seconds since the epoch."""
    level: str
    text: str


class Fault(msgspec.Struct):
    """One error. Without ``--show-stacktrace`` an error of a request has neither the model's text nor a traceback."""

    number: int
    """Counts up from 1."""
    at: float
    """Seconds since the epoch."""
    request_id: str
    """Empty for an error of the server itself."""
    route: str
    status: int
    """0 for an error of the server itself."""
    kind: str
    """The class of the error, or the logger of the record."""
    text: str
    traceback: str


class Faults(msgspec.Struct, frozen=True):
    """The last errors, the newest first."""

    faults: list[Fault]
    show_stacktrace: bool


class EventLog:
    """Keeps the last faults and events.

    Records may come from any thread; each is one append, which needs no lock.
    """

    def __init__(self, *, show_stacktrace: bool, clock: Callable[[], float] = time.time) -> None:
        self.show_stacktrace = show_stacktrace
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._faults: deque[Fault] = deque(maxlen=KEPT)
        self.event_count = self.fault_count = 0
        """So far."""

    def events(self) -> list[Event]:
        """The newest first."""
        return list(reversed(self._events))

    def faults(self) -> list[Fault]:
        """The newest first."""
        return list(reversed(self._faults))

    def happened(self, text: str, level: str = "INFO") -> None:
        """Add an event."""
        self.event_count += 1
        self._events.append(Event(self._clock(), level, _cut(masked(text))))

    def worker_restarted(self, cause: str) -> None:
        """A model worker is replaced; ``cause`` is one of a few fixed words."""
        self.happened(f"a model worker is replaced: {cause}", "INFO" if cause == "reload" else "WARNING")

    def call_failed(self, request: RequestState, status: int, answer: Reply | RequestError) -> None:
        """Add the fault of a request that is answered with ``status``."""
        route = request.path_template or (request.route.paths[0] if request.route.paths else "")
        if isinstance(answer, Reply):
            kind = "model"
            text = answer.body.decode("utf-8", "replace") if self.show_stacktrace else HIDDEN
            traceback = answer.traceback if self.show_stacktrace else ""
        else:
            kind, text, traceback = type(answer).__name__, str(answer), ""
        kept = list(self._faults)  # whole, at once: another thread may log meanwhile
        before = next((fault for fault in kept if fault.request_id == request.request_id), None)
        if before is not None and not before.status:  # what was logged of it, in this process
            before.status, before.route = status, route
            return
        self._add(request.request_id, route, status, kind, text, traceback)

    def _add(self, request_id: str, route: str, status: int, kind: str, text: str, traceback: str) -> None:
        self.fault_count += 1
        self._faults.append(
            Fault(
                self.fault_count,
                self._clock(),
                request_id,
                route,
                status,
                kind,
                _cut(masked(text)),
                _cut(masked(traceback)),
            )
        )

    def logged(self, record: logging.LogRecord, formatter: logging.Formatter) -> None:
        """Add what a log record says."""
        request_id = request_id_var.get()
        if not request_id and (record.levelno >= logging.WARNING or record.name == LIFECYCLE_LOGGER):
            self.happened(record.getMessage(), record.levelname)
        if record.levelno < logging.ERROR:
            return
        error = record.exc_info[1] if record.exc_info else None
        kind = type(error).__name__ if error is not None else record.name
        text = record.getMessage() if self.show_stacktrace or not request_id else HIDDEN
        traceback = exception_text(formatter, record) if self.show_stacktrace else ""
        self._add(request_id, "", 0, kind, text, traceback)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take the records of the root logger while the block runs."""
        handler = _Handler(self)
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, log: EventLog) -> None:
        super().__init__(logging.INFO)
        self._log = log
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING and record.name != LIFECYCLE_LOGGER:
            return
        try:
            self._log.logged(record, self._formatter)
        except Exception:
            self.handleError(record)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"... {text[-LONGEST:]}"
