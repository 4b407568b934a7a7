"""Start, failure and end of a span. A span processor of a hook's that raises costs spans, but no request."""

from __future__ import annotations

import functools
import logging
import traceback
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, StatusCode, Tracer

from drum_litestar.observability.tracing.attributes import sendable
from drum_litestar.settings.masking import masked

TRACER: Final = "datarobot_drum.drum.root_predictors.prediction_server"
"""DRUM's tracer name: dashboards select on it."""

_log = logging.getLogger("drum.otel")


def start_span(tracer: Tracer, name: str, context: Context | None = None, **options: Any) -> Span:
    """Start a span as ``tracer`` does; the invalid span when that fails."""
    try:
        return tracer.start_span(name, context, **options)
    except Exception as error:
        warn_once(type(error).__name__)
        return trace.INVALID_SPAN


def end_span(span: Span, end_time: int | None = None) -> None:
    """End ``span``, at ``end_time`` (ns since the epoch) if that is not now."""
    try:
        span.end(end_time)
    except Exception as error:
        warn_once(type(error).__name__)


@functools.lru_cache(maxsize=None)
def warn_once(kind: str) -> None:
    _log.exception("A span processor fails; spans may be lost. %s is reported once.", kind)


def within(span: Span, context: Context) -> Context:
    """Return ``context`` with ``span`` as the current one, unless it is invalid."""
    return trace.set_span_in_context(span, context) if span.get_span_context().is_valid else context


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
