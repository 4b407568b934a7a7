"""The table of the protocol's methods, as routes: what the middleware stack does with a call is as for HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar import Request

from drum_litestar.errors import ModelNotReadyError, RequestError, UnknownModelError, shown
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.bodies import BodyStream
from drum_litestar.http.replies import BytesResponse
from drum_litestar.http.service import ModelService
from drum_litestar.protocols.grpc_inference.answer_message import from_json
from drum_litestar.protocols.grpc_inference.health_messages import health_response, service_of
from drum_litestar.protocols.grpc_inference.infer_call import CONTENT_TYPE, model_infer
from drum_litestar.protocols.grpc_inference.infer_message import parse
from drum_litestar.protocols.grpc_inference.message_fields import check_small
from drum_litestar.protocols.grpc_inference.protobuf_messages import HEALTH, SERVICE
from drum_litestar.protocols.open_inference.model_endpoints import (
    model_metadata,
    require_model,
    require_ready,
    server_metadata,
)
from drum_litestar.protocols.open_inference.repository import index, load, unload
from drum_litestar.protocols.open_inference.triton_endpoints import config, statistics
from drum_litestar.request_state import request_state
from drum_litestar.route_table import Route

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
        raise UnknownModelError(f"there is no service {shown(name)}; ask for '{SERVICE}', the model, or nothing")
    return BytesResponse(health_response(ready and await _is_ready(service, request)), content_type=CONTENT_TYPE)


Endpoint = Callable[[ModelService, AnyRequest], Awaitable[AnyResponse]]


@dataclass(frozen=True)
class JsonMethod:
    """Endpoint of a method that V2 has over HTTP, too: the message is put as that request, and the JSON of the answer
    into the answer's message."""

    method: str
    endpoint: Endpoint
    """Of HTTP. It gets the model's name and version from the message as from a path, and no body, or :attr:`body`."""
    body: Callable[[Any], Any] = lambda _: None
    """JSON of the request's body, from the message."""
    wrap: Callable[[Any], Any] = dict
    """Fields of the answer's message, from the JSON."""

    @property
    def __name__(self) -> str:
        """As a function has it."""
        return self.method

    async def __call__(self, service: ModelService, request: AnyRequest) -> AnyResponse:
        message = parse(f"{self.method}Request", await _body(request))
        request_state(request.scope).path_values = _path_values(service, message)
        asked: AnyRequest = Request(request.scope, _receive(msgspec.json.encode(self.body(message))))
        response = await self.endpoint(service, asked)
        answer = from_json(f"{self.method}Response", self.wrap(msgspec.json.decode(response.content)))
        return BytesResponse(answer.SerializeToString(), content_type=CONTENT_TYPE)


@dataclass(frozen=True)
class StateMethod:
    """Endpoint of a method that says whether something is so, where HTTP has a status for it."""

    method: str
    field: str

    @property
    def __name__(self) -> str:
        """As a function has it."""
        return self.method

    async def __call__(self, service: ModelService, request: AnyRequest) -> AnyResponse:
        message = parse(f"{self.method}Request", await _body(request))
        request_state(request.scope).path_values = values = _path_values(service, message)
        if values:
            require_model(service, request)
        state = self.field == "live" or await _is_ready(service, request)
        answer = from_json(f"{self.method}Response", {self.field: state})
        return BytesResponse(answer.SerializeToString(), content_type=CONTENT_TYPE)


def _path_values(service: ModelService, message: Any) -> tuple[str, ...]:
    """Name and version, as the paths of HTTP have them. Statistics without a name are those of all models."""
    fields = message.DESCRIPTOR.fields_by_name
    if "repository_name" in fields and "model_name" in fields:
        return (message.model_name or message.repository_name,)  # KServe's clients send the name in this field
    if "name" not in fields:
        return ()
    name = message.name
    if not name and message.DESCRIPTOR.name == "ModelStatisticsRequest":
        name = service.options.model_name
    return (name, message.version) if message.version else (name,)


def _receive(body: bytes) -> Any:
    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _body(request: AnyRequest) -> bytes:
    """The message, which comes in one piece. Raises MessageTooLargeError."""
    body = await BodyStream(request.scope, request.receive).read()
    check_small(body)
    return body


async def _is_ready(service: ModelService, request: AnyRequest) -> bool:
    try:
        await require_ready(service, request)
    except ModelNotReadyError:
        return False
    return True


def _route(answer: JsonMethod | StateMethod) -> Route:
    probe = isinstance(answer, StateMethod)
    return Route(
        paths=(f"/{SERVICE}/{answer.method}",),
        answer=answer,
        methods=("POST",),
        access="probe" if probe else "operator",
        is_polled=probe,
        error_key="error",
    )


def _infer_route(path: str) -> Route:
    return Route(
        paths=(path,), answer=model_infer, methods=("POST",), calls_model=True, span="drum.infer", error_key="error"
    )


UNARY_ROUTES: Final = (
    _route(StateMethod("ServerLive", "live")),
    _route(StateMethod("ServerReady", "ready")),
    _route(StateMethod("ModelReady", "ready")),
    _route(JsonMethod("ServerMetadata", server_metadata)),
    _route(JsonMethod("ModelMetadata", model_metadata)),
    _route(JsonMethod("ModelConfig", config, wrap=lambda found: {"config": found})),
    _route(JsonMethod("ModelStatistics", statistics)),
    _route(
        JsonMethod(
            "RepositoryIndex",
            index,
            body=lambda message: {"ready": message.ready},
            wrap=lambda found: {"models": found},
        )
    ),
    _route(JsonMethod("RepositoryModelLoad", load, wrap=lambda found: {"model_name": found["name"], "isLoaded": True})),
    _route(JsonMethod("RepositoryModelUnload", unload)),
    _infer_route(f"/{SERVICE}/ModelInfer"),
    Route(paths=(f"/{HEALTH}/Check",), answer=health_check, methods=("POST",), access="probe", is_polled=True),
)
"""The methods with one message in and one out."""

GRPC_ROUTES: Final = (*UNARY_ROUTES, _infer_route(STREAM_INFER))
