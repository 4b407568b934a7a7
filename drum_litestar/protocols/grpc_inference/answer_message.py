"""The model's V2 answer, JSON and tensors, to ``ModelInferResponse``; other answers in JSON to their messages."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from drum_litestar.http.replies import UnusableReplyError
from drum_litestar.protocols.grpc_inference.protobuf_messages import inference
from drum_litestar.protocols.grpc_inference.typed_contents import fill_typed, has_typed_contents

HEADER_LENGTH: Final = "inference-header-content-length"

_INT64: Final = 1 << 63


def infer_message(body: bytes, head_size: int, raw: bool) -> bytes:
    """The bytes of :func:`infer_response`. Raises UnusableReplyError."""
    return bytes(infer_response(body, head_size, raw=raw).SerializeToString())


def infer_response(body: bytes, head_size: int, *, raw: bool) -> Any:
    """The message for a V2 answer of ``head_size`` bytes of JSON, followed by all tensors.

    ``raw``: the tensors go into ``raw_output_contents``, else into typed contents, unless a datatype has none. Raises
    UnusableReplyError for an answer whose parts do not fit together.
    """
    try:
        return _infer_response(body, head_size, raw=raw)
    except (KeyError, TypeError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise UnusableReplyError(f"it is no V2 answer with all tensors in binary: {error!r}") from error


def _infer_response(body: bytes, head_size: int, *, raw: bool) -> Any:
    answer = msgspec.json.decode(body[:head_size])
    message = inference().ModelInferResponse(
        model_name=answer["model_name"], model_version=answer.get("model_version") or "", id=answer.get("id") or ""
    )
    _set_values(message.parameters, answer.get("parameters") or {})
    raw = raw or not all(has_typed_contents(output["datatype"]) for output in answer["outputs"])
    data, position = memoryview(body), head_size
    for output in answer["outputs"]:
        parameters = output["parameters"]
        size = parameters.pop("binary_data_size")
        tensor = message.outputs.add(name=output["name"], datatype=output["datatype"], shape=output["shape"])
        _set_values(tensor.parameters, parameters)
        content = data[position : position + size]
        position += size
        if raw:
            message.raw_output_contents.append(bytes(content))
        else:
            fill_typed(tensor, content)
    if position != len(body):
        raise ValueError(f"{len(body)} bytes, {position} announced")
    return message


def _set_values(parameters: Any, values: dict[str, Any]) -> None:
    """Set ``parameters``; what a parameter cannot hold (lists, objects) is JSON in a string."""
    for name, value in values.items():
        if isinstance(value, bool):
            parameters[name].bool_param = value
        elif isinstance(value, int) and -_INT64 <= value < _INT64:
            parameters[name].int64_param = value
        elif isinstance(value, float):
            parameters[name].double_param = value
        else:
            parameters[name].string_param = value if isinstance(value, str) else msgspec.json.encode(value).decode()


def from_json(kind: str, answer: Any) -> Any:
    """The message ``kind`` with the fields of ``answer``, decoded JSON, that it has."""
    from google.protobuf import json_format

    return json_format.ParseDict(answer, getattr(inference(), kind)(), ignore_unknown_fields=True)
