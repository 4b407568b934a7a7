"""The health protocol (``grpc.health.v1``): for the server, the inference service, and the model by its name."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from grpc_health.v1 import health_pb2

from drum_litestar.errors import BadRequestError
from drum_litestar.protocols.grpc_inference.message_fields import check_small

LOOK_SECONDS: Final = 1.0
"""Between two looks at the readiness that a client watches: it depends on workers, queue and settings."""

_Status: Final = health_pb2.HealthCheckResponse


def service_of(request: bytes) -> str:
    """The service that is asked about; empty for the server. Raises BadRequestError, MessageTooLargeError."""
    from google.protobuf.message import DecodeError

    check_small(request)
    try:
        return str(health_pb2.HealthCheckRequest.FromString(request).service)
    except DecodeError as error:
        raise BadRequestError(f"this is no HealthCheckRequest: {error}") from None


def health_response(ready: bool | None) -> bytes:
    """The message that says ``ready``, None of an unknown service."""
    status = _Status.SERVICE_UNKNOWN if ready is None else _Status.SERVING if ready else _Status.NOT_SERVING
    return bytes(_Status(status=status).SerializeToString())


async def watch_health(
    request: bytes, context: Any, ready: Callable[[str], bool | None], draining: asyncio.Event
) -> None:
    """Send the state of the service that ``request`` names, now and whenever it has changed, until ``draining``.

    Raises as :func:`service_of`."""
    service, sent = service_of(request), b""
    while True:
        state = health_response(ready(service))
        if state != sent:
            await context.write(state)
            sent = state
        if draining.is_set():
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(draining.wait(), LOOK_SECONDS)
