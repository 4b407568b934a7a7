"""One switch turns all shortcuts off, none changes a byte, and a model that fails runs once."""

from __future__ import annotations

import json
import logging
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from drum_litestar.predictors.native import startup
from drum_litestar.predictors.native.calls import batch, structured
from drum_litestar.predictors.native.formats import pandas_json
from drum_litestar.predictors.native.native_predictor import NativePredictor
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec
from native_serving import csv_call, summary

FRAME = pd.DataFrame(np.random.default_rng(5).normal(size=(30, 2)), columns=["a", "b"])
TARGET = FRAME["a"] * 2 - FRAME["b"]
LABELS = np.where(TARGET > 0, "yes", "no")
BINARY: dict[str, Any] = {"positive_class_label": "yes", "negative_class_label": "no"}
CALLS: list[str] = []


def weights(distances: Any) -> Any:
    """A user's function in a model, which fails far from home."""
    CALLS.append("weights")
    if distances.min() > 100:
        raise ValueError("too far for 'you'")
    return np.ones_like(distances)


def test_all_are_named_in_the_log_and_none_without_the_switch(serve_folder: Any) -> None:
    files = {"model.pkl": Ridge().fit(FRAME, TARGET)}
    names = "pandas' CSV parser, scikit-learn without frames, numbers by pandas' encoder, merged CSV"
    assert described(serve_folder(files)).endswith(f"; shortcuts: {names}")


def test_without_the_switch_none_is_taken(serve_folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: Any, **__: Any) -> Any:
        raise AssertionError("a shortcut was taken")

    for module, name in (
        (startup, "csv_parser"),
        (batch, "merge_csv"),
        (structured, "direct_model"),
        (structured, "merged_model"),
        (pandas_json, "encode_floats"),
    ):
        monkeypatch.setattr(module, name, taken)
    predictor = serve_folder({"model.pkl": Ridge().fit(FRAME, TARGET)}, shortcuts=False)
    assert described(predictor).endswith("; shortcuts: none, as DRUM_SHORTCUTS is false")
    assert not predictor.batching
    assert predictor.handle_batch([csv_call("a,b\n1,2\n")] * 2) is None
    assert predictor.handle(csv_call("a,b\n1,2\n")).status == 200


def described(predictor: Any) -> str:
    text: str = predictor.load().description
    return text


BODIES = [
    "a,b\n1,2\n",
    "a,b\n1.5,2\n-0.1,3\n",
    "a,b\n1000,2\n",
    "a,b\n1e300,2\n",
    "a,b\n,2\n",
    "a,b\ninf,2\n",
    "a,b\n1e39,2\n",
    "a,b\n",
    "b,a\n1,2\n",
    "a\n1\n",
    "a,b,c\n1,2,3\n",
    "a,b\nx,2\n",
    "a,b\n1,2,3\n4,5\n",
    'a,b\n"1.5","2"\n',
    '"a",b\r\n1.5,2\r\n-3.5,1e-320',
    "a,b\n0.30318120937394877,-1234567.8912345678\n",
    "a,b\n18446744073709551615,1\n",
    "a,b\nTrue,False\n",
    "a,b\nTrue,\n",
    "a,b\n1.5,2\n\n2.5,3\n",
    "a,b\n\n",
    "a,b\r1.5,2\r",
    'a,b\n"1.5,2\n',
    "\ufeffa,b\n1.5,2\n",
    "é,☃\n1.5,2\n",
]
MIXED = pd.DataFrame({"a": FRAME["a"], "b": FRAME["b"].where(FRAME["b"] < 1), "c": np.where(TARGET > 1, "x", "y, z")})
MIXED_BODIES = [
    "a,b,c\n1.5,2.5,x\n",
    'a,b,c\n1.5,,"y, z"\n-0.25,3.5,x\n',
    'd,c,b,a\n"two\nlines","x",0.5,1\n',
    "a,b,c\n1,2,unknown\n",
    "a,b,c\n1.5,2.5,\n",
    "a,b,c\n,,\n",
    "a,b,c\n1.5,x,2.5\n",
    "a,b\n1.5,2.5\n",
]
COLUMNS = ColumnTransformer(
    [
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["a", "b"]),
        ("words", OneHotEncoder(handle_unknown="ignore"), ["c"]),
    ]
)


