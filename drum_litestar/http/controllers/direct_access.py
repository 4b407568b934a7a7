"""Pass-through to the OpenAI-compatible server of a GPU predictor (contract, 3.15)."""

from __future__ import annotations

from typing import Final

from litestar import HttpMethod, route

from drum_litestar.errors import BadRequestError, MissingExtraError, MissingExtraRequestError
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.base_controller import DrumController
from drum_litestar.http.service import ModelService
from drum_litestar.scope import SPAN

NO_LLM: Final = "This endpoint is only supported by OpenAI based predictors"


class DirectAccessController(DrumController):
    tags = ("chat",)

    @route(
        ["/directAccess/{rest:path}", "/nim/{rest:path}"],
        http_method=[HttpMethod.GET, HttpMethod.HEAD, HttpMethod.POST, HttpMethod.PUT],
        status_code=200,
        summary="Forward to the LLM server",
    )
    async def forward(self, request: AnyRequest) -> AnyResponse:
        service = ModelService.of(request)
        base_url = (await service.loaded_card(request)).direct_access
        if base_url is None:
            if (span := request.scope["state"].get(SPAN)) is not None:
                span.fail(NO_LLM)  # an error in the trace, although a 400 for the client (contract, 5.6)
            raise BadRequestError(NO_LLM)
        if service.options.direct_access is None:
            raise MissingExtraRequestError(str(MissingExtraError("/directAccess/", "proxy", "httpx")))
        return await service.options.direct_access(request, base_url)
