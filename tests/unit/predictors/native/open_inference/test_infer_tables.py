"""Tables of V2 requests that are not the model's: other columns, very many of them, prompts that are none."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drum_litestar.errors import BadRequestError
from drum_litestar.predictors.native.open_inference.infer_request import InferRequest, read_request
from drum_litestar.predictors.native.open_inference.tensor_tables import Tables
from drum_litestar.predictors.native.open_inference.tensors import Tensor
from drum_litestar.predictors.protocol import ModelCall, TargetType
from native_serving import payload
from open_inference_requests import TEXT, Request, ask, fitted, request, tensor, values

pytest.importorskip("sklearn")


@pytest.fixture
def regression(serve_folder: Any) -> Any:
    return serve_folder({"model.pkl": fitted()}, model_name="reg")


MISFITS: dict[str, tuple[Request, str]] = {
    "a matrix": (request(tensor("x", [[1, 2, 3]])), "the model takes 2 columns ('a', 'b'), and input 'x' has 3"),
    "texts": (
        request(tensor("x", [["a"]], [1, 1], "BYTES"), tensor("y", [["a", "b"]], [1, 2], "BYTES")),
        "input 'y' of shape [1, 2] is no column",
    ),
    "columns": (request(*[tensor(name, [1]) for name in "stuvwxyz"]), "columns are missing: 'a', 'b'"),
    "more columns": (
        request(*[tensor(name, [1]) for name in "abstuvwxyz"]),
        "the model was not fitted with these columns: 's', 't', 'u', 'v', 'w' and 3 more",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_is_said_of_another_width(regression: Any, case: str) -> None:
    body, text = MISFITS[case]
    status, answer = ask(regression, body)
    assert status == 400
    assert text in answer["error"]


def test_a_very_wide_table(serve_folder: Any) -> None:
    """A model of another width refuses it before pandas has seen it; texts are made at once, missing ones too."""
    from sklearn.linear_model import LinearRegression

    predictor = serve_folder({"model.pkl": LinearRegression().fit(np.eye(7), range(7))})
    status, answer = ask(predictor, request(tensor("x", [0] * 1_000_000, [1, 1_000_000])))
    assert (status, answer["error"]) == (400, "the model takes 7 columns, and input 'x' has 1000000")
    wide = tensor("x", ["a", None, "b", "c", None, None, "NA", ""], [2, 4], "BYTES")
    table = Tables(()).table(read_request(ModelCall(kind="infer", body=payload(json.dumps(request(wide)))), ()))
    frame = table.frame()
    csv = pd.read_csv(io.StringIO("x1,x2,x3,x4\na,,b,c\n,,x,y\n"))
    assert frame.dtypes.tolist() == csv.dtypes.tolist()
    assert [["-" if pd.isna(cell) else cell for cell in row] for row in frame.to_numpy()] == [
        list("a-bc"),
        ["-", "-", "NA", ""],
    ]


@pytest.mark.parametrize("shape", [[0, 2**50], [2**50, 0], [0, 0], [0]])
@pytest.mark.parametrize("datatype", ["INT8", "BYTES"])
def test_an_empty_table_costs_nothing(shape: list[int], datatype: str) -> None:
    """Whatever its other dimension says: it is refused before data are read or columns made."""
    call = ModelCall(kind="infer", body=payload(json.dumps(request(tensor("x", [], shape, datatype)))))
    with pytest.raises(BadRequestError, match="tensor 'x': a shape of no elements: "):
        read_request(call, ())


def test_wide_tables_are_not_kept() -> None:
    """What clients make up must not fill the memory."""
    tables = Tables(())
    for width in (2, 3, 100_000):
        tables.table(InferRequest(None, (Tensor("x", "INT8", np.zeros((1, width), np.int8)),), False, None, False))
    assert sorted(map(len, tables._indexes)) == [2, 3]


TEXT_MISFITS: dict[str, tuple[Request, str]] = {
    "texts": (
        request(tensor("x", [["a", "b"]], [1, 2], "BYTES")),
        "the model takes 1 column ('promptText'), and input 'x' has 2",
    ),
    "numbers": (
        request(tensor("promptText", [[1, 2]])),
        "the model takes 1 column ('promptText'), and input 'promptText' has 2",
    ),
    "a number": (request(tensor("x", [1])), "input 'x' is BYTES, not FP64"),
    "a number among columns": (
        request(tensor("promptText", [1]), tensor("temperature", [1])), "input 'promptText' is BYTES, not FP64",
    ),
    "other columns": (
        request(*[tensor(name, ["x"], [1], "BYTES") for name in "ab"]), "columns are missing: 'promptText'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXT_MISFITS)
def test_what_is_no_prompt(serve_folder: Any, case: str) -> None:
    predictor = serve_folder({"custom.py": TEXT}, TargetType.TEXT_GENERATION, target_name="answer", model_name="llm")
    body, text = TEXT_MISFITS[case]
    assert ask(predictor, body) == (400, {"error": text})
    more = request(tensor("promptText", ["a"], [1], "BYTES"), tensor("temperature", [0.5]))
    assert values(ask(predictor, more)) == ["A0.5"]


def test_a_parameter_is_not_the_prompt(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": TEXT}, TargetType.TEXT_GENERATION, target_name="answer", model_name="llm")
    status, answer = ask(predictor, {"text_input": "a", "parameters": {"promptText": "b"}}, "generate")
    assert status == 400
    assert answer["error"] == "parameter 'promptText' is the prompt's column, which text_input fills"
