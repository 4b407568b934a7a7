"""``ModelInfer`` as a call of the model: the message is collected, converted, and its answer converted back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from drum_litestar.errors import UnsupportedError
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.bodies import Sink
from drum_litestar.http.payloads import Inbound
from drum_litestar.http.replies import BytesResponse
from drum_litestar.http.service import ModelService
from drum_litestar.predictors.protocol import CallKind, ModelCall, Payload
from drum_litestar.protocols.grpc_inference.answer_message import infer_message
from drum_litestar.protocols.grpc_inference.infer_message import parse, v2_body
from drum_litestar.protocols.grpc_inference.message_fields import check_infer_message
from drum_litestar.protocols.open_inference.infer_endpoints import JSON_SIZE_HEADER
from drum_litestar.protocols.open_inference.model_endpoints import require_name

T = TypeVar("T")

CONTENT_TYPE: Final = "application/grpc"
QUICK: Final = 1 << 16
"""Bytes of the largest message that is converted on the event loop; typed contents take up to 1 µs an element."""
SMALL: Final = 1 << 20
"""Bytes of the largest message that is converted beside others: it takes a multiple of its size in memory."""


async def model_infer(service: ModelService, request: AnyRequest) -> AnyResponse:
    """Infer: tensors in, tensors out."""
    await service.loaded_card(request)
    collector = _Collector(service)
    response = await service.answer(request, "infer", collector.collect)
    if not isinstance(response, BytesResponse) or (response.status_code or 0) >= 400:
        return response
    sizes = [int(value) for name, value in response.pairs if name.lower().encode() == JSON_SIZE_HEADER]
    body = response.content
    message = await converted(
        service.large_conversion, infer_message, body, sizes[0] if sizes else len(body), collector.raw
    )
    return BytesResponse(message, content_type=CONTENT_TYPE)


async def converted(turn: asyncio.Lock, convert: Callable[..., T], data: bytes, *arguments: Any) -> T:
    """What ``convert`` makes of ``data`` and ``arguments``: in a thread, where other requests would wait for it, and
    when it is its ``turn``, where it takes much memory.

    A thread cannot be cancelled, so a cancelled conversion keeps its turn until its thread has ended.
    """
    if len(data) <= QUICK:
        return convert(data, *arguments)
    loop = asyncio.get_running_loop()
    if len(data) <= SMALL:
        return await loop.run_in_executor(None, convert, data, *arguments)
    await turn.acquire()
    running = loop.run_in_executor(None, convert, data, *arguments)
    running.add_done_callback(lambda _: turn.release())
    return await asyncio.shield(running)


class _Collector:
    """Collects the call of one message."""

    def __init__(self, service: ModelService) -> None:
        self._service = service
        self.raw = False
        """The request's tensors are raw, so those of its answer are, too."""

    async def collect(self, inbound: Inbound, kind: CallKind) -> ModelCall:
        """The call. Raises BadRequestError, UnknownModelError, UnsupportedError, BodyTooLargeError, and
        MessageTooLargeError."""
        data = await inbound.body().read()  # it comes in one piece
        head, tensors, self.raw = await converted(
            self._service.large_conversion, self._body, data, inbound.uploads.max_upload_size
        )
        del data
        sink = Sink(inbound.spool)
        await sink.write(head)
        for tensor in tensors:
            await sink.write(tensor)
        content, path = await sink.finish()
        body = Payload(data=content, path=path, size=sink.size)
        call = inbound.call(kind, body=body, with_head=inbound.card.unstructured)
        return msgspec.structs.replace(call, json_size=len(head))

    def _body(self, data: bytes, limit: int) -> tuple[bytes, list[bytes], bool]:
        """JSON and tensors of the V2 request that the message ``data`` is, and whether they were raw."""
        check_infer_message(data)
        message = parse("ModelInferRequest", data)
        name = require_name(self._service, message.model_name)
        if message.model_version:
            raise UnsupportedError(f"model {name!r} has no versions; ask for it without one")
        return *v2_body(message, limit), bool(message.raw_input_contents)
