"""A span processor whose errors cannot fail the requests that its spans describe."""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanProcessor

_log = logging.getLogger("drum.otel")


class GuardedProcessor(SpanProcessor):  # type: ignore[misc]
    """Forwards every call to ``processor``. Its exceptions about spans are logged once and suppressed.

    Spans start and end within requests, where the SDK would raise them.
    """

    def __init__(self, processor: SpanProcessor) -> None:
        self._processor = processor
        self._failed = False

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        self._call("on_start", span, parent_context)

    def _on_ending(self, span: Any) -> None:
        self._call("_on_ending", span)

    def on_end(self, span: Any) -> None:
        self._call("on_end", span)

    def shutdown(self) -> None:
        self._processor.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return bool(self._processor.force_flush(timeout_millis))

    def _call(self, method: str, *arguments: Any) -> None:
        try:
            getattr(self._processor, method)(*arguments)
        except Exception:
            if not self._failed:
                self._failed = True
                name = type(self._processor).__name__
                _log.exception("The span processor %s fails; its spans may be lost. This is reported once.", name)
