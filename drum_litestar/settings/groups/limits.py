"""Limits of time, connections and bodies."""

from __future__ import annotations

from typing import Annotated

import msgspec

from drum_litestar.settings.declaration import Option

MEBIBYTE = 1 << 20


class TimeoutSettings(msgspec.Struct, frozen=True):
    """Timeouts. 0 means no limit, unless the text says otherwise."""

    request_timeout: Annotated[
        float,
        Option(
            "DRUM_CLIENT_REQUEST_TIMEOUT",
            "deadline of one request (upload, queue and compute together), then 504; 0 = none",
            low=0,
            high=3600,
            unit="s",
            drum=True,
        ),
    ] = 600.0
    keep_alive: Annotated[
        float,
        Option(
            "DRUM_UVICORN_KEEP_ALIVE",
            "longest idle time of a keep-alive connection; 0 closes after each response",
            low=0,
            high=3600,
            unit="s",
            old=("DRUM_GUNICORN_KEEP_ALIVE",),
        ),
    ] = 95.0
    header_timeout: Annotated[
        float,
        Option(
            "DRUM_UVICORN_HEADER_TIMEOUT",
            "longest wait for a complete request head",
            low=0,
            high=3600,
            unit="s",
            aliases=("DRUM_GUNICORN_FIRST_BYTE_TIMEOUT",),
        ),
    ] = 30.0
    body_timeout: Annotated[
        float,
        Option(
            "DRUM_UVICORN_BODY_TIMEOUT",
            "longest pause in the upload of a body, then 408",
            low=0,
            high=3600,
            unit="s",
        ),
    ] = 60.0
    stream_idle_timeout: Annotated[
        float,
        Option(
            "DRUM_STREAM_IDLE_TIMEOUT",
            "longest pause in a streamed response that has started",
            low=0,
            high=3600,
            unit="s",
        ),
    ] = 300.0
    graceful_timeout: Annotated[
        float,
        Option(
            "DRUM_UVICORN_GRACEFUL_TIMEOUT",
            "longest wait for running requests at shutdown",
            low=1,
            high=3600,
            unit="s",
            old=("DRUM_GUNICORN_GRACEFUL_TIMEOUT",),
        ),
    ] = 299.0
    lame_duck: Annotated[
        float,
        Option(
            "DRUM_LAME_DUCK",
            "time after SIGTERM in which readiness says 503 and requests are still answered, before the port closes; "
            "0 = none",
            low=0,
            high=600,
            unit="s",
        ),
    ] = 0.0


class ConnectionSettings(msgspec.Struct, frozen=True):
    """Limits of connections and request heads."""

    max_connections: Annotated[
        int | None,
        Option("DRUM_UVICORN_LIMIT_CONCURRENCY", "most open connections; above it 503", low=1, default="none"),
    ] = None
    backlog: Annotated[
        int, Option("DRUM_WEBSERVER_BACKLOG", "connections that the kernel queues", low=1, high=10_000, drum=True)
    ] = 2048
    max_head_size: Annotated[
        int,
        Option(
            "DRUM_MAX_REQUEST_HEAD_SIZE",
            "largest request line and headers together, then 431",
            low=1024,
            high=MEBIBYTE,
            unit="bytes",
        ),
    ] = 65_536


class UploadSettings(msgspec.Struct, frozen=True):
    """Limits of request bodies and forms."""

    max_upload_size: Annotated[
        int, Option("DRUM_FASTAPI_MAX_UPLOAD_SIZE", "largest body, then 413", low=1, unit="bytes")
    ] = 100 * MEBIBYTE
    spool_threshold: Annotated[
        int, Option("DRUM_SPOOL_THRESHOLD", "larger bodies and files go to disk", low=0, unit="bytes")
    ] = 10 * MEBIBYTE
    spool_dir: Annotated[
        str | None,
        Option(
            "DRUM_SPOOL_DIR",
            "directory of the spool files",
            directory=True,
            default="the system's temporary directory",
        ),
    ] = None
    max_form_parts: Annotated[
        int, Option("DRUM_FORM_MAX_PARTS", "most parts of a multipart form, then 413", low=1, high=100_000)
    ] = 1000
    max_field_size: Annotated[
        int,
        Option("DRUM_FORM_MAX_FIELD_SIZE", "largest form field that is not a file", low=1, unit="bytes"),
    ] = 500_000
