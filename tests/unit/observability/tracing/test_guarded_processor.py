"""A processor that raises costs its own spans, and no request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from drum_litestar.observability.bare.tracer import SpanProvider
from drum_litestar.observability.tracing.request_tracer import Tracing
from support.servers.otlp import Items

EVENTS = [name for name in ("on_start", "_on_ending", "on_end") if hasattr(SpanProcessor, name)]


def failing(*events: str) -> SpanProcessor:
    def fail(*_: Any) -> None:
        raise RuntimeError("no room")

    members: dict[str, Callable[..., None]] = dict.fromkeys(events, fail)
    made: SpanProcessor = type("Failing", (SpanProcessor,), members)()
    return made


def answered(tracing: Tracing) -> list[str]:
    """What two requests go through while their spans begin, grow and end."""
    went: list[str] = []
    for name in ("first", "second"):
        with tracing.request_span(name, ()) as request:
            request.span.set_attribute("grown", True)
            went.append(name)
    return went


@pytest.mark.parametrize("event", EVENTS)
def test_a_hooks_processor(event: str, caplog: pytest.LogCaptureFixture) -> None:
    items = Items()
    provider = SpanProvider(SimpleSpanProcessor(items), Resource.create())
    provider.add_span_processor(failing(event))
    tracing = Tracing(provider)
    assert answered(tracing) == ["first", "second"]
    assert [span.name for span in items.items] == ["first", "second"], "the other processor has all of them"
    (record,) = [record for record in caplog.records if record.name == "drum.otel"]
    assert "processor Failing fails" in record.getMessage()
    assert "RuntimeError: no room" in caplog.text
    provider.shutdown()


def test_a_processor_without_a_method_of_the_sdks(caplog: pytest.LogCaptureFixture) -> None:
    """Such as one that was written for an older SDK, without deriving from its class."""
    bare: Any = type("Bare", (), {"shutdown": lambda self: None})()
    provider = SpanProvider(SimpleSpanProcessor(Items()), Resource.create())
    provider.add_span_processor(bare)
    assert answered(Tracing(provider)) == ["first", "second"]
    assert caplog.text.count("processor Bare fails") == 1
    provider.shutdown()


def test_the_servers_own_processor_and_spans_that_are_not_the_sdks(caplog: pytest.LogCaptureFixture) -> None:
    tracing = Tracing(SpanProvider(failing("on_end"), Resource.create()))
    for name in ("first", "second"):
        with tracing.request_span(name, ()):
            pass
    assert caplog.text.count("processor Failing fails") == 1


def test_what_is_asked_of_the_provider_reaches_the_processor() -> None:
    asked: list[Any] = []

    class Asked(SpanProcessor):  # type: ignore[misc]
        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            asked.append("flush")
            return False

        def shutdown(self) -> None:
            asked.append("shutdown")

    provider = SpanProvider(Asked(), Resource.create())
    assert provider.force_flush() is False
    provider.shutdown()
    assert asked == ["flush", "shutdown"]
