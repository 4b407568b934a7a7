"""Spans of a request, in the two processes that serve it (contract, 5.6).

The HTTP process owns the request's span (``drum.invocations`` etc.) from start to end, so that a request that a dead
worker took with it still has one. The worker opens child spans under it (:func:`span`), and a chat's
``drum.chat.completions.stream``. What only the worker can know of the request's own span, the ``gen_ai.*`` attributes
and the exception, comes back with the answer as a :class:`~drum_litestar.predictors.protocol.SpanReport`.

Only the OpenTelemetry API is imported here. When tracing is off, a request costs one look through its headers for a
trace context to pass on to the hooks, and a span in the worker one context variable read.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Protocol

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import Span, StatusCode, Tracer, TracerProvider

from drum_litestar.errors import RequestError
from drum_litestar.observability.attributes import settable
from drum_litestar.predictors.protocol import Reply, StreamHead

TRACER: Final = "datarobot_drum.drum.root_predictors.prediction_server"
"""DRUM's tracer name: dashboards select on it."""

_CONSUMER: Final = {
    b"x-datarobot-consumer-id": "gen_ai.request.consumer_id",
    b"x-datarobot-consumer-type": "gen_ai.request.consumer_type",
}

RawHeaders = Sequence[tuple[bytes, bytes]]
"""An ASGI scope's headers: names in lower case."""


class Notes(Protocol):
    """Takes what the model's code reports of the request that it answers."""

    tracer: Tracer

    def exception(self, error: BaseException) -> None: ...


def is_error(status: int) -> bool:
    """Whether DRUM raised to answer ``status``: its 404 and 422 are plain answers, as a model's own statuses may be."""
    return status == 400 or status >= 500


_notes: ContextVar[Notes | None] = ContextVar("drum_litestar_span_notes", default=None)
"""Set while a predictor answers a traced call."""

_NOTHING: Final = contextlib.nullcontext()


def span(name: str) -> contextlib.AbstractContextManager[Any]:
    """A child span around one step of a call (``parse``, ``model``, ``serialize``), for predictors.

    Hooks called inside see it as the current span. Does nothing when the call is not traced.
    """
    notes = _notes.get()
    return _NOTHING if notes is None else _Step(notes.tracer, name)


class _Step:
    """``tracer.start_as_current_span(name)`` without its generators, which cost as much as the span."""

    def __init__(self, tracer: Tracer, name: str) -> None:
        self._span = tracer.start_span(name)

    def __enter__(self) -> Span:
        self._token = otel_context.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        otel_context.detach(self._token)
        if isinstance(error, Exception):
            self._span.record_exception(error)
            self._span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
        self._span.end()


def record_exception(error: BaseException) -> None:
    """Report an exception that the predictor turns into an answer, where it catches it.

    The request's span then has status ERROR and the ``exception`` event. Not for answers that DRUM does not count as
    errors (404 and 422 of the contract's checks).
    """
    notes = _notes.get()
    if notes is not None:
        notes.exception(error)


@contextlib.contextmanager
def noting(notes: Notes) -> Iterator[None]:
    """Make ``notes`` the receiver of :func:`span` and :func:`record_exception` in this thread or task."""
    token = _notes.set(notes)
    try:
        yield
    finally:
        _notes.reset(token)


class Carrier(dict[str, str]):
    """Trace context as headers, for ``ModelCall.trace``; in the process that made it, the context itself too."""

    context: Context


