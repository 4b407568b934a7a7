"""Tracing interface of predictors: the steps of a call, the exceptions that become answers, and what a chat is about.

OpenTelemetry is not imported: the interpreter that runs the model need not have it. Without tracing each report costs
one read of a context variable.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Dict, Final, Literal, Protocol

from drum_litestar.tracebacks import format_exception

ChatPart = Literal["request", "answer", "chunk"]
"""The request's parameters, a complete answer, or a chunk of a streamed one."""


class CallReporter(Protocol):
    """Receiver of the reports about one call."""

    def step(self, name: str) -> contextlib.AbstractContextManager[Any]: ...

    def exception(self, error: BaseException) -> None: ...

    def chat(self, part: ChatPart, value: Any) -> None: ...


REPORTER: Final[ContextVar[CallReporter | None]] = ContextVar("drum_litestar_call_reporter", default=None)
"""Set while a predictor answers a traced call."""

WHOLE_CALL: Final = "call"
"""Name of the time that a call takes in the model's process, with what is in none of its steps."""

QUEUE: Final = "queue"
"""Name of the time that a call waits for a slot, which the HTTP process adds to its steps."""

_NOTHING: Final = contextlib.nullcontext()


def step(name: str) -> contextlib.AbstractContextManager[Any]:
    """Record the time of one step of a call (``parse``, ``model``, ``serialize``); on demand also as a span, which
    user code called inside sees as the current one. No-op when the call is not traced."""
    reporter = REPORTER.get()
    return _NOTHING if reporter is None else reporter.step(name)


class _Timed:
    """Adds the seconds of a block to ``seconds[name]``."""

    __slots__ = ("began", "name", "seconds")

    def __init__(self, seconds: Dict[str, float], name: str) -> None:
        self.seconds = seconds
        self.name = name

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        taken = time.perf_counter() - self.began
        self.seconds[self.name] = self.seconds.get(self.name, 0.0) + taken


class CallNotes:
    """Notes on one call for the operator, whether or not it is traced. Implements :class:`CallReporter`."""

    def __init__(self, *, times: bool, traceback: bool) -> None:
        """What is noted: the times of steps; the traceback of the exception that becomes the answer."""
        self.seconds: Dict[str, float] = {}
        """By step."""
        self.traceback = ""
        self._wants_times = times
        self._wants_traceback = traceback

    def step(self, name: str) -> contextlib.AbstractContextManager[Any]:
        return _Timed(self.seconds, name) if self._wants_times else _NOTHING

    def exception(self, error: BaseException) -> None:
        if self._wants_traceback:
            self.traceback = format_exception(error)

    def chat(self, part: ChatPart, value: Any) -> None:
        """No-op: nothing of what clients send or get is noted."""

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Note what is reported in the block, and its whole time as the step :data:`WHOLE_CALL`."""
        token = REPORTER.set(self)
        try:
            with self.step(WHOLE_CALL):
                yield
        finally:
            REPORTER.reset(token)


def record_exception(error: BaseException) -> None:
    """Report an exception that becomes an answer: the request's span gets status ERROR and an ``exception`` event.

    Not for answers that DRUM does not count as errors (404 and 422 of the contract's checks).
    """
    reporter = REPORTER.get()
    if reporter is not None:
        reporter.exception(error)


def report_chat(part: ChatPart, value: Any) -> None:
    """Report what a chat is about, for attributes of its span. ``value`` is openai's object, or one like it."""
    reporter = REPORTER.get()
    if reporter is not None:
        reporter.chat(part, value)
