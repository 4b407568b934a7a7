"""Spans of a call's steps and their exception events, from reports of :mod:`drum_litestar.predictors.steps`.

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
    """Makes ``span`` current, and ends it. ``trace.use_span`` is made of generators, which cost as much as a span."""

    span: Span
    context: Context
    """The current context."""
    token: Any = None

    def __enter__(self) -> Span:
        self.token = CURRENT.set(Context({**self.context, SPAN_KEY: self.span}))
        return self.span

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        CURRENT.reset(self.token)
        if isinstance(error, Exception):
            mark_failed(self.span, error)
        self.span.end()


def describe_exception(error: BaseException) -> tuple[str, str, str]:
    """Return type, message and traceback of ``error`` in the SDK's form, with secrets masked.

    Protobuf can encode all three.
    """
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
    except Exception:
        message = "(its text cannot be had)"
    lines = traceback.format_exception(kind, error, error.__traceback__)
    return name, sendable(masked(message)), sendable(masked("".join(lines)))


def add_exception(span: Span, description: tuple[str, str, str]) -> None:
    """Add the ``exception`` event to ``span``, from :func:`describe_exception`."""
    kind, message, stacktrace = description
    event = {"exception.type": kind, "exception.message": message, "exception.stacktrace": stacktrace}
    span.add_event("exception", {**event, "exception.escaped": "False"})


def mark_failed(span: Span, error: BaseException) -> None:
    """Set status ERROR and add the ``exception`` event."""
    description = describe_exception(error)
    add_exception(span, description)
    span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {description[1]}")


class report_to(msgspec.Struct):  # noqa: N801 (reads as a function, and a generator would cost more)
    """Send what a predictor reports in this thread or task to ``reporter``, and make ``context`` OpenTelemetry's
    current one."""

    reporter: CallReporter | None
    context: Context
    context_token: Any = None
    reporter_token: Any = None

    def __enter__(self) -> None:
        self.context_token = CURRENT.set(self.context)
        self.reporter_token = REPORTER.set(self.reporter)

    def __exit__(self, *error: object) -> None:
        REPORTER.reset(self.reporter_token)
        CURRENT.reset(self.context_token)
