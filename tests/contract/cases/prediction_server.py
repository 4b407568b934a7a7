"""Deployment-config answers in the prediction server's JSON (contract, 3.7; section 8, Q-10)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.cases import Case, Check, error, error_like, told
from support.data import csv_of, table
from support.wire import Answer, csv
from support.zoo.artifacts import expected_values

FRAME = table(4, seed=31)
SEND = csv(csv_of(FRAME))


def rows(build: Callable[[Any], dict[str, Any]]) -> Check:
    """Every row as ``build`` makes it from the model's own output, compared at full precision and in key order."""

    def check(answer: Answer, path: Path) -> None:
        found = answer.json()
        expected = []
        for number, output in enumerate(expected_values(path, FRAME)):
            row = build(output)
            threshold = row.pop("predictionThreshold", None)
            extra = {} if threshold is None else {"predictionThreshold": threshold}
            expected.append(
                {"prediction": row["prediction"], "predictionValues": row["values"], **extra, "rowId": number}
            )
        assert answer.body.decode() == json.dumps(found)
        assert [list(row) for row in found["data"]] == [list(row) for row in expected]
        for left, right in zip(found["data"], expected, strict=True):
            assert left["prediction"] == (
                pytest.approx(right["prediction"], rel=1e-12)
                if isinstance(right["prediction"], float)
                else right["prediction"]
            )
            assert [value["label"] for value in left["predictionValues"]] == [
                v["label"] for v in right["predictionValues"]
            ]
            assert [value["value"] for value in left["predictionValues"]] == pytest.approx(
                [value["value"] for value in right["predictionValues"]], rel=1e-9
            )
            assert left.get("predictionThreshold") == right.get("predictionThreshold")

    return check


def single(label: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {"prediction": value, "values": [{"label": label, "value": value}]}


def binary(output: Any) -> dict[str, Any]:
    p = float(output[1])
    return {
        "prediction": "yes" if p > 0.25 else "no",
        "values": [{"label": "yes", "value": p}, {"label": "no", "value": 1 - p}],
        "predictionThreshold": 0.25,
    }


def multiclass(output: Any) -> dict[str, Any]:
    scores = dict(zip("abc", map(float, output), strict=True))
    values = [{"label": label, "value": scores[label]} for label in ("a", "b", "c")]
    return {"prediction": max("abc", key=scores.__getitem__), "values": values}


def multilabel(output: Any) -> dict[str, Any]:
    scores = dict(zip("012", map(float, output), strict=True))
    values = [{"label": label, "value": score} for label, score in scores.items()]
    return {
        "prediction": [label for label, score in scores.items() if score > 0.6],
        "values": values,
        "predictionThreshold": 0.6,
    }


def data(*rows: str) -> bytes:
    return ('{"data": [' + ", ".join(rows) + "]}").encode()


def value(number: str, label: str = "target", row: int = 0, extra: str = "") -> str:
    return (
        f'{{"prediction": {number}, "predictionValues": [{{"label": "{label}", "value": {number}}}], '
        f'"rowId": {row}{extra}}}'
    )


CASES = {
    "prediction_server_regression": [
        Case("predict", SEND, body=rows(single('Grüße/"x"')), headers={"content-type": "application/json"}),
    ],
    "prediction_server_anomaly": [Case("predict", SEND, body=rows(single("Anomaly Score")))],
    "prediction_server_binary": [Case("predict", SEND, body=rows(binary))],
    "prediction_server_multiclass": [Case("predict", SEND, body=rows(multiclass))],
    "prediction_server_multilabel": [Case("predict", SEND, body=rows(multilabel))],
    "prediction_server_no_mapping": [Case("predict", SEND, 500, error("'class_mapping'"))],
    "prediction_server_text": [
        Case("text", told("pd.DataFrame({'completion': ['é/']})"), body=data(value('"\\u00e9/"', "completion"))),
        Case("float", told("pd.DataFrame({'completion': [1.5]})"), body=data(value("1.5", "completion"))),
        Case("integer", told("pd.DataFrame({'completion': [3]})"), 500,
             error("Object of type int64 is not JSON serializable")),
    ],
    "prediction_server_hooks": [
        Case("full precision", told("pd.DataFrame({'p': [1/3, 1e-12]})"),
             body=data(value("0.3333333333333333"), value("1e-12", row=1))),
        Case("no rows", told("pd.DataFrame({'p': []})"), body=b'{"data": []}'),
        Case("extra output", told("pd.DataFrame({'Predictions': [1.0], 'e': [0]})"),
             body=data(value("1.0", extra=', "extraModelOutput": {"e": 0}'))),
        Case("dates in extra output", told("pd.DataFrame({'Predictions': [1.0], 'e': pd.to_datetime(['2024-01-02'])})"),
             500, error("Object of type Timestamp is not JSON serializable")),
        Case("not a number", told("pd.DataFrame({'p': [np.nan]})"), body=data(value("null")), differs="Q-10"),
        Case("infinite", told("pd.DataFrame({'p': [np.inf]})"), body=data(value("null")), differs="Q-10"),
        Case("raises", told("fail(ValueError('x'))"), 500,
             error("Model 'score' hook failed to make predictions. Exception: ValueError('x')")),
        Case("fails when empty", csv(b""), 422, error_like("ERROR: Samples should be provided as:.*")),
    ],
    "prediction_server_hooks_binary": [
        Case("at the threshold", told("pd.DataFrame({'yes': [0.25], 'no': [0.75]})"),
             body=data('{"prediction": "no", "predictionValues": [{"label": "yes", "value": 0.25}, '
                       '{"label": "no", "value": 0.75}], "predictionThreshold": 0.25, "rowId": 0}')),
        Case("the other value is computed", told("pd.DataFrame({'no': [0.1], 'yes': [0.9]})"),
             body=data('{"prediction": "yes", "predictionValues": [{"label": "yes", "value": 0.9}, '
                       '{"label": "no", "value": 0.09999999999999998}], "predictionThreshold": 0.25, "rowId": 0}')),
    ],
    "prediction_server_hooks_multilabel": [
        Case("in mapping order", told("pd.DataFrame({'a': [0.9], 'b': [0.5], 'c': [0.6]})"),
             body=data('{"prediction": ["c", "a"], "predictionValues": [{"label": "b", "value": 0.5}, '
                       '{"label": "c", "value": 0.6}, {"label": "a", "value": 0.9}], "predictionThreshold": 0.5, '
                       '"rowId": 0}')),
    ],
}  # fmt: skip
