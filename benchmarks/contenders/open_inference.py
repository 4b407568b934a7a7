"""A scenario's rows as requests of the Open Inference Protocol V2, for the servers that speak it.

Numbers are one tensor; mixed columns are a tensor each, as codecs for frames want them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.contenders.base import rows_of
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import Scenario

if TYPE_CHECKING:
    import pandas as pd

MODEL_NAME = "rows"
PATH = f"/v2/models/{MODEL_NAME}/infer"
HEAD_LENGTH = "Inference-Header-Content-Length"


class _Tensor(NamedTuple):
    name: str
    shape: list[int]
    datatype: str
    values: list[object]
    data: bytes
    """The values as the binary extension has them."""

    def described(self, parameters: dict[str, object], **data: object) -> dict[str, object]:
        if self.datatype == "BYTES":
            parameters = {"content_type": "str", **parameters}
        head = {"name": self.name, "shape": self.shape, "datatype": self.datatype}
        return {**head, "parameters": parameters, **data}


def v2_json(scenario: Scenario, output: str | None = None) -> PredictionRequest:
    """The tensors as JSON. ``output``: the one that is asked for with mixed columns."""
    bodies = []
    for frame in scenario.frames():
        inputs = [tensor.described({}, data=tensor.values) for tensor in _tensors(scenario, frame)]
        bodies.append(json.dumps(_request(scenario, inputs, output)).encode())
    return PredictionRequest(PATH, tuple(bodies), "application/json")


def v2_binary(scenario: Scenario, output: str | None = None) -> PredictionRequest:
    """The tensors behind the JSON, and asked for so. The JSON of all requests is filled up to one length, because they
    differ in their bodies only."""
    heads, blocks = [], []
    for frame in scenario.frames():
        tensors = list(_tensors(scenario, frame))
        inputs = [tensor.described({"binary_data_size": len(tensor.data)}) for tensor in tensors]
        request = _request(scenario, inputs, output)
        request["parameters"] = {**request.get("parameters", {}), "binary_data_output": True}
        heads.append(json.dumps(request).encode())
        blocks.append(b"".join([tensor.data for tensor in tensors]))
    length = max(map(len, heads))
    bodies = tuple(head.ljust(length) + block for head, block in zip(heads, blocks, strict=True))
    return PredictionRequest(PATH, bodies, "application/octet-stream", ((HEAD_LENGTH, str(length)),))


def _request(scenario: Scenario, inputs: list[dict[str, object]], output: str | None) -> dict[str, Any]:
    if scenario.model != "mixed":
        return {"inputs": inputs}
    wanted = {} if output is None else {"outputs": [{"name": output}]}
    return {"parameters": {"content_type": "pd"}, "inputs": inputs, **wanted}


def _tensors(scenario: Scenario, frame: pd.DataFrame) -> Iterator[_Tensor]:
    if scenario.model != "mixed":
        numbers = frame.to_numpy("<f8")
        yield _Tensor("predict", list(frame.shape), "FP64", numbers.ravel().tolist(), numbers.tobytes())
        return
    for name, values in zip(frame.columns, zip(*rows_of(frame), strict=True), strict=True):
        column = frame[name]
        if column.dtype.kind in "if":
            yield _Tensor(name, [len(frame), 1], "FP64", list(values), column.to_numpy("<f8").tobytes())
        else:
            texts = [b"" if value is None else str(value).encode() for value in values]
            data = b"".join([len(text).to_bytes(4, "little") + text for text in texts])
            yield _Tensor(name, [len(frame), 1], "BYTES", list(values), data)
