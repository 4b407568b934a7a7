"""Transformations (contract, 3.8)."""

from __future__ import annotations

from litestar import post

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.base_controller import DrumController
from drum_litestar.http.payloads import collect_structured
from drum_litestar.http.service import ModelService
from drum_litestar.predictors.rules import check_transform


class TransformController(DrumController):
    tags = ("predictions",)

    @post("/transform", status_code=200, summary="Transform rows")
    async def transform(self, request: AnyRequest) -> AnyResponse:
        service = ModelService.of(request)
        check_transform(await service.loaded_card(request))
        return await service.answer(request, "transform", collect_structured)
