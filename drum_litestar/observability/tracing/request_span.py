"""Span of one request in the HTTP process."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import msgspec
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span, StatusCode

from drum_litestar.errors import is_error
from drum_litestar.observability.tracing.attributes import settable
from drum_litestar.observability.tracing.context_carrier import Carrier
from drum_litestar.observability.tracing.spans import add_exception, end_span, mark_failed
from drum_litestar.predictors.protocol import Reply, StreamHead


class RequestSpan(msgspec.Struct):
    """A context manager that makes the span current, and ends it.

    An exception that leaves the block (a response broke off) is recorded: status ERROR, and an ``exception`` event.
    """

    span: Span
    context: Context
    carrier: Carrier
    """Goes into ``ModelCall.trace``."""
    token: Any = None

    @property
    def recorded(self) -> bool:
        """Whether attributes are of any use."""
        return self.carrier.span is not None

    def answered(self, answer: Reply | StreamHead) -> None:
        """Apply the worker's report that came with ``answer``."""
        if not self.recorded:
            return
        report = answer.span
        if report is None:  # no report from the worker: it does not trace, or its predictor broke
            if is_error(answer.status):
                self.fail(f"status {answer.status}")
            return
        if report.attributes:
            self.span.set_attributes(settable(report.attributes))
        if report.exception is not None:
            add_exception(self.span, report.exception)
        if report.error is not None:
            self.fail(report.error)

    def fail(self, message: str) -> None:
        """Set status ERROR without an exception event: the request is answered with an error."""
        self.span.set_status(StatusCode.ERROR, message)

    def __enter__(self) -> RequestSpan:
        self.token = otel_context.attach(self.context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not GeneratorExit:  # the event loop closes, and this is another context
            otel_context.detach(self.token)
        if not self.recorded:
            return
        if isinstance(error, Exception):
            mark_failed(self.span, error)
        end_span(self.span)
