"""The answer of an inference, checked against the specification while it is read."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from drum_litestar.tools.conformance.http_target import HttpAnswer, parse_json
from drum_litestar.tools.conformance.tensor_values import Tensor, read_tensor
from drum_litestar.tools.conformance.verdicts import FailedCheck, require

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
BINARY_SIZE: Final = "binary_data_size"


class Inference(NamedTuple):
    """``fields``: the JSON object. ``outputs``: by name."""

    fields: dict[str, Any]
    outputs: dict[str, Tensor]

    def output(self, name: str) -> Tensor:
        """Raises FailedCheck: it is not there."""
        require(name in self.outputs, f"output {name!r} is missing, there is {', '.join(self.outputs) or 'none'}")
        return self.outputs[name]


def read_inference(answer: HttpAnswer) -> Inference:
    """Raises FailedCheck: no success, or not as the specification and the binary extension describe one."""
    require(answer.status == 200, f"refused: {answer}")
    length = answer.headers.get(HEADER_LENGTH.lower())
    if length is None:
        fields, data = parse_json(answer.body), b""
    else:
        require(length.isdecimal() and int(length) <= len(answer.body), f"{HEADER_LENGTH}: {length}")
        fields, data = parse_json(answer.body[: int(length)]), answer.body[int(length) :]
    require(isinstance(fields, dict), f"no object: {answer}")
    require(isinstance(fields.get("model_name"), str), "no model_name")
    for name in ("id", "model_version"):
        require(isinstance(fields.get(name) or "", str), f"{name} is no text: {fields.get(name)!r}")
    described = fields.get("outputs")
    if not isinstance(described, list):
        raise FailedCheck("outputs is no array")
    outputs = {}
    for each in described:
        size = _binary_size(each)
        require(size is None or length is not None, f"binary data without {HEADER_LENGTH}")
        require((size or 0) <= len(data), f"{BINARY_SIZE} {size} exceeds the body")
        tensor = read_tensor(each, None if size is None else data[:size])
        require(tensor.name not in outputs, f"output {tensor.name!r} twice")
        outputs[tensor.name] = tensor
        data = data[size or 0 :]
    require(not data, f"{len(data)} bytes that belong to no tensor")
    return Inference(fields, outputs)


def _binary_size(described: object) -> int | None:
    parameters = described.get("parameters") if isinstance(described, dict) else None
    size = parameters.get(BINARY_SIZE) if isinstance(parameters, dict) else None
    require(size is None or (type(size) is int and size >= 0), f"{BINARY_SIZE} is no size: {size!r}")
    return size
