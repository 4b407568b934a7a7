"""What a predictor tells of the call it answers: its steps as spans, and the exceptions that it turns into answers.

Without tracing each costs one context variable read. Only the OpenTelemetry API is imported here.
"""

from __future__ import annotations

import contextlib
import traceback
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Protocol

import msgspec
from opentelemetry.context import Context
from opentelemetry.trace import Span, StatusCode

from drum_litestar.observability.attributes import sendable
from drum_litestar.observability.current import CURRENT, SPAN_KEY
from drum_litestar.settings.masking import masked


class Notes(Protocol):
    """Takes what the model's code reports of the request that it answers."""

    def step(self, name: str, hooks: bool) -> contextlib.AbstractContextManager[Any]: ...

    def exception(self, error: BaseException) -> None: ...


_notes: ContextVar[Notes | None] = ContextVar("drum_litestar_span_notes", default=None)
"""Set while a predictor answers a traced call."""

_NOTHING: Final = contextlib.nullcontext()


def span(name: str, *, hooks: bool = True) -> contextlib.AbstractContextManager[Any]:
    """A child span around one step of a call (``parse``, ``model``, ``serialize``), for predictors.

    Hooks called inside see it as the current span; ``hooks`` False says that no code of the user's runs, and saves
    making it current. Does nothing when the call is not traced.
    """
    notes = _notes.get()
    return _NOTHING if notes is None else notes.step(name, hooks)


class Step(msgspec.Struct):
    """``trace.use_span`` without its generators, which cost as much as a span."""

    span: Span
    context: Context
    """The current one."""
    token: Any = None

    def __enter__(self) -> Span:
        self.token = CURRENT.set(Context({**self.context, SPAN_KEY: self.span}))
        return self.span

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        CURRENT.reset(self.token)
        if isinstance(error, Exception):
            mark_failed(self.span, error)
        self.span.end()


def described(error: BaseException) -> tuple[str, str, str]:
    """Type, message and traceback of ``error``, as the SDK words them and protobuf can carry them; without secrets."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
    except Exception:
        message = "(its text cannot be had)"
    lines = traceback.format_exception(kind, error, error.__traceback__)
    return name, sendable(masked(message)), sendable(masked("".join(lines)))


def add_exception(span: Span, description: tuple[str, str, str]) -> None:
    """The ``exception`` event of ``span``, from :func:`described`."""
    kind, message, stacktrace = description
    event = {"exception.type": kind, "exception.message": message, "exception.stacktrace": stacktrace}
    span.add_event("exception", {**event, "exception.escaped": "False"})


def mark_failed(span: Span, error: BaseException) -> None:
    """Status ERROR and the ``exception`` event."""
    description = described(error)
    add_exception(span, description)
    span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {description[1]}")


def record_exception(error: BaseException) -> None:
    """Report an exception that the predictor turns into an answer, where it catches it.

    The request's span then has status ERROR and the ``exception`` event. Not for answers that DRUM does not count as
    errors (404 and 422 of the contract's checks).
    """
    notes = _notes.get()
    if notes is not None:
        notes.exception(error)


class noting(msgspec.Struct):  # noqa: N801 (reads as a function, and a generator would cost more)
    """Make ``notes`` the receiver of :func:`span` and :func:`record_exception` in this thread or task, and
    ``context`` OpenTelemetry's current one."""

    notes: Notes | None
    context: Context
    attached: Any = None
    noted: Any = None

    def __enter__(self) -> None:
        self.attached = CURRENT.set(self.context)
        self.noted = _notes.set(self.notes)

    def __exit__(self, *error: object) -> None:
        _notes.reset(self.noted)
        CURRENT.reset(self.attached)
