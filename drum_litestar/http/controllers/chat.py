"""OpenAI-style chat completions, complete or streamed as the hook decides (contract, 3.10)."""

from __future__ import annotations

from litestar import post

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.base_controller import DrumController
from drum_litestar.http.payloads import collect_json
from drum_litestar.http.service import ModelService
from drum_litestar.predictors.rules import check_chat


class ChatController(DrumController):
    tags = ("chat",)

    @post(["/chat/completions", "/v1/chat/completions"], status_code=200, summary="Chat completion")
    async def chat(self, request: AnyRequest) -> AnyResponse:
        service = ModelService.of(request)
        check_chat(await service.loaded_card(request))
        return await service.answer(request, "chat", collect_json)
