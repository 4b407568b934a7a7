"""Merged V2 calls: the same bytes as single ones, errors of a member its own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from drum_litestar.predictors.native.native_predictor import NativePredictor
from drum_litestar.predictors.protocol import ModelCall, Reply, TargetType
from drum_litestar.predictors.spec import PredictorSpec
from native_serving import payload, summary
from support.zoo import Zoo, installed, known_folders

MODELS = ["regression", "binary", "multiclass", "mixed", "xgb_pipeline"]
LABELS: dict[str, dict[str, Any]] = {
    "binary": {"positive_class_label": "yes", "negative_class_label": "no"},
    "mixed": {"positive_class_label": "yes", "negative_class_label": "no"},
    "multiclass": {"class_labels": ("c", "a", "b")},
}


def serve(zoo: Zoo, name: str) -> NativePredictor:
    folder, path = zoo[name]
    if not installed(*folder.needs):
        pytest.skip(f"needs {', '.join(folder.needs)}")
    spec = PredictorSpec(code_dir=str(path), target_type=TargetType(folder.target_type), **LABELS.get(name, {}))
    predictor = NativePredictor(spec)
    predictor.load()
    return predictor


def call_of(predictor: NativePredictor, rng: np.random.Generator, rows: int, *, binary: bool = False) -> ModelCall:
    """Columns as the model's metadata has them."""
    assert predictor._card is not None
    inputs, data = [], []
    for each in predictor._card.inference.inputs:
        head: dict[str, Any] = {"name": each.name, "datatype": each.datatype, "shape": [rows]}
        column: Any = rng.normal(size=rows) if each.datatype == "FP64" else rng.choice(["male", "S"], size=rows)
        if binary and each.datatype == "FP64":
            head["parameters"] = {"binary_data_size": 8 * rows}
            data.append(column.tobytes())
        else:
            head["data"] = column.tolist()
        inputs.append(head)
    raw = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": binary}}).encode()
    return ModelCall(kind="infer", body=payload(raw + b"".join(data)), json_size=len(raw) if binary else None)


@pytest.mark.parametrize("name", MODELS)
def test_the_bytes_of_single_calls(zoo: Zoo, name: str) -> None:
    assert name in known_folders()
    predictor = serve(zoo, name)
    rng = np.random.default_rng(7)
    for sizes in ([1] * 8, [1, 3, 2, 7]):
        calls = [call_of(predictor, rng, rows, binary=number % 2 == 1) for number, rows in enumerate(sizes)]
        replies = predictor.handle_batch(calls)
        assert replies is not None
        for call, reply in zip(calls, replies, strict=True):
            assert summary(reply) == summary(predictor.handle(call))
            assert reply.status == 200
    predictor.close()


def test_members_that_cannot_be_merged_are_answered_alone(zoo: Zoo) -> None:
    predictor = serve(zoo, "regression")
    rng = np.random.default_rng(1)
    good = [call_of(predictor, rng, 1) for _ in range(3)]
    broken = ModelCall(kind="infer", body=payload("{}"))
    unknown = json.loads(good[0].body.read()) | {"outputs": [{"name": "y"}]}  # type: ignore[union-attr]
    asked = ModelCall(kind="infer", body=payload(json.dumps(unknown)))
    replies = predictor.handle_batch([good[0], broken, *good[1:]])
    assert replies is not None
    assert [reply.status for reply in replies] == [200, 400, 200, 200]
    assert list(map(summary, replies[2:])) == [summary(predictor.handle(call)) for call in good[1:]]
    answers: list[Reply] | None = predictor.handle_batch([asked, *good])
    assert answers is None or [reply.status for reply in answers] == [400, 200, 200, 200]
    predictor.close()


def test_calls_of_hooks_are_not_merged(serve_folder: Any) -> None:
    hook = "def load_model(d):\n    return 1\n\ndef score(data, model, **kwargs):\n    return data[['a']]\n"
    predictor = serve_folder({"custom.py": hook})
    body = '{"inputs":[{"name":"a","datatype":"FP64","shape":[1],"data":[1]}]}'
    assert predictor.handle_batch([ModelCall(kind="infer", body=payload(body))] * 2) is None
