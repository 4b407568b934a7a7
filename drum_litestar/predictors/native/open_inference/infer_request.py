"""Requests of the Open Inference Protocol: JSON, or JSON and the tensors' bytes after it (binary extension)."""

from __future__ import annotations

import mmap
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

import msgspec

from drum_litestar.errors import BadRequestError, shown
from drum_litestar.messages.inference_messages import InferenceRequest, InputTensor, WantedOutput
from drum_litestar.predictors.native.open_inference.tensors import (
    BYTES,
    DTYPES,
    Tensor,
    check_head,
    from_bytes,
    from_json,
    of_element,
)
from drum_litestar.predictors.protocol import MOST_INPUTS, ModelCall, Payload, TensorInfo

PANDAS = "pd"
"""Value of the parameter ``content_type``: each tensor is a column of one table."""
_UNSUPPORTED = ("shared_memory_region", "classification")
"""Parameters of a tensor that are not ignored, because the answer would be another one without them."""


class InferRequest(NamedTuple):
    """What the client sent."""

    id: Optional[str]
    inputs: Tuple[Tensor, ...]
    is_table: bool
    """The inputs are said to be columns."""
    outputs: Optional[Tuple[Tuple[str, Optional[bool]], ...]]
    """Names of the wanted outputs, and whether in binary, where that is said; None for all."""
    binary: bool
    """Outputs of which nothing is said are wanted in binary."""


_decode = msgspec.json.Decoder(InferenceRequest).decode


def read_request(call: ModelCall, inputs: Sequence[TensorInfo]) -> InferRequest:
    """The request of an ``infer`` call. ``inputs``: the model's, for a body without JSON.

    Raises BadRequestError, whose text says where the request is wrong.
    """
    body = _content(call.body)
    size = call.json_size
    if size == 0:
        return InferRequest(None, (_raw_input(inputs, body),), False, None, True)
    if size is not None and size > len(body):
        raise BadRequestError(f"Inference-Header-Content-Length is {size}, but the body has {len(body)} bytes")
    head = _read_head(body if size is None else body[:size])
    if not head.inputs:
        raise BadRequestError("the request has no inputs")
    if len(head.inputs) > MOST_INPUTS:
        raise BadRequestError(f"the request has {len(head.inputs)} inputs, more than {MOST_INPUTS}")
    _refuse_twice([each.name for each in head.inputs], "input")
    parameters = head.parameters or {}
    return InferRequest(
        head.id,
        tuple(_tensors(head.inputs, None if size is None else body[size:])),
        parameters.get("content_type") == PANDAS or all(_is_column(each) for each in head.inputs),
        _outputs(head.outputs),
        _flag(parameters, "binary_data_output") is True,
    )


def _content(payload: Optional[Payload]) -> memoryview:
    """The body; a spool file is mapped, not read."""
    if payload is None:
        return memoryview(b"")
    if payload.data is not None:
        return memoryview(payload.data)
    with payload.open() as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _read_head(data: memoryview) -> InferenceRequest:
    try:
        return _decode(data)
    except msgspec.ValidationError as error:
        raise BadRequestError(f"not a request of the Open Inference Protocol: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequestError(f"the request is not JSON: {error}") from None


def _tensors(inputs: Sequence[InputTensor], binary: Optional[memoryview]) -> List[Tensor]:
    found = []
    position = 0
    for each in inputs:
        parameters = each.parameters or {}
        _refuse_unsupported(each.name, parameters)
        content_type = parameters.get("content_type")
        said = content_type if isinstance(content_type, str) else ""
        size = parameters.get("binary_data_size")
        if size is None:
            data = bytes(each.data)
            if not data:
                raise BadRequestError(f"input {shown(each.name)} has neither data nor binary_data_size")
            found.append(from_json(each.name, each.datatype, each.shape, data)._replace(content_type=said))
            continue
        if type(size) is not int or size < 0:
            raise BadRequestError(f"input {shown(each.name)}: binary_data_size is not a number of bytes")
        if len(bytes(each.data)):
            raise BadRequestError(f"input {shown(each.name)} has data and binary_data_size")
        rest = 0 if binary is None else len(binary) - position
        if binary is None or size > rest:
            raise BadRequestError(
                f"input {shown(each.name)}: binary_data_size is {size}, but {rest} bytes are left after the JSON"
                + ("; the header Inference-Header-Content-Length is missing" if binary is None else "")
            )
        part = binary[position : position + size]
        found.append(from_bytes(each.name, each.datatype, each.shape, part)._replace(content_type=said))
        position += size
    if binary is not None and position != len(binary):
        raise BadRequestError(f"{len(binary) - position} bytes follow the binary data of the inputs")
    return found


def _raw_input(inputs: Sequence[TensorInfo], body: memoryview) -> Tensor:
    """The tensor of a body without JSON: that of a model with one input, one free dimension of which the size tells."""
    if len(inputs) != 1:
        raise BadRequestError(
            "Inference-Header-Content-Length is 0, which is for models with one input; "
            f"this one's metadata has {len(inputs)}"
        )
    name, datatype, shape = inputs[0].name, inputs[0].datatype, inputs[0].shape
    if datatype == BYTES:  # the whole body is the one element
        return of_element(name, bytes(body))
    known = check_head(name, datatype, [size for size in shape if size != -1]) * DTYPES[datatype].itemsize
    free = shape.count(-1)
    if free > 1 or not known or len(body) % known:
        raise BadRequestError(
            f"{len(body)} bytes without JSON do not tell the shape of input {shown(name)}, {datatype} {list(shape)}"
        )
    return from_bytes(name, datatype, [len(body) // known if size == -1 else size for size in shape], body)


def _outputs(outputs: Optional[List[WantedOutput]]) -> Optional[Tuple[Tuple[str, Optional[bool]], ...]]:
    if not outputs:
        return None
    _refuse_twice([each.name for each in outputs], "output")
    found = []
    for each in outputs:
        parameters = each.parameters or {}
        _refuse_unsupported(each.name, parameters)
        found.append((each.name, _flag(parameters, "binary_data")))
    return tuple(found)


def _is_column(each: InputTensor) -> bool:
    return (each.parameters or {}).get("content_type") == PANDAS


def _flag(parameters: Dict[str, Any], name: str) -> Optional[bool]:
    value = parameters.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadRequestError(f"parameter {name} must be true or false")
    return value


def _refuse_unsupported(name: str, parameters: Dict[str, Any]) -> None:
    for each in _UNSUPPORTED:
        if parameters.get(each):
            raise BadRequestError(f"tensor {shown(name)}: parameter {each} is not supported")


def _refuse_twice(names: Sequence[str], what: str) -> None:
    seen: Set[str] = set()
    for name in names:
        if name in seen:
            raise BadRequestError(f"{what} {shown(name)} is there twice")
        seen.add(name)
