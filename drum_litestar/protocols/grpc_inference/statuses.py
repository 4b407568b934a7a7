"""Statuses of HTTP, which every part of the server speaks, as statuses of gRPC."""

from __future__ import annotations

from typing import Any, Final

import grpc

from drum_litestar.protocols.grpc_inference.exchange import Answer

_CODES: Final = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,  # as gRPC itself says of a message that is too large
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
    507: grpc.StatusCode.RESOURCE_EXHAUSTED,
    513: grpc.StatusCode.FAILED_PRECONDITION,  # the model cannot be loaded: no use to try again
}
_KEPT: Final = frozenset((b"x-request-id", b"x-response-time-ms", b"retry-after"))
"""Headers of an answer that the client gets, as trailing metadata."""
_PUSHBACK: Final = "grpc-retry-pushback-ms"
"""Trailing metadata that gRPC's own retries obey."""
LONGEST_TEXT: Final = 1300
"""Bytes of a status's text: in the worst case gRPC sends three for one, and clients refuse 8 KiB of metadata."""


def status_code(status: int) -> Any:
    """The ``grpc.StatusCode`` of an HTTP ``status``."""
    if status < 400:
        return grpc.StatusCode.OK
    return _CODES.get(status) or (grpc.StatusCode.INVALID_ARGUMENT if status < 500 else grpc.StatusCode.INTERNAL)


def status_text(answer: Answer) -> str:
    """The text of an error's status, cut where metadata has an end."""
    return answer.error_text().encode()[:LONGEST_TEXT].decode("utf-8", "ignore")


def trailing_metadata(answer: Answer) -> tuple[tuple[str, str], ...]:
    """Id, time, and when to try again: in seconds, and in milliseconds for the client library's own retries."""
    kept = tuple((name.decode(), value.decode("latin-1")) for name, value in answer.headers if name in _KEPT)
    pushback = tuple((_PUSHBACK, f"{value}000") for name, value in kept if name == "retry-after")
    return kept + pushback
