"""Requests of the Open Inference Protocol to loaded predictors, and a model and hooks that answer them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from drum_litestar.predictors.protocol import ModelCall, Reply
from native_serving import payload

Request = dict[str, Any]


TEXT = """
import pandas as pd

def load_model(code_dir):
    return 1

def score(data, model, **kwargs):
    extra = str(data["temperature"].iloc[0]) if "temperature" in data else ""
    return pd.DataFrame({"answer": data["promptText"].str.upper() + extra})
"""
"""Upper case, and the parameter ``temperature``."""


def fitted() -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [2.0, 1, 0, 5]}), [1, 2, 3, 5.0])


def tensor(name: str, data: Any, shape: list[int] | None = None, datatype: str = "FP64", **more: Any) -> Request:
    return {
        "name": name,
        "datatype": datatype,
        "shape": np.shape(data) if shape is None else shape,
        "data": data,
        **more,
    }


def request(*inputs: Request, **more: Any) -> Request:
    return {"inputs": list(inputs), **more}


def ask(predictor: Any, body: Any, kind: Any = "infer", **fields: Any) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = predictor.handle(ModelCall(kind=kind, body=payload(raw), **fields))
    assert isinstance(reply, Reply)
    return reply.status, json.loads(reply.body)


def binary(head: Any, *data: bytes) -> dict[str, Any]:
    raw = json.dumps(head).encode()
    return {"body": raw + b"".join(data), "json_size": len(raw)}


def values(answer: tuple[int, Any], output: int = 0) -> Any:
    assert answer[0] == 200, answer
    return answer[1]["outputs"][output]["data"]
