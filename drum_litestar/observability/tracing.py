"""Spans of a request, in the two processes that serve it (contract, 5.6).

The HTTP process owns the request's span (``drum.invocations`` etc.) from start to end, so that a request that a dead
worker took with it still has one. The worker opens child spans under it (``steps.py``), and a chat's
``drum.chat.completions.stream``. What only the worker can know of the request's own span, the ``gen_ai.*`` attributes
and the exception, comes back with the answer as a :class:`~drum_litestar.predictors.protocol.SpanReport`.

Only the OpenTelemetry API is imported here. When tracing is off, a request costs one look through its headers for a
trace context to pass on to the hooks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider

from drum_litestar.errors import RequestError
from drum_litestar.observability.attributes import settable
from drum_litestar.observability.steps import add_exception, mark_failed
from drum_litestar.predictors.protocol import Reply, StreamHead

TRACER: Final = "datarobot_drum.drum.root_predictors.prediction_server"
"""DRUM's tracer name: dashboards select on it."""

W3C_FIELDS: Final = frozenset({"traceparent", "tracestate", "baggage"})
"""Headers of W3C trace context and baggage."""

_CONSUMER: Final = {
    b"x-datarobot-consumer-id": "gen_ai.request.consumer_id",
    b"x-datarobot-consumer-type": "gen_ai.request.consumer_type",
}

RawHeaders = Sequence[tuple[bytes, bytes]]
"""An ASGI scope's headers: names in lower case."""


def is_error(status: int) -> bool:
    """Whether DRUM raised to answer ``status``: its 404 and 422 are plain answers, as a model's own statuses may be."""
    return status == 400 or status >= 500


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
            add_exception(self.span, report.exception)
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
                mark_failed(self.span, error)
        if not self._held:
            self.span.end()


def upstream_answered(span: Span, status: int) -> None:
    """Note the status of an upstream's answer; from 400 on it is an error to its client."""
    span.set_attribute("http.status_code", status)
    if status >= 400:
        span.set_status(StatusCode.ERROR)


class Tracing:
    """Opens spans and carries their context between processes. Immutable; made once per process."""

    def __init__(self, provider: TracerProvider | None = None, propagator: TextMapPropagator | None = None) -> None:
        """``provider`` None turns spans off; trace context is still passed on. ``propagator`` None takes the one
        that ``OTEL_PROPAGATORS`` names."""
        if propagator is None:
            from opentelemetry import propagate

            propagator = propagate.get_global_textmap()
        self.enabled = provider is not None
        self.tracer: Tracer = trace.NoOpTracer()
        if provider is not None:  # one of ours has a quicker tracer for the server
            self.tracer = getattr(provider, "own", None) or provider.get_tracer(TRACER)
        self._propagator = propagator
        self._bare_call = getattr(self.tracer, "call", None)
        self._w3c = set(propagator.fields) == W3C_FIELDS
        self._fields = {name.lower().encode("ascii"): name.lower() for name in propagator.fields}
        self._read = frozenset([*self._fields, *_CONSUMER])
        self._off = _no_span({})

    def request_span(self, name: str, headers: RawHeaders) -> RequestSpan:
        """The span ``name`` of a request, child of the trace context in its headers. Use it with ``with``."""
        read = [(key, value) for key, value in headers if key in self._read]
        incoming = {self._fields[key]: value.decode("latin-1") for key, value in read if key in self._fields}
        if not (self.enabled or incoming):
            return self._off
        parent = self.extract(incoming) if incoming else Context()
        if not self.enabled:
            return _no_span(self.carrier(parent))
        span = self.tracer.start_span(name, parent)
        if read and span.is_recording():
            for key, value in read:
                if key in _CONSUMER and value:
                    span.set_attribute(_CONSUMER[key], value.decode("latin-1"))
        context = trace.set_span_in_context(span, parent)
        return RequestSpan(span, self.carrier(context), context)

    def queue_waited(self, seconds: float, carrier: Mapping[str, str]) -> None:
        """Add the span ``queue`` that ends now, to the trace of a call (``ModelCall.trace``)."""
        if not (self.enabled and carrier):
            return
        context = carrier.context if isinstance(carrier, Carrier) else self.extract(carrier)
        parent = trace.get_current_span(context)
        now = time.time_ns()
        start = now - int(seconds * 1e9)
        if (add := getattr(parent, "child", None)) is not None:  # a bare span's
            add("queue", start, now)
        elif parent.get_span_context().trace_flags.sampled:
            self.tracer.start_span("queue", context, start_time=start).end(now)

    @contextmanager
    def upstream_call(self, method: str, url: str, headers: MutableMapping[str, str]) -> Iterator[Span]:
        """A client span around the request with which the current one is passed on, and its context in ``headers``.

        As DRUM's instrumented ``requests`` leaves it. The caller notes the outcome: :func:`upstream_answered`, or
        :func:`~drum_litestar.observability.steps.mark_failed` for what was the upstream's fault.
        """
        if not self.enabled:
            yield trace.INVALID_SPAN
            return
        attributes = {"http.method": method, "http.url": url}
        with self.tracer.start_as_current_span(
            method, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            for field in self._propagator.fields:  # what the client sent belongs to its own span
                headers.pop(field, None)
            self._propagator.inject(headers)
            yield span

    def extract(self, carrier: Mapping[str, str]) -> Context:
        """The trace context in ``carrier``; no parent from what happens to be current here."""
        return self._propagator.extract(carrier, context=Context())

    def bare_call(self, carrier: Mapping[str, str]) -> Any:
        """A ``BareCall`` for the call with this ``ModelCall.trace``; None when the SDK's spans are to be used."""
        if self._bare_call is None or not self._w3c or len(carrier) != 1:
            return None
        return self._bare_call(carrier.get("traceparent", ""))

    def carrier(self, context: Context) -> Carrier:
        """``context`` as headers."""
        carrier = Carrier()
        carrier.context = context
        if self._w3c and len(context) == 1:  # no baggage
            traceparent = getattr(trace.get_current_span(context), "traceparent", None)
            if traceparent is not None:  # a bare span: what the propagators would write
                carrier["traceparent"] = traceparent
                return carrier
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
