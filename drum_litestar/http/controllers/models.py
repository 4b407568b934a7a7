"""The list of models behind a text generation model (contract, 3.11)."""

from __future__ import annotations

from litestar import route

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.base_controller import READ, DrumController
from drum_litestar.http.payloads import collect_nothing
from drum_litestar.http.service import ModelService
from drum_litestar.predictors.rules import check_models


class ModelsController(DrumController):
    tags = ("chat",)

    @route(["/models", "/v1/models"], http_method=READ, summary="List models")
    async def models(self, request: AnyRequest) -> AnyResponse:
        service = ModelService.of(request)
        check_models(await service.loaded_card(request))
        return await service.answer(request, "models", collect_nothing)
