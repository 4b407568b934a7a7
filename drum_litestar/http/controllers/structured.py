"""Structured predictions (contract, 3.5 to 3.7)."""

from __future__ import annotations

from litestar import post

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.base_controller import DrumController
from drum_litestar.http.payloads import collect_structured
from drum_litestar.http.service import ModelService
from drum_litestar.predictors.rules import check_structured


class StructuredController(DrumController):
    tags = ("predictions",)

    @post(["/predict", "/predictions", "/invocations"], status_code=200, summary="Predict rows")
    async def predict(self, request: AnyRequest) -> AnyResponse:
        service = ModelService.of(request)
        check_structured(await service.loaded_card(request))
        return await service.answer(request, "predict", collect_structured)

    @post("/predictionsStream", status_code=200, summary="Predict rows, streamed")
    async def predict_stream(self, request: AnyRequest) -> AnyResponse:
        service = ModelService.of(request)
        check_structured(await service.loaded_card(request))
        return await service.answer(
            request, "predict_stream", collect_structured, single_chunk=True, extra=(("X-Streaming", "true"),)
        )
