"""Answers as CSV have the cells of the JSON answer."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest

from drum_litestar.media_types import CSV
from drum_litestar.predictors.native.formats import pandas_json, predictions_csv
from drum_litestar.predictors.protocol import TargetType
from native_serving import csv_call

CODE = """
import datetime
import numpy as np
import pandas as pd
def load_model(code_dir): return 1
def score(data, model, **kwargs): return eval(data["do"].iloc[0], {**globals(), **locals()})
"""


def both(predictor: Any, expression: str, rows: int = 2) -> tuple[Any, list[list[str]]]:
    """The JSON answer and the CSV answer."""
    cell = '"' + expression.replace('"', '""') + '"'
    body = "do\n" + f"{cell}\n" * rows
    plain, file = predictor.handle(csv_call(body)), predictor.handle(csv_call(body, answer=CSV))
    assert (plain.status, plain.content_type) == (200, "application/json"), plain.body
    assert (file.status, file.content_type) == (200, "text/csv; charset=utf-8"), file.body
    return json.loads(plain.body, parse_float=str), list(csv.reader(io.StringIO(file.body.decode(), newline="")))


def test_one_number_a_row(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": CODE})
    answer, file = both(predictor, "pd.DataFrame({'Predictions': [1/3, 1e-7, 1.5e16, -0.0]})")
    assert file == [["Predictions"], *([number] for number in answer["predictions"])]
    assert both(predictor, "pd.DataFrame({'Predictions': [np.nan, 1]})")[1] == [["Predictions"], [""], ["1.0"]]
    assert both(predictor, "pd.DataFrame({'Predictions': np.zeros(0)})")[1] == [["Predictions"]]


def test_class_labels_and_extra_output(serve_folder: Any) -> None:
    predictor = serve_folder(
        {"custom.py": CODE}, TargetType.BINARY, positive_class_label="ye,s", negative_class_label="no"
    )
    answer, file = both(predictor, "pd.DataFrame({'no': [0.25, 1/3], 'ye,s': [0.75, 2/3]})")
    assert file == [["no", "ye,s"], *([row["no"], row["ye,s"]] for row in answer["predictions"])]
    _, file = both(
        predictor,
        "pd.DataFrame({'ye,s': [1.0, 0.0], 'no': [0.0, 1.0], 'n': [1, 2], 't': ['é\\n', None], 'b': [True, False], "
        "'l': [[1.5, 'x'], {'k': None}], 'd': pd.to_datetime(['2024-01-02', None])})",
    )
    assert file == [
        ["ye,s", "no", "n", "t", "b", "l", "d"],
        ["1.0", "0.0", "1", "é\n", "true", '[1.5, "x"]', "1704153600000"],
        ["0.0", "1.0", "2", "", "false", '{"k": null}', ""],
    ]


def test_texts(serve_folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET_NAME", "answer")
    predictor = serve_folder({"custom.py": CODE}, TargetType.TEXT_GENERATION)
    _, file = both(predictor, "pd.DataFrame({'answer': ['a \"b\", c', None], 'n': [0.1, 2]})")
    assert file == [["Predictions", "n"], ['a "b", c', "0.1"], ["", "2.0"]]


def test_another_number_of_predictions_than_of_extra_output() -> None:
    import pandas as pd

    extra = pd.DataFrame({"n": [1, 2]})
    assert predictions_csv.of_numbers(["Predictions"], "[0.5]", extra) == b"Predictions,n\n0.5,1\n,2\n"
    assert predictions_csv.of_numbers(["a", "b"], pandas_json.encode_floats(np.array([0.5] * 6)), extra) == (
        b"a,b,n\n0.5,0.5,1\n0.5,0.5,2\n0.5,0.5,\n"
    )


def test_a_batch_leaves_it_to_its_own_call(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": CODE})
    body = "do\n\"pd.DataFrame({'Predictions': [1.0] * len(data)})\"\n"
    replies = predictor.handle_batch([csv_call(body), csv_call(body, answer=CSV), csv_call(body)])
    plain = b'{"predictions":[1.0]}'
    assert [reply.body for reply in replies] == [plain, b"Predictions\n1.0\n", plain]
