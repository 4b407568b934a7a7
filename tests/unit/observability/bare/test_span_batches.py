"""How many spans leave at once."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from drum_litestar.observability.bare import encoder
from drum_litestar.observability.bare.exporter import ITEMS, REQUESTS_PER_ITEM, batching
from drum_litestar.observability.bare.tracer import SpanProvider
from support.servers.otlp import Items


@pytest.mark.parametrize(
    ("environ", "size", "requests_per_item"),
    [
        ({}, ITEMS, REQUESTS_PER_ITEM),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64"}, 64, 1),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "1000"}, 512, 1),
    ],
)
def test_a_batch_is_large_unless_the_operator_says(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], size: int, requests_per_item: int
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

    items = Sizes()
    made = SpanProvider(*exporting(items, environ))
    for _ in range((size - 1) * requests_per_item):
        made.own.start_span("model", Context()).end()
    assert sizes == []
    made.own.start_span("model", Context()).end()
    assert full.wait(60)
    made.shutdown()
    assert sizes == [size]
    assert sum(len(item.traces) for item in items.items) == (size - 1) * requests_per_item + 1


def exporting(exporter: SpanExporter, environ: Mapping[str, str]) -> tuple[Any, Resource, int]:
    processor, requests_per_item = batching(exporter, environ)
    return processor, Resource.create(), requests_per_item


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[SpanProvider]:
    """Exports when it is told to."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    monkeypatch.setattr(trace_exporter, "encode_spans", trace_exporter.encode_spans)  # undoes ``install``
    made = SpanProvider(*exporting(Encoding(), {}))
    encoder.install(made)
    yield made
    made.shutdown()


class Encoding(SpanExporter):  # type: ignore[misc]
    """Keeps the spans' ids, and how many items brought them."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.ids: list[bytes] = []

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        message = ExportTraceServiceRequest.FromString(trace_exporter.encode_spans(spans).SerializePartialToString())
        self.items.append(len(spans))
        for resource in message.resource_spans:
            self.ids += [span.span_id for scope in resource.scope_spans for span in scope.spans]
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None: ...


def exporter_of(provider: SpanProvider) -> Encoding:
    processor = provider._active_span_processor._span_processors[0]._processor  # behind its guard
    found = getattr(processor, "span_exporter", None) or processor._batch_processor._exporter
    assert isinstance(found, Encoding)
    return found


def end_some(provider: SpanProvider, count: int) -> list[bytes]:
    """Their ids."""
    spans = [provider.own.start_span("model", Context()) for _ in range(count)]
    for span in spans:
        span.end()
    return [span.get_span_context().span_id.to_bytes(8, "big") for span in spans]


def test_an_item_grows_until_it_is_full_or_taken(provider: SpanProvider) -> None:
    exporter = exporter_of(provider)
    exported: list[int] = []
    ids = end_some(provider, REQUESTS_PER_ITEM + 1)
    provider.force_flush()
    exported.append(sum(exporter.items))
    ids += end_some(provider, 1)  # not into the item that was exported, though it was not full
    provider.force_flush()
    exported.append(sum(exporter.items))
    assert exported == [2, 3]
    assert sorted(exporter.ids) == sorted(ids)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_does_not_add_to_what_its_parent_sends(provider: SpanProvider) -> None:
    ids = end_some(provider, 1)
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        mine = end_some(provider, 1)
        provider.force_flush()
        os.write(writer, b"1" if exporter_of(provider).ids == mine else b"0")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    os.close(writer)
    provider.force_flush()
    assert exporter_of(provider).ids == ids


def test_nothing_is_lost_or_sent_twice_while_batches_leave(provider: SpanProvider) -> None:
    ids: list[bytes] = []

    def make_and_flush() -> None:
        for _ in range(25):
            ids.extend(end_some(provider, 3))
            provider.force_flush()

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=make_and_flush) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert sorted(exporter_of(provider).ids) == sorted(ids)
    assert len(ids) == 300
