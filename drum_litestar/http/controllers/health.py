"""Probes: liveness of the process, start and readiness of the model. DRUM's (contract, 3.13) and Kubernetes' three."""

from __future__ import annotations

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.replies import ok_response
from drum_litestar.http.service import ModelService


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


async def startup(service: ModelService, _: AnyRequest) -> AnyResponse:
    """The model has been ready once."""
    service.card()
    return ok_response()
