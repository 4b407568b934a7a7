"""What the server says of itself and of the model that a path names: health and metadata."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from drum_litestar.errors import ModelNotReadyError, UnknownModelError, UnsupportedError, shown
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.controllers.health import readiness
from drum_litestar.http.replies import BytesResponse
from drum_litestar.http.service import ModelService
from drum_litestar.messages.inference_messages import (
    ModelMetadata,
    ModelNames,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    TensorMetadata,
)
from drum_litestar.predictors.protocol import ModelCard, TensorInfo
from drum_litestar.request_state import request_state

SERVER_NAME: Final = "drum-litestar"
EXTENSIONS: Final = ("binary_tensor_data", "model_repository", "model_configuration", "statistics", "generate")

encode: Final = msgspec.json.Encoder().encode
_LIVE: Final = encode(ServerLive(True))
_READY: Final = encode(ServerReady(True, True))


def response(body: Any) -> AnyResponse:
    """The answer with ``body`` in JSON, its keys in their order."""
    return BytesResponse(encode(body))


def require_model(service: ModelService, request: AnyRequest) -> str:
    """The model's name. Raises UnknownModelError if the path names another one, UnsupportedError if it names a
    version."""
    name, *versions = request_state(request.scope).path_values
    served = require_name(service, name)
    if versions:
        raise UnsupportedError(f"model {served!r} has no versions; ask for it without one")
    return served


def require_name(service: ModelService, name: str) -> str:
    """The model's name. Raises UnknownModelError if ``name`` is another one."""
    served = service.options.model_name
    if name != served:
        raise UnknownModelError(f"there is no model {shown(name)}; this server has {served!r}")
    return served


async def server_live(_: ModelService, __: AnyRequest) -> AnyResponse:
    """The process is alive."""
    return BytesResponse(_LIVE)


async def server_ready(service: ModelService, request: AnyRequest) -> AnyResponse:
    """A call would be served now. The specification's text has ``live`` in the answer, clients look for ``ready``."""
    await require_ready(service, request)
    return BytesResponse(_READY)


async def require_ready(service: ModelService, request: AnyRequest) -> None:
    """Raises ModelNotReadyError, with the reason, unless a call would be served now."""
    answer = await readiness(service, request)
    if answer.status_code != 200:
        raise ModelNotReadyError("The model says that it is not ready")


async def server_metadata(service: ModelService, _: AnyRequest) -> AnyResponse:
    """The server."""
    service.executor.check_failure()
    return response(ServerMetadata(SERVER_NAME, service.options.server_version, EXTENSIONS))


async def models(service: ModelService, _: AnyRequest) -> AnyResponse:
    """The models' names."""
    service.executor.check_failure()
    return response(ModelNames([service.options.model_name]))


async def model_metadata(service: ModelService, request: AnyRequest) -> AnyResponse:
    """The model."""
    name = require_model(service, request)
    return response(metadata(name, service.card()))


def metadata(name: str, card: ModelCard) -> ModelMetadata:
    """The model's metadata, as the protocol has it. An output's labels are in its parameters."""
    info = card.inference
    return ModelMetadata(name, info.platform, list(map(_tensor, info.inputs)), list(map(_tensor, info.outputs)))


def _tensor(info: TensorInfo) -> TensorMetadata:
    described = TensorMetadata(info.name, info.datatype, info.shape)
    if info.labels:
        described.parameters = {"labels": info.labels}
    return described


async def model_ready(service: ModelService, request: AnyRequest) -> AnyResponse:
    """A call would be served now."""
    name = require_model(service, request)
    await require_ready(service, request)
    return response(ModelReady(name, True))
