"""Direct access to OpenTelemetry's current context: the API around its variable costs more than the variable."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context


class _PublicFunctions:
    """The interface of a :class:`ContextVar`, implemented by OpenTelemetry's functions."""

    set = staticmethod(otel_context.attach)
    reset = staticmethod(otel_context.detach)
    get = staticmethod(otel_context.get_current)


def find_variable() -> Any:
    """Find the ``ContextVar`` that ``attach`` sets; a runtime context without one gets :class:`_PublicFunctions`."""
    mark = Context()
    token = otel_context.attach(mark)
    try:
        found = [variable for variable, value in copy_context().items() if value is mark]
    finally:
        otel_context.detach(token)
    return found[0] if len(found) == 1 else _PublicFunctions


CURRENT: Final = find_variable()
"""The variable of the current context, with ``get``, ``set`` and ``reset``."""

(SPAN_KEY,) = trace.set_span_in_context(trace.INVALID_SPAN, Context())
"""Key of the current span in a context. ``trace.set_span_in_context`` would copy the context twice."""
