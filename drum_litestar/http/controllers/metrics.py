"""Prometheus exposition."""

from __future__ import annotations

import asyncio

from drum_litestar.errors import MissingExtraError, MissingExtraRequestError
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.replies import BytesResponse
from drum_litestar.http.service import ModelService


async def metrics(service: ModelService, _: AnyRequest) -> AnyResponse:
    """All metrics. Raises MissingExtraRequestError without ``prometheus-client``."""
    expose = service.options.metrics
    if expose is None:
        raise MissingExtraRequestError(str(MissingExtraError("/metrics", "prometheus", "prometheus-client")))
    # Reading /proc for each process takes milliseconds.
    body, content_type = await asyncio.to_thread(expose)
    return BytesResponse(body, content_type=content_type)