class RequestSpan:
    """The span of one request in the HTTP process; a context manager that makes it current and ends it.

    An exception that leaves the block is recorded with status ERROR and an ``exception`` event, unless it is one of
    the answers that DRUM gives without raising.
    """

    def __init__(self, span: Span, carrier: dict[str, str], context: Context) -> None:
        self.span = span
        self.carrier = carrier
        """Goes into ``ModelCall.trace``."""
        self._context = context
        self._token: Any = None
        self._held = self._failed = False

    def answered(self, answer: Reply | StreamHead) -> None:
        """Add what the worker sent back with its answer."""
        report = answer.span
        if report is None:  # the worker could not tell more (it does not trace, or its predictor broke)
            if is_error(answer.status):
                self.fail(f"status {answer.status}")
            return
        self.span.set_attributes(settable(report.attributes))
        if report.exception is not None:
            kind, message, stacktrace = report.exception
            self.span.add_event(
                "exception",
                {
                    "exception.type": kind,
                    "exception.message": message,
                    "exception.stacktrace": stacktrace,
                    "exception.escaped": "False",
                },
            )
        if report.error is not None:
            self.fail(report.error)

    def fail(self, message: str) -> None:
        """Status ERROR without an exception event, also for one that is raised next (``/directAccess`` without an
        LLM, contract, 5.6)."""
        self._failed = True
        self.span.set_status(StatusCode.ERROR, message)

    def hold(self) -> None:
        """Leave the span open after the block, until :meth:`end`: for an answer that streams through this process."""
        self._held = True

    def end(self) -> None:
        """End a held span. Idempotent."""
        if self.span.is_recording():
            self.span.end()

    def __enter__(self) -> RequestSpan:
        self._token = otel_context.attach(self._context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        otel_context.detach(self._token)
        if isinstance(error, Exception):
            self._held = False
            if not self._failed and (not isinstance(error, RequestError) or is_error(error.status)):
                self.span.record_exception(error)
                self.fail(f"{type(error).__name__}: {error}")
        if not self._held:
            self.span.end()


class Tracing:
    """Opens spans and carries their context between processes. Immutable; made once per process."""

    def __init__(self, provider: TracerProvider | None = None, propagator: TextMapPropagator | None = None) -> None:
        """``provider`` None turns spans off; trace context is still passed on. ``propagator`` None takes the one
        that ``OTEL_PROPAGATORS`` names."""
        if propagator is None:
            from opentelemetry import propagate

            propagator = propagate.get_global_textmap()
        self.enabled = provider is not None
        self.tracer: Tracer = provider.get_tracer(TRACER) if provider is not None else trace.NoOpTracer()
        self._propagator = propagator
        self._fields = {name.lower().encode("ascii"): name.lower() for name in propagator.fields}
        self._off = _no_span({})

    def request_span(self, name: str, headers: RawHeaders) -> RequestSpan:
        """The span ``name`` of a request, child of the trace context in its headers. Use it with ``with``."""
        incoming = {self._fields[key]: value.decode("latin-1") for key, value in headers if key in self._fields}
        if not (self.enabled or incoming):
            return self._off
        parent = self.extract(incoming)
        if not self.enabled:
            return _no_span(self.carrier(parent))
        span = self.tracer.start_span(name, context=parent)
        if span.is_recording():
            for key, value in headers:
                if key in _CONSUMER and value:
                    span.set_attribute(_CONSUMER[key], value.decode("latin-1"))
        context = trace.set_span_in_context(span, parent)
        return RequestSpan(span, self.carrier(context), context)

    def queue_waited(self, seconds: float, carrier: Mapping[str, str]) -> None:
        """Add the span ``queue`` that ends now, to the trace of a call (``ModelCall.trace``)."""
        if self.enabled and carrier:
            parent = carrier.context if isinstance(carrier, Carrier) else self.extract(carrier)
            if not trace.get_current_span(parent).get_span_context().trace_flags.sampled:
                return
            now = time.time_ns()
            self.tracer.start_span("queue", context=parent, start_time=now - int(seconds * 1e9)).end(now)

    def extract(self, carrier: Mapping[str, str]) -> Context:
        """The trace context in ``carrier``; no parent from what happens to be current here."""
        return self._propagator.extract(carrier, context=Context())

    def carrier(self, context: Context) -> Carrier:
        """``context`` as headers."""
        carrier = Carrier()
        carrier.context = context
        self._propagator.inject(carrier, context=context)
        return carrier


class _NoSpan(RequestSpan):
    """Tracing is off: carries the client's trace context, does nothing else. Shared, so it keeps no state."""

    def answered(self, answer: Reply | StreamHead) -> None: ...

    def fail(self, message: str) -> None: ...

    def hold(self) -> None: ...

    def __enter__(self) -> RequestSpan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def _no_span(carrier: dict[str, str]) -> RequestSpan:
    return _NoSpan(trace.INVALID_SPAN, carrier, Context())
