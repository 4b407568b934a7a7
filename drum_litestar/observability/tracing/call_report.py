"""Collector of what a model worker reports of a call: spans of its steps, attributes and errors of its request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context

from drum_litestar.errors import is_error
from drum_litestar.observability.tracing.attributes import sendable
from drum_litestar.observability.tracing.current import CURRENT
from drum_litestar.observability.tracing.step_spans import Step, describe_exception
from drum_litestar.predictors.protocol import SpanReport

_log = logging.getLogger(__name__)


class CallReport(msgspec.Struct, kw_only=True):
    """Collects the report on one call. Implements :class:`~drum_litestar.predictors.steps.CallReporter`."""

    tracer: Any
    context: Context
    """Trace context of the call: the request's span is current in it."""
    sampled: bool
    """Whether the request's span is exported; else nothing needs to be reported."""
    attributes: dict[str, Any] | None = None
    error: str | None = None
    raised: tuple[str, str, str] | None = None
    """Type, message and traceback of a reported exception."""

    @classmethod
    def of(cls, tracer: Any, context: Context) -> CallReport:
        """Create the report of the call with this trace context."""
        sampled = trace.get_current_span(context).get_span_context().trace_flags.sampled
        return cls(tracer=tracer, context=context, sampled=sampled)

    def step(self, name: str, hooks: bool) -> AbstractContextManager[Any]:
        """Open a span around a step of the call. ``hooks``: whether user code may run in it."""
        context = CURRENT.get()
        return Step(self.tracer.start_span(name, context), context)

    def add(self, read: Callable[[bytes], dict[str, Any]], body: bytes) -> None:
        """Add the attributes that ``read`` finds in ``body``. Errors are logged: telemetry must not fail a request."""
        try:
            self.attributes = {**(self.attributes or {}), **read(body)}
        except Exception:
            _log.exception("Attributes of a chat could not be read")

    def exception(self, error: BaseException) -> None:
        """Report an exception that the predictor turned into an answer."""
        self.raised = describe_exception(error)
        self.error = f"{type(error).__name__}: {self.raised[1]}"

    def take_steps(self) -> bytes:
        """Return the ended step spans to send with the answer. None here: the SDK exports them from this process."""
        return b""

    def export_steps(self) -> None:
        """Export the ended step spans from this process, for a call without an answer."""

    def span_report(self, status: int, body: bytes) -> SpanReport | None:
        """Return the report to send with the answer; None when it would be empty.

        An error status without a reported exception is described by the answer's text.
        """
        steps, error = self.take_steps(), self.error
        if error is None and is_error(status):
            error = body[:1000].decode("utf-8", "replace").strip() or f"status {status}"
        if error is None and self.attributes is None:
            return SpanReport(steps) if steps else None
        return SpanReport(steps, self.attributes or {}, sendable(error), self.raised)
