"""Spans of a request, in the two processes that serve it (contract, 5.6).

The HTTP process owns the request's span (``drum.invocations`` etc.) from start to end, so that a request whose worker
died still has one. The worker opens child spans under it (``traced_predictor.py``), and a chat's
``drum.chat.completions.stream``. What only the worker knows of the request's own span, the ``gen_ai.*`` attributes
and the exception, comes back with the answer as a :class:`~drum_litestar.predictors.protocol.SpanReport`.

Only the OpenTelemetry API is imported here. When tracing is off, a request costs one search of its headers for a
trace context to pass on to the hooks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Final, Sequence, Tuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider

from drum_litestar.observability.tracing.request_span import Carrier, RequestSpan, no_span

TRACER: Final = "datarobot_drum.drum.root_predictors.prediction_server"
"""DRUM's tracer name: dashboards select on it."""

W3C_FIELDS: Final = frozenset({"traceparent", "tracestate", "baggage"})
"""Headers of W3C trace context and baggage."""

_CONSUMER: Final = {
    b"x-datarobot-consumer-id": "gen_ai.request.consumer_id",
    b"x-datarobot-consumer-type": "gen_ai.request.consumer_type",
}

RawHeaders = Sequence[Tuple[bytes, bytes]]
"""An ASGI scope's headers: names in lower case."""


def _no_call(carrier: Mapping[str, str]) -> None: ...


def upstream_answered(span: Span, status: int) -> None:
    """Set the status of an upstream's answer; 400 and above is an error of a client span."""
    span.set_attribute("http.status_code", status)
    if status >= 400:
        span.set_status(StatusCode.ERROR)


class Tracing:
    """Opens spans and passes their context between processes. Immutable; made once per process."""

    def __init__(self, provider: TracerProvider | None = None, propagator: TextMapPropagator | None = None) -> None:
        """``provider`` None turns spans off; trace context is still passed on. ``propagator`` None takes the one
        that ``OTEL_PROPAGATORS`` names."""
        if propagator is None:
            from opentelemetry import propagate

            propagator = propagate.get_global_textmap()
        self.enabled = provider is not None
        self.tracer: Tracer = trace.NoOpTracer()
        if provider is not None:  # ``SpanProvider`` has a faster tracer for the server's own spans
            self.tracer = getattr(provider, "own", None) or provider.get_tracer(TRACER)
        self._propagator = propagator
        w3c = set(propagator.fields) == W3C_FIELDS
        self._bare: Any = self.tracer if w3c and hasattr(self.tracer, "bare") else None
        """The tracer, if it makes bare spans and their context can be written without the propagators."""
        self.bare_call: Callable[[Mapping[str, str]], Any] = getattr(self._bare, "call", _no_call)
        """A ``BareCall`` for the call with this ``ModelCall.trace``; None when the SDK's spans are to be used."""
        self._fields = {name.lower().encode("ascii"): name.lower() for name in propagator.fields}
        self._read = frozenset([*self._fields, *_CONSUMER])
        self._off = no_span({})

    def request_span(self, name: str, headers: RawHeaders) -> RequestSpan:
        """Create the span ``name`` of a request, child of the trace context in its headers; a context manager."""
        read = [(key, value) for key, value in headers if key in self._read]
        if self._bare is not None and (not read or (len(read) == 1 and read[0][0] == b"traceparent")):
            bare: RequestSpan | None = self._bare.request_span(name, read[0][1] if read else None)
            if bare is not None:
                return bare
        incoming = {self._fields[key]: value.decode("latin-1") for key, value in read if key in self._fields}
        if not (self.enabled or incoming):
            return self._off
        parent = self.extract(incoming) if incoming else Context()
        if not self.enabled:
            return no_span(self.carrier(parent))
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
        now = time.time_ns()
        start = now - int(seconds * 1e9)
        if isinstance(carrier, Carrier) and carrier.bare is not None:
            carrier.bare.ended.append(("queue", 0, 0, False, start, now))
            return
        context = carrier.context if isinstance(carrier, Carrier) else self.extract(carrier)
        if trace.get_current_span(context).get_span_context().trace_flags.sampled:
            self.tracer.start_span("queue", context, start_time=start).end(now)

    def steps_ended(self, steps: bytes, carrier: Mapping[str, str]) -> None:
        """Add ``SpanReport.steps`` to the trace of a call (``ModelCall.trace``), whose request may have ended."""
        if isinstance(carrier, Carrier) and carrier.bare is not None:
            carrier.bare.ended.append(steps)
        elif self._bare is not None:  # the request has a span of the SDK
            parent = trace.get_current_span(self.extract(carrier))
            self._bare.steps_ended(parent.get_span_context(), steps)

    @contextmanager
    def upstream_call(self, method: str, url: str, headers: MutableMapping[str, str]) -> Iterator[Span]:
        """Open a client span around a request to an upstream and write its context to ``headers``.

        The span is like that of DRUM's instrumented ``requests``. The caller reports the outcome with
        :func:`upstream_answered`, or :func:`~drum_litestar.observability.tracing.step_spans.mark_failed` for an error
        of the upstream.
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
        """Read the trace context of ``carrier``; the current context is no parent."""
        return self._propagator.extract(carrier, context=Context())

    def carrier(self, context: Context) -> Carrier:
        """Write ``context`` as headers."""
        only_span = self._bare is not None and len(context) == 1  # no baggage
        return Carrier.of(trace.get_current_span(context) if only_span else None, context, self._propagator.inject)
