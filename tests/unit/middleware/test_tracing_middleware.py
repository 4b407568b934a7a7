"""The span of a request from its head to the last byte of its answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from drum_litestar.middleware.tracing import TracingMiddleware
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.request_state import request_state
from routed import routed

STREAM_ATTRIBUTES = {"drum.stream.first_chunk_ms", "drum.stream.chunks"}


def request(path: str, chunks: int, *, sampled: bool = True, breaks: bool = False) -> tuple[list[Any], list[Any]]:
    """One request through the middleware: the spans, and what was sent. ``chunks``: of a streamed answer; 0 for
    another."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(chunks):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        assert (request_state(scope).span is not None) == (path not in ("/ping", "/other/predict"))
        if breaks:
            raise RuntimeError("mid")
        assert not exporter.get_finished_spans()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("no body is read here")

    middleware = routed(TracingMiddleware(app, Tracing(provider)), "/model")

    async def main() -> None:
        await middleware({"type": "http", "path": path, "headers": []}, receive, send)

    asyncio.run(main())
    return list(exporter.get_finished_spans()), sent


@pytest.mark.parametrize(
    ("path", "name"),
    [("/model/predict", "drum.invocations"), ("/model/nim/v1/x", "drum.directAccess"), ("/ping", None)],
)
def test_names(path: str, name: str | None) -> None:
    spans, _ = request(path, 0)
    assert [span.name for span in spans] == ([name] if name else [])
    assert all(not span.attributes for span in spans)


def test_a_stream_is_counted_and_timed() -> None:
    (span,), sent = request("/model/predictionsStream", 3)
    assert len(sent) == 5
    assert span.attributes.keys() == STREAM_ATTRIBUTES
    assert span.attributes["drum.stream.chunks"] == 3
    assert 0 <= span.attributes["drum.stream.first_chunk_ms"] <= milliseconds(span)


def milliseconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return float(span.end_time - span.start_time) / 1e6


def test_a_request_that_is_not_sampled_is_left_alone() -> None:
    spans, sent = request("/model/predict", 2, sampled=False)
    assert spans == []
    assert len(sent) == 4


def test_a_stream_that_breaks_has_been_counted() -> None:
    with pytest.raises(RuntimeError, match="mid"):
        request("/model/predict", 2, breaks=True)
