"""Unstructured predictions: any body in, any body out (contract, 3.9)."""

from __future__ import annotations

from litestar import post

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.base_controller import DrumController
from drum_litestar.http.payloads import collect_raw
from drum_litestar.http.service import ModelService
from drum_litestar.predictors.rules import check_unstructured


class UnstructuredController(DrumController):
    tags = ("predictions",)

    @post(["/predictUnstructured", "/predictionsUnstructured"], status_code=200, summary="Predict from any body")
    async def predict(self, request: AnyRequest) -> AnyResponse:
        service = ModelService.of(request)
        check_unstructured(await service.loaded_card(request))
        return await service.answer(request, "unstructured", collect_raw)
