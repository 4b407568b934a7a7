"""Tracing interface of predictors: the steps of a call, and the exceptions that become answers.

OpenTelemetry is not imported: the interpreter that runs the model need not have it. Without tracing each report costs
one read of a context variable.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import Any, Final, Protocol


class CallReporter(Protocol):
    """Receiver of the reports about one call."""

    def step(self, name: str, hooks: bool) -> contextlib.AbstractContextManager[Any]: ...

    def exception(self, error: BaseException) -> None: ...


REPORTER: Final[ContextVar[CallReporter | None]] = ContextVar("drum_litestar_call_reporter", default=None)
"""Set while a predictor answers a traced call."""

_NOTHING: Final = contextlib.nullcontext()


def span(name: str, *, hooks: bool = True) -> contextlib.AbstractContextManager[Any]:
    """Record a child span around one step of a call (``parse``, ``model``, ``serialize``).

    User code called inside sees it as the current span. ``hooks`` False: no user code runs, so the span need not be
    made current. No-op when the call is not traced.
    """
    reporter = REPORTER.get()
    return _NOTHING if reporter is None else reporter.step(name, hooks)


def record_exception(error: BaseException) -> None:
    """Report an exception that becomes an answer: the request's span gets status ERROR and an ``exception`` event.

    Not for answers that DRUM does not count as errors (404 and 422 of the contract's checks).
    """
    reporter = REPORTER.get()
    if reporter is not None:
        reporter.exception(error)
