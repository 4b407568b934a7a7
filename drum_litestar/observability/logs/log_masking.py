"""Masking of secrets in exported log records. Imports the SDK (extra ``otel``)."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk._logs import LogRecordProcessor

from drum_litestar.settings.masking import masked


class MaskingProcessor(LogRecordProcessor):  # type: ignore[misc]
    """Masks the text and the attributes of each record. Must be added before the processor that exports."""

    def on_emit(self, log_record: Any) -> None:
        """Mask a record in place. ``log_record`` is the SDK's wrapper around it."""
        record = log_record.log_record
        if isinstance(record.body, str):
            record.body = masked(record.body)
        for name, value in list((record.attributes or {}).items()):
            if isinstance(value, str):
                record.attributes[name] = masked(value)

    emit = on_emit  # its name in older SDKs

    def shutdown(self) -> None:
        """No-op: nothing is buffered."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """No-op: nothing is buffered."""
        return True
