"""Requests in binary that break a rule."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, Final

from drum_litestar.tools.conformance.case import BadRequest
from drum_litestar.tools.conformance.element_types import DATATYPES, to_bytes
from drum_litestar.tools.conformance.inference_answer import BINARY_SIZE, HEADER_LENGTH
from drum_litestar.tools.conformance.subject import Message, Subject
from drum_litestar.tools.conformance.tensor_values import wrapping_shape


def _binary(change: Callable[[str, int], str | None]) -> Callable[[Subject], Message]:
    """The valid binary request with another header: ``change(length, size of the body)``, None for none."""

    def build(subject: Subject) -> Message:
        subject.need_binary()
        message = subject.message(subject.binary_inputs())
        length = change(message.headers[HEADER_LENGTH], len(message.body))
        headers = {name: value for name, value in message.headers.items() if name != HEADER_LENGTH}
        return message._replace(headers=headers if length is None else {**headers, HEADER_LENGTH: length})

    return build


def _sized(change: Callable[[int], Any], extra: bytes = b"", cut: int = 0) -> Callable[[Subject], Message]:
    """The last tensor's ``binary_data_size`` changed, and bytes added to or cut off the body."""

    def build(subject: Subject) -> Message:
        subject.need_binary()
        message = subject.message(subject.binary_inputs())
        length = int(message.headers[HEADER_LENGTH])
        request = json.loads(message.body[:length])
        parameters = request["inputs"][-1]["parameters"]
        parameters[BINARY_SIZE] = change(parameters[BINARY_SIZE])
        data = message.body[length:] + extra
        return _joined(request, data[: len(data) - cut])

    return build


def _joined(request: Any, data: bytes) -> Message:
    text = json.dumps(request).encode()
    return Message(text + data, {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(text))})


def _one_binary(
    datatype: str | None, data: Callable[[int], bytes], shape: Callable[[list[int]], list[int]] = list
) -> Callable[[Subject], Message]:
    """The first input alone in binary: ``data`` makes its bytes from the number of elements."""

    def build(subject: Subject) -> Message:
        subject.need_binary()
        subject.need_json()
        tensor = subject.inputs[0]
        body = data(len(tensor.elements))
        described = tensor.described(**{BINARY_SIZE: len(body)})
        described["shape"] = shape(described["shape"])
        described["datatype"] = datatype or described["datatype"]
        return _joined({**subject.request(), "inputs": [described, *subject.request()["inputs"][1:]]}, body)

    return build


def _both(subject: Subject) -> Message:
    subject.need_binary()
    subject.need_json()
    tensor = subject.inputs[0]
    described = {**tensor.described(**{BINARY_SIZE: len(tensor.data())}), "data": list(tensor.elements)}
    return _joined({**subject.request(), "inputs": [described, *subject.request()["inputs"][1:]]}, tensor.data())


def _neither(subject: Subject) -> Message:
    subject.need_binary()
    tensor = subject.inputs[0]
    return _joined({**subject.request(), "inputs": [tensor.described(), *subject.request()["inputs"][1:]]}, b"")


def _wrapped_binary(subject: Subject) -> Message:
    subject.need_binary()
    tensor = subject.inputs[0]
    data = tensor.data()
    described = {**tensor.described(**{BINARY_SIZE: len(data)}), "shape": wrapping_shape(tensor.shape)}
    return _joined({**subject.fields, "inputs": [described]}, data)


def _overrun(length: int) -> Callable[[int], bytes]:
    return lambda count: to_bytes(DATATYPES["BYTES"], ["a"] * (count - 1)) + struct.pack("<I", length) + b"a"


BAD_BINARY: Final = (
    BadRequest("length-absent", f"{HEADER_LENGTH} with binary data", _binary(lambda *_: None)),
    BadRequest("length-beyond", f"{HEADER_LENGTH} within the body", _binary(lambda _, size: str(size + 1))),
    BadRequest("length-short", f"{HEADER_LENGTH} of the whole JSON", _binary(lambda length, _: str(int(length) - 3))),
    BadRequest("length-long", f"{HEADER_LENGTH} of the JSON alone", _binary(lambda length, _: str(int(length) + 3))),
    BadRequest("length-negative", f"{HEADER_LENGTH} of at least 0", _binary(lambda *_: "-1")),
    BadRequest("length-word", f"{HEADER_LENGTH} that is a number", _binary(lambda *_: "ten")),
    BadRequest("length-empty", f"{HEADER_LENGTH} that is a number", _binary(lambda *_: "")),
    BadRequest("length-fraction", f"{HEADER_LENGTH} that is whole", _binary(lambda length, _: f"{length}.5")),
    BadRequest("length-huge", f"{HEADER_LENGTH} within the body", _binary(lambda *_: "9" * 30)),
    BadRequest("length-zero", "a raw tensor of the model's size", _binary(lambda *_: "0"), accepted=True),
    BadRequest("size-beyond", "binary_data_size within the body", _sized(lambda size: size + 8)),
    BadRequest("size-huge", "binary_data_size within the body", _sized(lambda _: 2**63)),
    BadRequest("size-short", "binary_data_size of the whole tensor", _sized(lambda size: size - 1)),
    BadRequest("size-cut", "as many elements as the shape", _sized(lambda size: size - 1, cut=1)),
    BadRequest("size-long", "as many elements as the shape", _sized(lambda size: size + 8, b"\0" * 8)),
    BadRequest("size-negative", "binary_data_size of at least 0", _sized(lambda size: -size - 1)),
    BadRequest("size-text", "binary_data_size that is a number", _sized(lambda _: "many")),
    BadRequest("size-fraction", "binary_data_size that is whole", _sized(lambda size: size + 0.5)),
    BadRequest("bytes-left", "no bytes after the last tensor", _sized(lambda size: size, b"\0" * 16)),
    BadRequest("bytes-missing", "all bytes of the tensors", _sized(lambda size: size, cut=1)),
    BadRequest("data-and-binary", "data once", _both),
    BadRequest("neither", "data", _neither),
    BadRequest("wraps-binary", "as many elements as the shape, without overflow", _wrapped_binary),
    BadRequest("element-overrun", "BYTES elements within their tensor", _one_binary("BYTES", _overrun(2**32 - 1))),
    BadRequest("element-longer", "BYTES elements within their tensor", _one_binary("BYTES", _overrun(2))),
    BadRequest("element-cut", "whole lengths of BYTES", _one_binary("BYTES", lambda _: b"\1\0")),
    BadRequest(
        "elements-many", "as many BYTES elements as the shape",
        _one_binary("BYTES", lambda count: to_bytes(DATATYPES["BYTES"], ["a"] * (count + 1))),
    ),
    BadRequest("bool-of-7", "0 and 1 as BOOL", _one_binary("BOOL", lambda count: b"\7" * count), accepted=True),
    BadRequest("binary-datatype", "a datatype of the specification", _one_binary("FP128", lambda n: b"\0" * 16 * n)),
    BadRequest(
        "binary-negative", "dimensions of at least 0",
        _one_binary(None, lambda count: b"\0" * 8 * count, lambda shape: [-1, *shape[1:]]),
    ),
)  # fmt: skip
