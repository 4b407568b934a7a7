"""``ModelInfer`` as a call of the model: the message is collected, converted, and its answer converted back."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, Final

import msgspec

from drum_litestar.errors import UnsupportedError
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.bodies import Sink
from drum_litestar.http.payloads import Inbound
from drum_litestar.http.replies import BytesResponse
from drum_litestar.http.service import ModelService
from drum_litestar.predictors.protocol import CallKind, ModelCall, Payload
from drum_litestar.protocols.grpc_inference.answer_message import infer_response
from drum_litestar.protocols.grpc_inference.infer_message import parse, v2_body
from drum_litestar.protocols.open_inference.infer_endpoints import JSON_SIZE_HEADER
from drum_litestar.protocols.open_inference.model_endpoints import require_name

CONTENT_TYPE: Final = "application/grpc"
_QUICK: Final = 1 << 20
"""Bytes of the largest message that is converted on the event loop; typed contents take some 100 ns an element."""


async def model_infer(service: ModelService, request: AnyRequest) -> AnyResponse:
    """Infer: tensors in, tensors out."""
    await service.loaded_card(request)
    collector = _Collector(service)
    response = await service.answer(request, "infer", collector.collect)
    if not isinstance(response, BytesResponse) or (response.status_code or 0) >= 400:
        return response
    sizes = [int(value) for name, value in response.pairs if name.lower().encode() == JSON_SIZE_HEADER]
    body = response.content
    convert = functools.partial(infer_response, raw=collector.raw)
    message = await _converted(len(body), convert, body, sizes[0] if sizes else len(body))
    return BytesResponse(message.SerializeToString(), content_type=CONTENT_TYPE)


async def _converted(size: int, convert: Callable[..., Any], *arguments: Any) -> Any:
    """What ``convert`` makes of ``size`` bytes: in a thread, where other requests would wait for it."""
    return await asyncio.to_thread(convert, *arguments) if size > _QUICK else convert(*arguments)


class _Collector:
    """Collects the call of one message."""

    def __init__(self, service: ModelService) -> None:
        self._service = service
        self.raw = False
        """The request's tensors are raw, so those of its answer are, too."""

    async def collect(self, inbound: Inbound, kind: CallKind) -> ModelCall:
        """The call. Raises BadRequestError, UnknownModelError, UnsupportedError, BodyTooLargeError."""
        data = await inbound.body().read()  # it comes in one piece
        message = parse("ModelInferRequest", data)
        name = require_name(self._service, message.model_name)
        if message.model_version:
            raise UnsupportedError(f"model {name!r} has no versions; ask for it without one")
        self.raw = bool(message.raw_input_contents)
        head, tensors = await _converted(len(data), v2_body, message, inbound.uploads.max_upload_size)
        sink = Sink(inbound.spool)
        await sink.write(b"".join([head, *tensors]))
        content, path = await sink.finish()
        body = Payload(data=content, path=path, size=sink.size)
        call = inbound.call(kind, body=body, with_head=inbound.card.unstructured)
        return msgspec.structs.replace(call, json_size=len(head))
