"""Spans of a call's steps and of its exceptions: what :mod:`drum_litestar.predictors.steps` reports, as spans.

Only the OpenTelemetry API is imported here.
"""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

import msgspec
from opentelemetry.context import Context
from opentelemetry.trace import Span, StatusCode

from drum_litestar.observability.tracing.attributes import sendable
from drum_litestar.observability.tracing.current import CURRENT, SPAN_KEY
from drum_litestar.predictors.steps import REPORTER, CallReporter
from drum_litestar.settings.masking import masked


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


class noting(msgspec.Struct):  # noqa: N801 (reads as a function, and a generator would cost more)
    """Make ``notes`` the receiver of what a predictor reports in this thread or task, and
    ``context`` OpenTelemetry's current one."""

    notes: CallReporter | None
    context: Context
    attached: Any = None
    noted: Any = None

    def __enter__(self) -> None:
        self.attached = CURRENT.set(self.context)
        self.noted = REPORTER.set(self.notes)

    def __exit__(self, *error: object) -> None:
        REPORTER.reset(self.noted)
        CURRENT.reset(self.attached)
