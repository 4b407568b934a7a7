"""The table of the protocol's methods, as routes: what the middleware stack does with a call is as for HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from drum_litestar.errors import ModelNotReadyError, RequestError, UnknownModelError, UnsupportedError
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.bodies import BodyStream
from drum_litestar.http.replies import BytesResponse
from drum_litestar.http.service import ModelService
from drum_litestar.protocols.grpc_inference.answer_message import from_json
from drum_litestar.protocols.grpc_inference.health import health_response, service_of
from drum_litestar.protocols.grpc_inference.infer_call import CONTENT_TYPE, model_infer
from drum_litestar.protocols.grpc_inference.infer_message import parse
from drum_litestar.protocols.grpc_inference.messages import HEALTH, SERVICE
from drum_litestar.protocols.open_inference.model_endpoints import EXTENSIONS, SERVER_NAME, metadata, require_ready
from drum_litestar.protocols.open_inference.named_model import require_name
from drum_litestar.route_table import Access, Route

STREAM_INFER: Final = f"/{SERVICE}/ModelStreamInfer"
"""Each message of a stream is a request of this path."""


def service_ready(service: ModelService, name: str) -> bool | None:
    """Whether a call to ``name`` would be served now: the server (empty), the protocol's service, or the model.

    None for any other name.
    """
    if name not in ("", SERVICE, service.options.model_name):
        return None
    try:
        service.check_readiness()
    except RequestError:
        return False
    return True


async def health_check(service: ModelService, request: AnyRequest) -> AnyResponse:
    """The state of the service that the message names."""
    name = service_of(await _body(request))
    ready = service_ready(service, name)
    if ready is None:
        raise UnknownModelError(f"there is no service '{name}'; ask for '{SERVICE}', the model, or nothing")
    return BytesResponse(health_response(ready and await _is_ready(service, request)), content_type=CONTENT_TYPE)


@dataclass(frozen=True)
class Message:
    """Endpoint of a method that is no call of the model: a message in, a message out."""

    method: str
    fields: Callable[[ModelService, AnyRequest, Any], Awaitable[Any]]
    """The fields of the answer, for ``(service, request, message)``."""

    @property
    def __name__(self) -> str:
        """As a function has it."""
        return self.method

    async def __call__(self, service: ModelService, request: AnyRequest) -> AnyResponse:
        message = parse(f"{self.method}Request", await _body(request))
        fields = await self.fields(service, request, message)
        answer = from_json(f"{self.method}Response", msgspec.to_builtins(fields))
        return BytesResponse(answer.SerializeToString(), content_type=CONTENT_TYPE)


async def _body(request: AnyRequest) -> bytes:
    stream = BodyStream(request.scope, request.receive)
    return await stream.read()  # a message comes in one piece


async def _is_ready(service: ModelService, request: AnyRequest) -> bool:
    try:
        await require_ready(service, request)
    except ModelNotReadyError:
        return False
    return True


async def _server_live(_: ModelService, __: AnyRequest, ___: Any) -> Any:
    return {"live": True}


async def _server_ready(service: ModelService, request: AnyRequest, _: Any) -> Any:
    return {"ready": await _is_ready(service, request)}


async def _model_ready(service: ModelService, request: AnyRequest, message: Any) -> Any:
    named_model(service, message)
    return {"ready": await _is_ready(service, request)}


async def _server_metadata(service: ModelService, _: AnyRequest, __: Any) -> Any:
    service.executor.check_failure()
    return {"name": SERVER_NAME, "version": service.options.server_version, "extensions": EXTENSIONS}


async def _model_metadata(service: ModelService, _: AnyRequest, message: Any) -> Any:
    return metadata(named_model(service, message), service.card())


def named_model(service: ModelService, message: Any) -> str:
    """The model's name, if ``message`` asks for it. Raises UnknownModelError and UnsupportedError."""
    name = require_name(service, message.name)
    if message.version:
        raise UnsupportedError(f"model {name!r} has no versions; ask for it without one")
    return name


def _route(method: str, fields: Callable[..., Awaitable[Any]], *, access: Access = "operator") -> Route:
    probe = access == "probe"
    return Route(
        paths=(f"/{SERVICE}/{method}",),
        answer=Message(method, fields),
        methods=("POST",),
        access=access,
        is_polled=probe,
        error_key="error",
    )


def _infer_route(path: str) -> Route:
    return Route(
        paths=(path,), answer=model_infer, methods=("POST",), calls_model=True, span="drum.infer", error_key="error"
    )


UNARY_ROUTES: Final = (
    _route("ServerLive", _server_live, access="probe"),
    _route("ServerReady", _server_ready, access="probe"),
    _route("ModelReady", _model_ready, access="probe"),
    _route("ServerMetadata", _server_metadata),
    _route("ModelMetadata", _model_metadata),
    _infer_route(f"/{SERVICE}/ModelInfer"),
    Route(paths=(f"/{HEALTH}/Check",), answer=health_check, methods=("POST",), access="probe", is_polled=True),
)
"""The methods with one message in and one out."""

GRPC_ROUTES: Final = (*UNARY_ROUTES, _infer_route(STREAM_INFER))
