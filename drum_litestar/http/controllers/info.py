"""Descriptions of the server and its model (contract, 3.12 to 3.14)."""

from __future__ import annotations

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.replies import json_response
from drum_litestar.http.service import ModelService


async def info(service: ModelService, _: AnyRequest) -> AnyResponse:
    """The model."""
    own = {"drumServer": service.options.info_server, "drumVersion": service.options.drum_version}
    return json_response({**service.card().info, **own})


async def capabilities(service: ModelService, _: AnyRequest) -> AnyResponse:
    """What the model can be asked."""
    card = service.card()
    return json_response({"supported_methods": {"chat": card.chat}, "supported_payload_formats": card.payload_formats})


async def stats(service: ModelService, _: AnyRequest) -> AnyResponse:
    """Memory, processes and counters."""
    service.executor.check_failure()
    report = service.options.stats
    return json_response(await report() if report is not None else service.executor.stats())
