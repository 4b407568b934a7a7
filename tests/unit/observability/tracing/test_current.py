"""Direct access to OpenTelemetry's context variable, and the public functions where there is none."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext

from drum_litestar.observability.tracing.current import CURRENT, SPAN_KEY, find_variable


def check(current: Any) -> None:
    span = NonRecordingSpan(SpanContext(1, 2, False))
    before = otel_context.get_current()
    context = Context({SPAN_KEY: span})
    token = current.set(context)
    assert current.get() is otel_context.get_current() is context
    assert trace.get_current_span() is span
    current.reset(token)
    assert current.get() == otel_context.get_current() == before


def test_it_is_the_variable_of_opentelemetry() -> None:
    assert isinstance(CURRENT, ContextVar)
    check(CURRENT)


class OfAnotherKind:
    """A runtime context that has no context variable."""

    def __init__(self) -> None:
        self.stack = [Context()]

    def attach(self, context: Context) -> int:
        self.stack.append(context)
        return len(self.stack)

    def get_current(self) -> Context:
        return self.stack[-1]

    def detach(self, token: int) -> None:
        assert token == len(self.stack)
        self.stack.pop()


def test_another_runtime_context_is_used_by_its_own_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    other = OfAnotherKind()
    monkeypatch.setattr(otel_context, "_RUNTIME_CONTEXT", other)
    current = find_variable()
    assert not isinstance(current, ContextVar)
    check(current)
    assert len(other.stack) == 1
