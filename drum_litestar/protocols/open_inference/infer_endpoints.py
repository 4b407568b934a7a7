"""Inference: requests as calls of the model. Their bodies are not looked into."""

from __future__ import annotations

from typing import Final

import msgspec

from drum_litestar.errors import BadRequestError, UnknownModelError
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.bodies import read_raw
from drum_litestar.http.payloads import Inbound
from drum_litestar.http.service import ModelService
from drum_litestar.messages.inference_messages import ModelReady
from drum_litestar.predictors.protocol import CallKind, ModelCall
from drum_litestar.predictors.rules import check_generate
from drum_litestar.protocols.open_inference.model_endpoints import require_model, require_name, response
from drum_litestar.request_state import request_state

JSON_SIZE_HEADER: Final = b"inference-header-content-length"
_PREDICT: Final = ":predict"


async def infer(service: ModelService, request: AnyRequest) -> AnyResponse:
    """V2: tensors in, tensors out."""
    require_model(service, request)
    await service.loaded_card(request)
    return await service.answer(request, "infer", collect_infer)


async def generate(service: ModelService, request: AnyRequest) -> AnyResponse:
    """One prompt in, the generated text out."""
    return await _generate(service, request, "generate")


async def generate_stream(service: ModelService, request: AnyRequest) -> AnyResponse:
    """As :func:`generate`, the text as events."""
    return await _generate(service, request, "generate_stream")


async def _generate(service: ModelService, request: AnyRequest, kind: CallKind) -> AnyResponse:
    require_model(service, request)
    check_generate(await service.loaded_card(request))
    return await service.answer(request, kind, collect_infer)


async def v1_model(service: ModelService, request: AnyRequest) -> AnyResponse:
    """V1: ``POST {name}:predict``, and ``GET {name}``, whether the model is ready."""
    (name,) = request_state(request.scope).path_values
    if request.method != "POST":
        name = require_name(service, name)
        return response(ModelReady(name, service.executor.state == "ready"))
    if not name.endswith(_PREDICT):
        raise UnknownModelError(f"V1 has predictions at {name}{_PREDICT}")
    require_name(service, name[: -len(_PREDICT)])
    await service.loaded_card(request)
    return await service.answer(request, "infer_v1", collect_infer)


async def collect_infer(inbound: Inbound, kind: CallKind) -> ModelCall:
    """Collect the body of any media type, with what the header says of its JSON. Raises BadRequestError."""
    json_size = _json_size(inbound) if kind == "infer" else None
    body = await read_raw(inbound.body(), inbound.spool)
    call = inbound.call(kind, body=body, with_head=inbound.card.unstructured)
    return call if json_size is None else msgspec.structs.replace(call, json_size=json_size)


def _json_size(inbound: Inbound) -> int | None:
    """What the header says; None without it. Raises BadRequestError, also if it is there twice: a proxy may have read
    the other one."""
    values = [value for name, value in inbound.scope["headers"] if name == JSON_SIZE_HEADER]
    if not values:
        return None
    if len(values) > 1 or not values[0].isdigit() or len(values[0]) > 18:
        raise BadRequestError("Inference-Header-Content-Length is not a number of bytes")
    return int(values[0])
