"""The ModelCard of loaded models."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from drum_litestar.predictors.protocol import ModelCall, TargetType
from native_serving import csv_call, payload

SCORE = "def load_model(d): return 1\ndef score(data, model, **kw): return data\n"
TEXT = (
    SCORE + "async def chat(params, model): return []\nasync def score_unstructured(model, data, **kw): return data\n"
)


def load(serve_folder: Any, *args: Any, **fields: Any) -> Any:
    return serve_folder(*args, **fields).load()


def test_binary_card(serve_folder: Any) -> None:
    card = load(
        serve_folder, {"custom.py": SCORE}, TargetType.BINARY, positive_class_label="yes", negative_class_label="no"
    )
    assert card.info["positiveClassLabel"] == "yes"
    assert card.info["negativeClassLabel"] == "no"
    assert card.info["targetType"] == "binary"
    assert card.info["predictor"] is None
    assert card.info["modelMetadata"] is None
    assert (card.batching, card.chat, card.models, card.unstructured, card.concurrency) == (
        "on_request",
        False,
        False,
        False,
        1,
    )
    assert card.hooks == ("load_model", "score")


@pytest.mark.parametrize("target", [TargetType.MULTICLASS, TargetType.MULTILABEL])
def test_class_labels_in_info(serve_folder: Any, target: TargetType) -> None:
    card = load(serve_folder, {"custom.py": SCORE}, target, class_labels=("b", "a"))
    assert card.info["classLabels"] == ["b", "a"]


def test_text_generation_card(serve_folder: Any) -> None:
    card = load(serve_folder, {"custom.py": TEXT}, TargetType.TEXT_GENERATION, target_name="t")  # score is synchronous
    assert (card.chat, card.models, card.unstructured, card.concurrency) == (True, True, True, 8)
    assert card.batching == "never"


def test_read_input_data_takes_any_format(serve_folder: Any) -> None:
    code = SCORE + "def read_input_data(data): return data\n"
    card = load(serve_folder, {"custom.py": code})
    assert card.any_format
    assert card.batching == "never"


def test_unstructured_on_text_generation(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": TEXT}, TargetType.TEXT_GENERATION, target_name="t")
    call = ModelCall(kind="unstructured", body=payload("héllo", mimetype="text/plain"))
    assert predictor.handle(call).body == "héllo".encode()


def test_single_output_switch(serve_folder: Any) -> None:
    xgboost = pytest.importorskip("xgboost")
    matrix = xgboost.DMatrix(np.array([[0.0], [1.0]]), label=[0, 1], feature_names=["a"])
    model = xgboost.train({"objective": "binary:logistic"}, matrix, 1)
    labels = {"positive_class_label": "p", "negative_class_label": "n"}
    predictor = serve_folder({"model.pkl": model}, TargetType.BINARY, single_output_is="positive", **labels)
    switched = json.loads(predictor.handle(csv_call("a\n1\n")).body)["predictions"][0]
    predictor._loaded.spec = type(predictor._spec)(code_dir="", **labels)
    default = json.loads(predictor.handle(csv_call("a\n1\n")).body)["predictions"][0]
    assert list(switched) == list(default) == ["p", "n"]
    assert (switched["p"], switched["n"]) == (default["n"], default["p"])


def test_async_hooks(serve_folder: Any) -> None:
    code = """
import asyncio
async def load_model(d): return 2
async def transform(data, model):
    await asyncio.sleep(0)
    return data * model
async def score(data, model, **kw):
    await asyncio.sleep(0)
    return data
async def post_process(frame, model):
    return frame + 1
"""
    predictor = serve_folder({"custom.py": code})
    assert predictor.handle(csv_call("a\n1\n2\n")).body == b'{"predictions":[3.0,5.0]}'


def test_probes_answer(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": SCORE})
    assert predictor.handle(ModelCall(kind="liveness")).body == b'{"message":"OK"}\n'
    assert predictor.handle(ModelCall(kind="readiness")).status == 200


def test_closing_twice(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": SCORE})
    predictor.close()
    predictor.close()
    assert predictor.handle(csv_call("a\n1\n")).status == 503
