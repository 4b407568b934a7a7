"""Span of one request in the HTTP process, and the carrier of its context to the model worker."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Dict

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from drum_litestar.errors import RequestError, is_error
from drum_litestar.observability.tracing.attributes import settable
from drum_litestar.observability.tracing.current import CURRENT
from drum_litestar.observability.tracing.step_spans import add_exception, mark_failed
from drum_litestar.predictors.protocol import Reply, StreamHead

_HEX = [f"{number:02x}" for number in range(256)]


def traceparent(trace_id: int, span_id: int, flags: int) -> str:
    """Format the header of W3C trace context."""
    ids = (trace_id << 64 | span_id).to_bytes(24, "big").hex()  # three times as fast as formatting the integers
    return f"00-{ids[:32]}-{ids[32:]}-{_HEX[flags]}"


_W3C = TraceContextTextMapPropagator()
_TRACEPARENT = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def span_context(traceparent: str) -> SpanContext:
    """Parse a plain header; INVALID_SPAN_CONTEXT for any other, which is left to the propagator."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return trace.INVALID_SPAN_CONTEXT
    trace_id, span_id, flags = (int(digits, 16) for digits in found.groups())
    return SpanContext(trace_id, span_id, True, TraceFlags(flags))


class Carrier(Dict[str, str]):
    """Trace context as headers, for ``ModelCall.trace``; in the process that made it also the context itself."""

    __slots__ = ("bare", "context")
    bare: Any
    """The context's span, if that has an attribute ``traceparent`` and the context has no baggage; else None."""
    context: Context
    """Set only when ``bare`` is None."""

    @classmethod
    def of(cls, span: Any, context: Context, inject: Callable[..., None] = _W3C.inject) -> Carrier:
        """Write ``context``: the ``traceparent`` of ``span``, if it has one, else what ``inject`` writes.

        ``span`` is the current span of ``context``, or None when the context has more than that (baggage).
        """
        header = getattr(span, "traceparent", None)
        if header is not None:
            carrier = cls(traceparent=header)
            carrier.bare = span
            return carrier
        carrier = cls()
        carrier.bare, carrier.context = None, context
        inject(carrier, context)
        return carrier


class RequestSpan(msgspec.Struct):
    """The span of one request in the HTTP process; a context manager that makes it current and ends it.

    An exception that leaves the block is recorded with status ERROR and an ``exception`` event, unless it is one of
    the answers that DRUM gives without raising.
    """

    span: Span
    carrier: dict[str, str]
    """Goes into ``ModelCall.trace``."""
    context: Context
    token: Any = None
    held: bool = False
    failed: bool = False

    def answered(self, answer: Reply | StreamHead) -> None:
        """Apply the worker's report that came with ``answer``."""
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
        """Set status ERROR without an exception event, also for one that is raised next (``/directAccess`` without an
        LLM, contract, 5.6)."""
        self.failed = True
        self.span.set_status(StatusCode.ERROR, message)

    def hold(self) -> None:
        """Leave the span open after the block, until :meth:`end`: for an answer that streams through this process."""
        self.held = True

    def end(self) -> None:
        """End a held span. Idempotent."""
        if self.span.is_recording():
            self.span.end()

    def __enter__(self) -> RequestSpan:
        self.token = CURRENT.set(self.context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:  # noqa: SIM105 (suppress would cost more)
            CURRENT.reset(self.token)
        except ValueError:  # exited in another context, as when the event loop closes
            pass
        if isinstance(error, Exception):
            self.held = False
            if not self.failed and (not isinstance(error, RequestError) or is_error(error.status)):
                mark_failed(self.span, error)
        if not self.held:
            self.span.end()


class _NoSpan(RequestSpan):
    """Request span while tracing is off: only carries the client's trace context. Shared, so it keeps no state."""

    def answered(self, answer: Reply | StreamHead) -> None: ...

    def fail(self, message: str) -> None: ...

    def hold(self) -> None: ...

    def __enter__(self) -> RequestSpan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def no_span(carrier: dict[str, str]) -> RequestSpan:
    """Return the context manager for a request that is not traced."""
    return _NoSpan(trace.INVALID_SPAN, carrier, Context())
