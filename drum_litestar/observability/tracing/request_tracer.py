"""Spans of the HTTP process (contract, 5.6).

It owns the request's span (``drum.invocations`` etc.) from start to end, so that a request whose worker died still has
one. What only the worker knows of it comes back with the answer, as a
:class:`~drum_litestar.predictors.protocol.SpanReport`. Only the OpenTelemetry API is imported here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Final, Sequence, Tuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider

from drum_litestar.observability.tracing.context_carrier import Carrier, carrier_of
from drum_litestar.observability.tracing.request_span import RequestSpan
from drum_litestar.observability.tracing.spans import TRACER, end_span, start_span, within

_CONSUMER: Final = {
    b"x-datarobot-consumer-id": "gen_ai.request.consumer_id",
    b"x-datarobot-consumer-type": "gen_ai.request.consumer_type",
}

RawHeaders = Sequence[Tuple[bytes, bytes]]
"""An ASGI scope's headers: names in lower case."""


def upstream_answered(span: Span, status: int) -> None:
    """Set the status of an upstream's answer; 400 and above is an error of a client span."""
    span.set_attribute("http.status_code", status)
    if status >= 400:
        span.set_status(StatusCode.ERROR)


class Tracing:
    """Opens spans, and reads and writes the headers with their context. Immutable; made once per process."""

    def __init__(
        self,
        provider: TracerProvider | None = None,
        propagator: TextMapPropagator | None = None,
        *,
        steps: bool = False,
    ) -> None:
        """``provider`` None turns spans off. ``propagator`` None takes the one that ``OTEL_PROPAGATORS`` names.
        ``steps``: the wait in the queue has a span of its own."""
        if propagator is None:
            from opentelemetry import propagate

            propagator = propagate.get_global_textmap()
        self.enabled = provider is not None
        self._steps = steps
        self._tracer: Tracer = trace.NoOpTracer() if provider is None else provider.get_tracer(TRACER)
        self._propagator = propagator
        self._fields = {name.lower().encode("ascii"): name.lower() for name in propagator.fields}
        self._read = frozenset([*self._fields, *_CONSUMER])

    def request_span(self, name: str, headers: RawHeaders) -> RequestSpan:
        """Create the span ``name`` of a request, child of the trace context in its headers."""
        read = [(key, value) for key, value in headers if key in self._read]
        parent = self._extract(read) if read else Context()
        span = start_span(self._tracer, name, parent)
        context = within(span, parent)
        if read and span.is_recording():
            for key, value in read:
                if key in _CONSUMER and value:
                    span.set_attribute(_CONSUMER[key], value.decode("latin-1"))
        return RequestSpan(span, context, carrier_of(span, context))

    def _extract(self, headers: RawHeaders) -> Context:
        incoming = {self._fields[key]: value.decode("latin-1") for key, value in headers if key in self._fields}
        return self._propagator.extract(incoming, Context())

    def queue_waited(self, seconds: float, carrier: Mapping[str, str]) -> None:
        """Record a wait for a worker that ends now, for the request with the trace context ``carrier``."""
        span = carrier.span if isinstance(carrier, Carrier) else None
        if span is None or not span.is_recording():
            return
        span.set_attribute("drum.queue.duration_ms", round(seconds * 1000, 3))
        if self._steps:
            now = time.time_ns()
            context = trace.set_span_in_context(span, Context())
            end_span(start_span(self._tracer, "queue", context, start_time=now - int(seconds * 1e9)), now)

    @contextmanager
    def upstream_call(self, method: str, url: str, headers: MutableMapping[str, str]) -> Iterator[Span]:
        """Open a client span around a request to an upstream and write its context to ``headers``.

        The span is like that of DRUM's instrumented ``requests``. The caller reports the outcome with
        :func:`upstream_answered`, or :func:`~drum_litestar.observability.tracing.spans.mark_failed` for an error of
        the upstream.
        """
        if not self.enabled:
            yield trace.INVALID_SPAN
            return
        attributes = {"http.method": method, "http.url": url}
        span = start_span(self._tracer, method, kind=SpanKind.CLIENT, attributes=attributes)
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                for field in self._propagator.fields:  # what the client sent belongs to its own span
                    headers.pop(field, None)
                self._propagator.inject(headers)
                yield span
        finally:
            end_span(span)
