"""pandas' JSON: the same bytes as ``DataFrame.to_json``."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from drum_litestar.predictors.native.formats import pandas_json

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True, width=64)
FLOATS = hnp.arrays(np.float64, st.integers(0, 30), elements=st.one_of(ANY_FLOAT, st.floats(-2, 2)))
MATRICES = hnp.arrays(np.float64, st.tuples(st.integers(1, 12), st.just(3)), elements=ANY_FLOAT)
LABELS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    min_size=3,
    max_size=3,
    unique=True,
)


@given(FLOATS)
@settings(deadline=None)
def test_an_array_is_written_as_pandas_writes_a_column(values: np.ndarray) -> None:
    assert pandas_json.encode_floats(values) == pd.Series(values).to_json(orient="values", double_precision=10)


@given(MATRICES, LABELS)
@settings(deadline=None)
def test_rows_by_label_are_written_as_pandas_writes_records(values: np.ndarray, labels: list[str]) -> None:
    frame = pd.DataFrame(values, columns=labels)
    expected = '{"predictions":' + frame.to_json(orient="records", double_precision=10) + "}"
    assert pandas_json.by_label(values, labels) == expected.encode("ascii")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (3.0, "3.0"),
        (1 / 3, "0.3333333333"),
        (1.00000000015, "1.0000000002"),
        (0.1 + 0.2, "0.3"),
        (1e-5, "0.00001"),
        (5e-11, "0.0000000001"),
        (4.9e-11, "0.0"),
        (-0.0, "0.0"),
        (-1e-12, "-0.0"),
        (123456789012.123456789, "123456789012.1234588623"),
        (1e16, "10000000000000000.0"),
        (1.5e16, "1.5e+16"),
        (1e300, "1e+300"),
        (math.nan, "null"),
        (-math.inf, "null"),
    ],
)
def test_number_format_of_the_contract(number: float, text: str) -> None:
    assert pandas_json.encode_floats(np.array([number])) == f"[{text}]"


def test_the_public_encoder_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fallback for a pandas without the private encoder writes the same bytes."""
    from pandas.io.json import _json

    values = np.array([1 / 3, 1e-7, np.nan, 1e22])
    fast = pandas_json.encode_floats(values)
    name = "ujson_dumps" if hasattr(_json, "ujson_dumps") else "dumps"
    real = getattr(_json, name)

    def changed(item: object, **options: object) -> str:
        return str(real(item, **options)) if "orient" in options else "[0]"

    monkeypatch.setattr(_json, name, changed)
    assert pandas_json._float_encoder() is pandas_json.series_encoder
    assert pandas_json.series_encoder(values) == fast


def test_rows_of_a_transposed_matrix_keep_their_order() -> None:
    values = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]).T
    assert json.loads(pandas_json.by_label(values, ["a", "b", "c"])) == {
        "predictions": [{"a": 0.1, "b": 0.3, "c": 0.5}, {"a": 0.2, "b": 0.4, "c": 0.6}]
    }


def test_no_rows() -> None:
    assert pandas_json.by_label(np.empty((0, 2)), ["a", "b"]) == b'{"predictions":[]}'


def test_dates_in_extra_output_are_epoch_milliseconds() -> None:
    day = pd.to_datetime(pd.Index(["2024-01-02", None]))
    zoned = pd.to_datetime(pd.Index(["2024-01-02T00:00:00+02:00", None]), utc=False)
    extra = pd.DataFrame(
        {
            "day": day,
            "zoned": zoned.tz_convert("Europe/Berlin"),
            "lapse": pd.to_timedelta(["1s", None]),
            "before": pd.to_datetime(pd.Index(["1969-12-31T23:59:59.999", None])),
        },
        index=day,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        body = json.loads(pandas_json.single_column("[]", extra))
    assert body["extraModelOutput"]["index"] == [1704153600000, None]
    assert body["extraModelOutput"]["data"] == [[1704153600000, 1704146400000, 1000, -1], [None] * 4]
    assert extra["day"].dtype.kind == "M", "the hook's own frame is left alone"


def test_text_targets_keep_their_values() -> None:
    column = pd.Series(["a/b", 3, None, {"k": [1.5]}, True], dtype=object)
    assert pandas_json.encode_values(column) == '["a\\/b",3,null,{"k":[1.5]},true]'
