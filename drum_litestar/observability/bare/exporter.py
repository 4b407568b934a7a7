"""How many spans leave at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

REQUESTS_PER_ITEM: Final = 4
"""Requests whose bare spans are one item for the SDK's processor, which takes some microseconds for each."""

ITEMS: Final = 384
"""In a batch, so bare spans of 1,536 requests or that many of the SDK's own. Each batch costs the HTTP process a POST,
and its event loop the waits for another thread that computes: with 512 requests, as the SDK has it, a twentieth of a
request's time."""


def batching(exporter: SpanExporter, environ: Mapping[str, str]) -> tuple[BatchSpanProcessor, int]:
    """The SDK's processor, and how many requests' bare spans may be one item for it.

    What the operator has set for its batches stands.
    """
    if any(environ.get(f"OTEL_BSP_MAX_{what}") for what in ("EXPORT_BATCH_SIZE", "QUEUE_SIZE")):
        return BatchSpanProcessor(exporter), 1
    return BatchSpanProcessor(exporter, max_export_batch_size=ITEMS), REQUESTS_PER_ITEM
