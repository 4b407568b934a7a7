"""OpenTelemetry's current context, without the layers above it, which cost more than the variable itself."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context


class _Layers:
    """What a :class:`ContextVar` has, by OpenTelemetry's own functions."""

    set = staticmethod(otel_context.attach)
    reset = staticmethod(otel_context.detach)
    get = staticmethod(otel_context.get_current)


def find_variable() -> Any:
    """The ``ContextVar`` that ``attach`` sets; with another runtime context than OpenTelemetry's own, its stand-in."""
    mark = Context()
    token = otel_context.attach(mark)
    try:
        found = [variable for variable, value in copy_context().items() if value is mark]
    finally:
        otel_context.detach(token)
    return found[0] if len(found) == 1 else _Layers


CURRENT: Final = find_variable()
"""Has ``get``, ``set`` and ``reset``."""

(SPAN_KEY,) = trace.set_span_in_context(trace.INVALID_SPAN, Context())
"""Where a context has its current span. ``trace.set_span_in_context`` would copy it twice."""
