"""Probes: liveness of the process, start and readiness of the model."""

from __future__ import annotations

from litestar import route

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.base_controller import READ, DrumController
from drum_litestar.http.replies import json_response
from drum_litestar.http.service import ModelService


class HealthController(DrumController):
    """DRUM's probes (contract, 3.13) and Kubernetes' three."""

    tags = ("health",)

    @route("/livez", http_method=READ, summary="The process is alive")
    async def livez(self) -> AnyResponse:
        return json_response({"message": "OK"})

    @route(["/", "/ping"], http_method=READ, summary="The model has loaded")
    async def liveness(self, request: AnyRequest) -> AnyResponse:
        return await ModelService.of(request).probe(request, "liveness")

    @route(["/health", "/readyz"], http_method=READ, summary="A call would be served now")
    async def readiness(self, request: AnyRequest) -> AnyResponse:
        service = ModelService.of(request)
        service.check_readiness()
        return await service.probe(request, "readiness")

    @route("/startupz", http_method=READ, summary="The model has been ready once")
    async def startup(self, request: AnyRequest) -> AnyResponse:
        ModelService.of(request).card()
        return json_response({"message": "OK"})