class Case(NamedTuple):
    model: Any
    frame: pd.DataFrame
    target: Any
    bodies: list[str]
    labels: dict[str, Any]


CASES = {
    "ridge": Case(Ridge(), FRAME, TARGET, BODIES, {}),
    "tree": Case(DecisionTreeRegressor(max_depth=3), FRAME, TARGET, BODIES, {}),
    "labels": Case(LogisticRegression(), FRAME, LABELS, BODIES, BINARY),
    "failing": Case(KNeighborsRegressor(weights=weights), FRAME, TARGET, BODIES, {}),
    "pipeline": Case(make_pipeline(COLUMNS, LogisticRegression()), MIXED, LABELS, MIXED_BODIES, BINARY),
}
"""Models, what they are fitted on, and requests."""


@pytest.mark.parametrize("name", CASES)
def test_answers_are_the_same_bytes_and_a_model_runs_once(name: str, make_folder: Any) -> None:
    """Of single calls; and of batches, in which it may run once for several."""
    model, frame, target, bodies, labels = CASES[name]
    folder = make_folder({"model.pkl": model.fit(frame, target)})
    target_type = TargetType.BINARY if labels else TargetType.REGRESSION
    answers: dict[bool, list[tuple[Any, int]]] = {}
    for shortcuts in (True, False):
        predictor = NativePredictor(
            PredictorSpec(code_dir=str(folder), target_type=target_type, shortcuts=shortcuts, **labels)
        )
        predictor.load()
        answers[shortcuts] = []
        for body in bodies:
            CALLS.clear()
            reply = predictor.handle(csv_call(body))
            answers[shortcuts].append((summary(reply), len(CALLS)))
        if shortcuts:
            batched = predictor.handle_batch([csv_call(body) for body in bodies * 2])
        predictor.close()
    for (ours, runs), (plain, plain_runs), body in zip(answers[True], answers[False], bodies, strict=True):
        assert ours == plain, body
        assert runs == plain_runs <= 1, body
    assert (batched is None) == (name == "failing")
    if batched is not None:
        assert [summary(reply) for reply in batched] == [plain for plain, _ in answers[False]] * 2


def test_what_a_model_raises_past_the_checks_is_answered_at_once(serve_folder: Any) -> None:
    model = KNeighborsRegressor(weights=weights).fit(FRAME, TARGET)
    predictor = serve_folder({"model.pkl": model})
    assert "scikit-learn without frames" in described(predictor)
    CALLS.clear()
    reply = predictor.handle(csv_call("a,b\n1000,2\n"))
    assert (reply.status, CALLS) == (500, ["weights"])
    text = "ERROR: Failure when making predictions. Exception: ValueError(\"too far for 'you'\")"
    assert json.loads(reply.body) == {"message": text}


SOME_FAIL = """
import pandas as pd
def load_model(code_dir): return []
def score(data, model, **kwargs):
    model.append(list(data.columns) + list(data.iloc[:, 0]))
    if "b" in data and 4 in list(data.b):
        raise ValueError("four")
    return pd.DataFrame({"Predictions": data.iloc[:, 0]})
"""


def test_of_batched_calls_only_those_that_failed_run_again(serve_folder: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "drum")
    predictor = serve_folder({"custom.py": SOME_FAIL})
    calls = [csv_call(body) for body in ("a\n1\n", "b\n3\n", "a\n2\n", "b\n4\n")]
    replies = predictor.handle_batch(calls)
    assert [reply.status for reply in replies] == [200, 200, 200, 500]
    assert predictor._loaded.model == [["a", 1, 2], ["b", 3, 4], ["b", 3], ["b", 4]]
    assert "2 batched calls failed and are run singly" in caplog.messages[0]
    assert [reply.body for reply in replies] == [predictor.handle(call).body for call in calls]
