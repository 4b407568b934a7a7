"""Prometheus exposition."""

from __future__ import annotations

import asyncio

from litestar import route

from drum_litestar.errors import MissingExtraError, MissingExtraRequestError
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.base_controller import READ, DrumController
from drum_litestar.http.replies import BytesResponse
from drum_litestar.http.service import ModelService


class MetricsController(DrumController):
    tags = ("info",)

    @route("/metrics", http_method=READ, summary="Metrics")
    async def metrics(self, request: AnyRequest) -> AnyResponse:
        expose = ModelService.of(request).options.metrics
        if expose is None:
            raise MissingExtraRequestError(str(MissingExtraError("/metrics", "prometheus", "prometheus-client")))
        # Reading /proc for each process takes milliseconds.
        body, content_type = await asyncio.to_thread(expose)
        return BytesResponse(body, content_type=content_type)
