"""Probes: liveness of the process, start and readiness of the model. DRUM's (contract, 3.13) and Kubernetes' three."""

from __future__ import annotations

from typing import Final

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.replies import json_response, ok_response
from drum_litestar.http.service import ModelService
from drum_litestar.messages.server_messages import ProbeAnswer

NOT_LOADED_AGAIN: Final = (
    "The model folder could not be loaded again, and what was loaded before is served: the log and /stats/ say why"
)


async def livez(_: ModelService, __: AnyRequest) -> AnyResponse:
    """The process is alive."""
    return ok_response()


async def liveness(service: ModelService, request: AnyRequest) -> AnyResponse:
    """The model has loaded."""
    return await service.probe(request, "liveness")


async def readiness(service: ModelService, request: AnyRequest) -> AnyResponse:
    """A call would be served now."""
    service.check_readiness()
    return await service.probe(request, "readiness")


async def readyz(service: ModelService, request: AnyRequest) -> AnyResponse:
    """As :func:`readiness`; says also that a call is served by what was loaded before the folder was broken."""
    response = await readiness(service, request)
    if service.executor.folder_error and not service.card().probes_model:
        return json_response(ProbeAnswer("OK", NOT_LOADED_AGAIN))
    return response


async def startup(service: ModelService, _: AnyRequest) -> AnyResponse:
    """The model has been ready once."""
    service.card()
    return ok_response()
