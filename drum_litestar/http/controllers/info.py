"""Descriptions of the server and its model (contract, 3.12 to 3.14)."""

from __future__ import annotations

from msgspec import UNSET

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.replies import json_response
from drum_litestar.http.service import ModelService
from drum_litestar.messages.server_messages import Capabilities, SupportedMethods


async def info(service: ModelService, _: AnyRequest) -> AnyResponse:
    """The model."""
    own = {"drumServer": service.options.info_server, "drumVersion": service.options.drum_version}
    return json_response({**service.card().info, **own})


async def capabilities(service: ModelService, _: AnyRequest) -> AnyResponse:
    """What the model can be asked. What DRUM does not have is named where the model has it, so that the answer is
    DRUM's for all others."""
    card = service.card()
    methods = SupportedMethods(card.chat, card.completions or UNSET, card.embeddings or UNSET)
    return json_response(Capabilities(methods, card.payload_formats))


async def stats(service: ModelService, _: AnyRequest) -> AnyResponse:
    """Memory, processes and counters."""
    service.executor.check_failure()
    report = service.options.stats
    return json_response(await report() if report is not None else service.executor.stats())
