"""Formats of a log record: one line in DRUM's format (contract, 5.8), or one JSON object.

Any part of a record may come from a client, so control characters and everything that terminals take for a line end
are escaped. A traceback keeps its lines, indented, so that none of them looks like the start of a record.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import Any, Final

import msgspec

from drum_litestar.observability.logs.terminal import Terminal
from drum_litestar.request_context import request_id_var

# C0 and C1 controls but the tab, line and paragraph separators, and the marks that reorder what is displayed.
_UNSAFE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SHORT: Final = {"\n": "\\n", "\r": "\\r"}
_INDENT: Final = "    "

ACCESS_LOGGER: Final = "drum_litestar.access"
OTEL_LOGGER: Final = "drum.otel"
LIFECYCLE_LOGGER: Final = "drum_litestar.lifecycle"
"""Ready, reloaded, stopping: a line each, at any level. On a terminal they are plain text."""

FIELDS: Final = (
    "method", "path", "client", "status", "duration",
    "ready", "url", "target_type", "labels", "predictor", "predictor_reason", "workers", "load_seconds", "memory_bytes",
)  # fmt: skip
"""Attributes of a record (``extra=``) that are members of its JSON object: those of the access log, ``duration`` in
seconds, and those of the line that says that the server is ready."""


def escape(text: str) -> str:
    """Escape line ends and control characters of ``text``: ``\\n``, ``\\x1b``, ``\\u2028``."""
    if text.isascii() and text.isprintable():  # nearly always, and much faster than the search
        return text
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def context_data(worker: int | None) -> dict[str, str | int]:
    """Return what is printed after a line of a request: its id, and in a model worker the worker's number.

    Empty outside a request.
    """
    request_id = request_id_var.get()
    if not request_id:
        return {}
    return {"request_id": request_id} if worker is None else {"request_id": request_id, "worker": worker}


class ContextFilter(logging.Filter):
    """Sets ``context_data`` on each record: DRUM's attribute, which exported OpenTelemetry records show."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "context_data"):
            # a record forwarded from a worker names that worker itself
            record.context_data = context_data(getattr(record, "worker", self._worker)) or ""
        return True


class TextFormatter(logging.Formatter):
    """``<asctime> LEVEL logger:  message {'request_id': ...}``; access log messages have no prefix.

    On a ``terminal``, records of :data:`LIFECYCLE_LOGGER` are for a person: without prefix, and where they have an
    attribute ``block`` (lines, the first of which is stressed), that instead of the message.
    """

    def __init__(self, terminal: Terminal | None = None) -> None:
        super().__init__()
        self._terminal = terminal

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.name == ACCESS_LOGGER:
            return escape(message)
        if record.name == LIFECYCLE_LOGGER and self._terminal is not None:
            first, *rest = map(escape, getattr(record, "block", [message]))
            first = self._terminal.stress(first, good=record.levelno < logging.WARNING)
            return self._terminal.fresh("\n".join([first, *rest]))
        context = getattr(record, "context_data", "")
        line = escape(f"{self.formatTime(record)} {record.levelname} {record.name}:  {message} {context}")
        detail = exception_text(self, record)
        if detail:
            line += "".join(f"\n{_INDENT}{escape(part)}" for part in detail.split("\n"))
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object per line; keys that do not apply are left out. See :data:`FIELDS`."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "timestamp": timestamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", None) or request_id_var.get() or None,
            "worker": getattr(record, "worker", self._worker),
            **{name: getattr(record, name, None) for name in FIELDS},
            "exception": exception_text(self, record) or None,
        }
        trace = sys.modules.get("opentelemetry.trace")  # without it there is no span; it need not be installed
        if trace is not None and (span := trace.get_current_span().get_span_context()).is_valid:
            fields["trace_id"] = trace.format_trace_id(span.trace_id)
            fields["span_id"] = trace.format_span_id(span.span_id)
        return json_line(fields)


def json_line(fields: dict[str, Any]) -> str:
    """Encode ``fields`` as one line of JSON, without those that are None."""
    present = {key: value for key, value in fields.items() if value is not None}
    try:
        data = msgspec.json.encode(present)
    except (TypeError, ValueError):  # a lone surrogate, or a value of ``extra`` that JSON cannot encode
        clean = {key: str(value).encode("utf-8", "backslashreplace").decode() for key, value in present.items()}
        data = msgspec.json.encode(clean)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", data.decode())


def timestamp(seconds: float) -> str:
    """Format ``seconds`` since the epoch as ISO 8601 in UTC, with milliseconds."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}Z"


def exception_text(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """Return the record's traceback and stack, as the standard formatter would append them.

    A traceback that came as text from another process is the record's attribute ``traceback`` (``extra=``).
    """
    if record.exc_info and not record.exc_text:
        record.exc_text = formatter.formatException(record.exc_info)
    parts = [
        record.exc_text,
        getattr(record, "traceback", "").rstrip(),
        formatter.formatStack(record.stack_info) if record.stack_info else None,
    ]
    return "\n".join(part for part in parts if part)
