"""Exported log records without secrets. Imports the SDK (extra ``otel``)."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk._logs import LogRecordProcessor

from drum_litestar.settings.masking import masked


class MaskingProcessor(LogRecordProcessor):  # type: ignore[misc]
    """Masks the text and the attributes of each record. To be added before the processor that exports."""

    def on_emit(self, log_record: Any) -> None:
        """``log_record``: the SDK's wrapper around the record, which may be changed."""
        record = log_record.log_record
        if isinstance(record.body, str):
            record.body = masked(record.body)
        for name, value in list((record.attributes or {}).items()):
            if isinstance(value, str):
                record.attributes[name] = masked(value)

    emit = on_emit  # its name in older SDKs

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing is held."""
        return True
