"""How many spans leave at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

from drum_litestar.observability.bare.exporter import ITEMS, SPANS, InMessages, batching
from drum_litestar.observability.bare.tracer import SpanProvider
from support.otlp import Items


@pytest.mark.parametrize(
    ("environ", "size"),
    [({}, ITEMS), ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64"}, 64), ({"OTEL_BSP_MAX_QUEUE_SIZE": "1000"}, 512)],
)
def test_a_batch_is_large_unless_the_operator_says(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], size: int
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    sizes: list[int] = []
    full = threading.Event()

    class Sizes(Items):
        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            sizes.append(len(spans))
            full.set()
            return super().export(spans)

    made = SpanProvider(batching(Sizes(), environ), Resource.create())
    for _ in range(size - 1):
        made.own.start_span("model", Context()).end()
    assert sizes == []
    made.own.start_span("model", Context()).end()
    assert full.wait(20)
    made.shutdown()
    assert sizes == [size]


def test_a_message_has_no_more_spans_of_the_sdk_than_the_sdks_own() -> None:
    items = Items()
    provider = SpanProvider(SimpleSpanProcessor(items), Resource.create())
    messages: list[list[Any]] = []

    class Failing(Items):
        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            messages.append([*spans])
            return SpanExportResult.FAILURE if len(messages) == 2 else SpanExportResult.SUCCESS

    hook = provider.get_tracer("hook")
    for number in range(2 * SPANS + 1):
        provider.own.start_span("model", Context()).end()
        hook.start_span(str(number)).end()
    inner = Failing()
    exporter = InMessages(inner)
    assert exporter.export(items.items) is SpanExportResult.FAILURE
    assert [len(message) for message in messages] == [2 * SPANS + 1, SPANS, SPANS, 1]
    assert {id(span) for message in messages for span in message} == {id(span) for span in items.items}
    assert exporter.export(messages[1] + messages[0]) is SpanExportResult.SUCCESS
    assert len(messages) == 5
    exporter.force_flush()
    exporter.shutdown()
