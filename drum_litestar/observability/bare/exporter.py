"""How many spans leave at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from drum_litestar.observability.bare.ended import Ended

ITEMS: Final = 1536
"""Requests in a batch. Each batch costs the HTTP process a POST, and its event loop the waits for another thread that
computes: with the SDK's 512 a twentieth of a request's time. The rest of the SDK's queue, 2048, is room for what ends
until the exporter has awoken."""

SPANS: Final = 512
"""Spans of the SDK in a message, its own default: with a chat's texts they may be large. A bare one has 80 bytes."""


def batching(exporter: SpanExporter, environ: Mapping[str, str]) -> BatchSpanProcessor:
    """The SDK's processor. What the operator has set for its batches stands."""
    if any(environ.get(f"OTEL_BSP_MAX_{what}") for what in ("EXPORT_BATCH_SIZE", "QUEUE_SIZE")):
        return BatchSpanProcessor(exporter)
    return BatchSpanProcessor(InMessages(exporter), max_export_batch_size=ITEMS)


class InMessages(SpanExporter):  # type: ignore[misc]
    """Sends a batch in several messages when it has many spans of the SDK."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        full = [span for span in spans if type(span) is not Ended]
        if len(full) <= SPANS:
            return self._exporter.export(spans)
        messages = [[span for span in spans if type(span) is Ended]]
        messages += [full[start : start + SPANS] for start in range(0, len(full), SPANS)]
        results = [self._exporter.export(message) for message in messages if message]
        return max(results, key=lambda result: result.value)  # a failure, if there is one

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return bool(self._exporter.force_flush(timeout_millis))

    def shutdown(self) -> None:
        self._exporter.shutdown()
