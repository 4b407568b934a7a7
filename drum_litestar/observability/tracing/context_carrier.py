"""Trace context between the two processes: the headers of W3C trace context and baggage in ``ModelCall.trace``.

Nearly always there is only a ``traceparent``, which is written and read here: the propagators take four times as long.
"""

from __future__ import annotations

import re
from typing import Dict, Final, Mapping

from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

W3C_FIELDS: Final = frozenset({"traceparent", "tracestate", "baggage"})

_W3C: Final = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
_TRACEPARENT: Final = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class Carrier(Dict[str, str]):
    """Trace context as headers; in the process that made it also the span."""

    __slots__ = ("span",)
    span: Span | None
    """None when it is not recorded."""


def carrier_of(span: Span, context: Context) -> Carrier:
    """Write ``context``, in which ``span`` is the current one unless it is invalid."""
    carrier = Carrier()
    carrier.span = span if span.is_recording() else None
    own = span.get_span_context()
    if len(context) == 1 and own.is_valid and not own.trace_state:  # no baggage
        carrier["traceparent"] = f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"
    else:
        _W3C.inject(carrier, context)
    return carrier


def context_of(carrier: Mapping[str, str]) -> Context:
    """Read the trace context of ``carrier``; the current context is no parent."""
    if not carrier:
        return Context()
    found = _TRACEPARENT.fullmatch(carrier.get("traceparent", "")) if len(carrier) == 1 else None
    if found is None:
        return _W3C.extract(carrier, Context())
    trace_id, span_id, flags = found.groups()
    own = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)))
    return trace.set_span_in_context(NonRecordingSpan(own), Context())


def is_sampled(context: Context) -> bool:
    """Whether the current span of ``context`` is to be exported."""
    return trace.get_current_span(context).get_span_context().trace_flags.sampled
