"""Descriptions of the server and its model (contract, 3.12 to 3.14)."""

from __future__ import annotations

from litestar import route

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.base_controller import READ, DrumController
from drum_litestar.http.replies import json_response
from drum_litestar.http.service import ModelService


class InfoController(DrumController):
    tags = ("info",)

    @route("/info", http_method=READ, summary="The model")
    async def info(self, request: AnyRequest) -> AnyResponse:
        service = ModelService.of(request)
        own = {"drumServer": service.options.info_server, "drumVersion": service.options.drum_version}
        return json_response({**service.card().info, **own})

    @route("/capabilities", http_method=READ, summary="What the model can be asked")
    async def capabilities(self, request: AnyRequest) -> AnyResponse:
        card = ModelService.of(request).card()
        return json_response(
            {"supported_methods": {"chat": card.chat}, "supported_payload_formats": card.payload_formats}
        )

    @route("/stats", http_method=READ, summary="Memory, processes and counters")
    async def stats(self, request: AnyRequest) -> AnyResponse:
        service = ModelService.of(request)
        service.check_failure()
        report = service.options.stats
        return json_response(await report() if report is not None else service.executor.stats())
