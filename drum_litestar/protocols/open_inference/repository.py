"""The model repository extension: a repository of the one model, which can be loaded again and not be unloaded."""

from __future__ import annotations

from typing import Final

import msgspec

from drum_litestar.errors import BadRequestError, ModelLoadError, RequestError, UnsupportedError
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.bodies import BodyStream
from drum_litestar.http.service import ModelService
from drum_litestar.messages.inference_messages import IndexEntry, IndexRequest, ModelLoaded
from drum_litestar.protocols.open_inference.model_endpoints import require_model, response

_LONGEST_BODY: Final = 64 * 1024
_STATES: Final = {"ready": "READY", "starting": "LOADING"}


async def index(service: ModelService, request: AnyRequest) -> AnyResponse:
    """The models of the repository, or, if the body says ``{"ready": true}``, those that are ready."""
    service.executor.check_failure()
    wanted = await _filter(request)
    state = _STATES.get(service.executor.state, "UNAVAILABLE")
    model = IndexEntry(service.options.model_name, state, "")
    return response([] if wanted.ready and state != "READY" else [model])


async def load(service: ModelService, request: AnyRequest) -> AnyResponse:
    """Load the model folder again; while it loads for the first time, wait for that."""
    name = require_model(service, request)
    if service.executor.state == "starting":
        await service.executor.wait_started()
        service.card()
        return _done(name)
    service.executor.check_failure()
    load_again = service.options.load_again
    if load_again is None:
        raise UnsupportedError("the model can be loaded again only in worker processes (--executor pool)")
    try:
        await load_again()
    except ModelLoadError as error:
        raise RequestError(f"model {name!r} was not loaded again: {error}") from error
    return _done(name)


async def unload(service: ModelService, request: AnyRequest) -> AnyResponse:
    """There is nothing that the server would be without its model."""
    name = require_model(service, request)
    raise UnsupportedError(f"this server serves model {name!r} as long as it runs: stop the server instead")


def _done(name: str) -> AnyResponse:
    return response(ModelLoaded(name, True))


async def _filter(request: AnyRequest) -> IndexRequest:
    stream = BodyStream(request.scope, request.receive)
    body = b""
    while chunk := await stream.read():
        body += chunk
        if len(body) > _LONGEST_BODY:
            raise BadRequestError(f"the body has more than {_LONGEST_BODY} bytes")
    try:
        found: IndexRequest = msgspec.json.decode(body or b"{}", type=IndexRequest)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequestError(f"the body is no request for the index: {error}") from None
    return found
