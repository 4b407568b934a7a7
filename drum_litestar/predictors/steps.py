"""What a predictor reports of the call that it answers: its steps, and the exceptions that it turns into answers.

Nothing of OpenTelemetry is imported here: the interpreter that runs the model need not have it. Without tracing each
report costs one context variable read.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import Any, Final, Protocol


class CallReporter(Protocol):
    """Takes what the model's code reports of the request that it answers."""

    def step(self, name: str, hooks: bool) -> contextlib.AbstractContextManager[Any]: ...

    def exception(self, error: BaseException) -> None: ...


REPORTER: Final[ContextVar[CallReporter | None]] = ContextVar("drum_litestar_call_reporter", default=None)
"""Set while a predictor answers a traced call."""

_NOTHING: Final = contextlib.nullcontext()


def span(name: str, *, hooks: bool = True) -> contextlib.AbstractContextManager[Any]:
    """A child span around one step of a call (``parse``, ``model``, ``serialize``).

    Hooks called inside see it as the current span; ``hooks`` False says that no code of the user's runs, and saves
    making it current. Does nothing when the call is not traced.
    """
    reporter = REPORTER.get()
    return _NOTHING if reporter is None else reporter.step(name, hooks)


def record_exception(error: BaseException) -> None:
    """Report an exception that the predictor turns into an answer, where it catches it.

    The request's span then has status ERROR and the ``exception`` event. Not for answers that DRUM does not count as
    errors (404 and 422 of the contract's checks).
    """
    reporter = REPORTER.get()
    if reporter is not None:
        reporter.exception(error)
