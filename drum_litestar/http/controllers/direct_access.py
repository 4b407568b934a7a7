"""Pass-through to the OpenAI-compatible server of a GPU predictor (contract, 3.15)."""

from __future__ import annotations

from typing import Final

from drum_litestar.errors import BadRequestError, MissingExtraError, MissingExtraRequestError
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.service import ModelService

NO_LLM: Final = "This endpoint is only supported by OpenAI based predictors"


async def forward(service: ModelService, request: AnyRequest) -> AnyResponse:
    """Send the request on, and its answer back."""
    base_url = (await service.loaded_card(request)).direct_access
    if base_url is None:
        raise BadRequestError(NO_LLM)
    if service.options.direct_access is None:
        raise MissingExtraRequestError(str(MissingExtraError("/directAccess/", "proxy", "httpx")))
    return await service.options.direct_access(request, base_url)
