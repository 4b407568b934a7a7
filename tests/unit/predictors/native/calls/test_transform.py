"""Intended differences from DRUM in transforms (contract, Q-18)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pandas as pd
import pytest

from drum_litestar.predictors.native.formats.type_schema import OutputSchema, SchemaValidationError, column_types
from drum_litestar.predictors.protocol import ModelCall, TargetType
from native_serving import payload

IDENTITY = "def load_model(d): return 1\ndef transform(data, model, y=None): return data\n"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()


def violations(frame: pd.DataFrame, *requirements: tuple[str, str, Any], is_sparse: bool = False) -> list[str]:
    entries = [{"field": field, "condition": condition, "value": value} for field, condition, value in requirements]
    schema = OutputSchema.from_metadata({"typeSchema": {"output_requirements": entries}})
    try:
        schema.check(frame, is_sparse=is_sparse)
    except SchemaValidationError as error:
        return [line for line in str(error).split("\n ", 1)[1].strip("[]").split("', '") if line]
    return []


def types(**columns: Any) -> set[str]:
    return column_types(pd.DataFrame(columns), is_sparse=False)


def test_column_types() -> None:
    assert types(a=[1, 2]) == types(a=[1.5, None]) == types(a=[True, False]) == {"NUM"}
    assert types(a=["x", "y"]) == {"CAT"}
    assert types(a=["some words", "more words"]) == {"CAT", "TXT"}
    assert types(a=[PNG, None]) == {"IMG"}
    assert types(a=[PNG, "nothing of the kind"]) == {"CAT"}
    assert types(a=["iVBORw0K*GgoAAAA" * 2]) == {"CAT"}
    assert types(a=pd.to_datetime(["2024-01-02"])) == {"DATE"}
    assert types(a=pd.Categorical(["x"])) == set()


def test_a_text_frame_is_not_numeric() -> None:
    frame = pd.DataFrame({"a": ["x", "y"]})
    assert violations(frame, ("data_types", "EQUALS", "NUM"))
    assert not violations(frame, ("data_types", "NOT_EQUALS", "NUM"))
    assert not violations(frame, ("data_types", "EQUALS", "TXT"))


def test_booleans_are_numeric() -> None:
    frame = pd.DataFrame({"a": [True, False]})
    assert not violations(frame, ("data_types", "EQUALS", "NUM"))
    assert violations(frame, ("data_types", "IN", ["CAT", "DATE"]))


def test_integers_count_as_categories() -> None:
    assert not violations(pd.DataFrame({"a": [1.0, None]}), ("data_types", "EQUALS", "CAT"))
    assert violations(pd.DataFrame({"a": [1.5, None]}), ("data_types", "EQUALS", "CAT"))


def test_no_requirements() -> None:
    OutputSchema.from_metadata(None).check(pd.DataFrame({"a": ["x"]}), is_sparse=False)


@pytest.mark.parametrize(("client_errors_4xx", "status"), [(False, 500), (True, 422)])
def test_target_rows_must_match(serve_folder: Any, client_errors_4xx: bool, status: int) -> None:
    predictor = serve_folder({"custom.py": IDENTITY}, TargetType.TRANSFORM, client_errors_4xx=client_errors_4xx)
    good = ModelCall(kind="transform", x=payload("a\n1\n", filename="x"), y=payload("t\n1\n", filename="y"))
    bad = ModelCall(kind="transform", x=payload("a\n1\n", filename="x"), y=payload("t\n1\n2\n", filename="y"))
    assert predictor.handle(good).status == 200
    reply = predictor.handle(bad)
    assert reply.status == status
    assert json.loads(reply.body) == {
        "message": "ERROR: Target data has a different number of rows than transformed data"
    }


def test_sparse_output_without_scipy(serve_folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import pandas as pd
def load_model(d): return 1
def transform(data, model): return pd.DataFrame({"a": pd.arrays.SparseArray([0, 1])})
"""
    predictor = serve_folder({"custom.py": code}, TargetType.TRANSFORM)
    monkeypatch.setitem(__import__("sys").modules, "scipy.io", None)
    reply = predictor.handle(ModelCall(kind="transform", x=payload("a\n1\n2\n", mimetype="text/csv")))
    assert reply.status == 501
    assert "pip install scipy" in json.loads(reply.body)["message"]
