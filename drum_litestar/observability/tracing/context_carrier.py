"""Trace context between the two processes: the headers of W3C trace context and baggage in ``ModelCall.trace``."""

from __future__ import annotations

from typing import Dict, Final, Mapping

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

W3C_FIELDS: Final = frozenset({"traceparent", "tracestate", "baggage"})

_ODD: Final = tuple("13579bdf")
_W3C: Final = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


class Carrier(Dict[str, str]):
    """Trace context as headers; in the process that made it also the span."""

    __slots__ = ("span",)
    span: Span | None
    """None when it is not recorded."""


def carrier_of(span: Span, context: Context) -> Carrier:
    """Write ``context``, in which ``span`` is the current one unless it is invalid."""
    carrier = Carrier()
    carrier.span = span if span.is_recording() else None
    _W3C.inject(carrier, context)
    return carrier


def context_of(carrier: Mapping[str, str]) -> Context:
    """Read the trace context of ``carrier``; the current context is no parent."""
    return _W3C.extract(carrier, Context())


def is_sampled(carrier: Mapping[str, str]) -> bool:
    """Whether the span that :func:`carrier_of` has written is to be exported: the last bit of ``traceparent``.

    A twentieth of the cost of a context.
    """
    return carrier.get("traceparent", "").endswith(_ODD)
