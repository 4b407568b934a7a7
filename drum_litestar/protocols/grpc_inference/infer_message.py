"""``ModelInferRequest`` to the body of a V2 request: JSON, then the tensors' bytes (the binary extension)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from drum_litestar.errors import BadRequestError, shown
from drum_litestar.predictors.protocol import MOST_INPUTS
from drum_litestar.protocols.grpc_inference.protobuf_messages import inference
from drum_litestar.protocols.grpc_inference.typed_contents import check_size, raw_size, to_raw

_VALUE: Final = "parameter_choice"


def parse(kind: str, data: bytes) -> Any:
    """The message ``data`` of the protocol's type ``kind``. Raises BadRequestError."""
    from google.protobuf.message import DecodeError

    try:
        return getattr(inference(), kind).FromString(data)
    except DecodeError as error:
        raise BadRequestError(f"this is no {kind}: {error}") from None


def v2_body(message: Any, limit: int) -> tuple[bytes, list[bytes]]:
    """JSON and tensors of the V2 request that ``message`` is. All outputs are asked for as bytes.

    Raises BadRequestError, and BodyTooLargeError for tensors of more than ``limit`` bytes together. Shapes and sizes of
    raw tensors are not looked at: the model's worker does.
    """
    if len(message.inputs) > MOST_INPUTS:
        raise BadRequestError(f"the message has {len(message.inputs)} inputs, more than {MOST_INPUTS}")
    tensors = _raw(message) if message.raw_input_contents else _typed(message, limit)
    head: dict[str, Any] = {
        "parameters": {**_values(message.parameters), "binary_data_output": True},
        "inputs": [
            {
                "name": tensor.name,
                "shape": list(tensor.shape),
                "datatype": tensor.datatype,
                "parameters": {**_values(tensor.parameters), "binary_data_size": len(data)},
            }
            for tensor, data in zip(message.inputs, tensors, strict=True)
        ],
    }
    if message.id:
        head["id"] = message.id
    if message.outputs:
        head["outputs"] = [
            {"name": output.name, "parameters": {**_values(output.parameters), "binary_data": True}}
            for output in message.outputs
        ]
    return msgspec.json.encode(head), tensors


def _raw(message: Any) -> list[bytes]:
    raw = list(message.raw_input_contents)
    if len(raw) != len(message.inputs):
        raise BadRequestError(f"raw_input_contents has {len(raw)} tensors for {len(message.inputs)} inputs")
    for tensor in message.inputs:
        if tensor.HasField("contents"):
            raise BadRequestError(f"input {shown(tensor.name)} has contents beside raw_input_contents")
    return raw


def _typed(message: Any, limit: int) -> list[bytes]:
    check_size([raw_size(tensor) for tensor in message.inputs], limit)
    return [to_raw(tensor) for tensor in message.inputs]


def _values(parameters: Any) -> dict[str, Any]:
    """Parameters as JSON has them; one without a value is left out."""
    found = {}
    for name, parameter in parameters.items():
        field = parameter.WhichOneof(_VALUE)
        if field is not None:
            found[name] = getattr(parameter, field)
    return found
