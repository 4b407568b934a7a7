"""Predictions as pandas' JSON, with the bytes that DRUM's ``DataFrame.to_json`` writes (contract, 3.3 and 3.6).

Numbers are encoded by pandas, because ``repr`` and ``%`` do not round as it does (10 decimals, in binary arithmetic).
The text around the numbers is built here: for the small frames of online predictions that is an order of magnitude
faster than ``DataFrame.to_json``. Tests compare the bytes of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, cast

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRECISION = 10

FloatEncoder = Callable[["NDArray[np.float64]"], str]


def _to_json(values: Any, orient: str) -> str:
    text: str = values.to_json(orient=orient, double_precision=PRECISION)
    return text


def series_encoder(values: NDArray[np.float64]) -> str:
    """A 1-D float64 array as a JSON array, by pandas' public way."""
    return _to_json(pd.Series(values), "values")


def _float_encoder() -> FloatEncoder:
    """pandas' C encoder without a Series around it: 8 times faster for one row.

    It is not public. If a version of pandas lacks it or it writes other bytes, the public encoder is used.
    """
    try:
        from pandas.io.json import _json

        dumps: Any = getattr(_json, "ujson_dumps", None) or _json.dumps  # type: ignore[attr-defined]
        sample = np.array([1.0, 1 / 3, np.nan, -np.inf, 1e-7, 1.5e16, -0.0])
        if dumps(sample, double_precision=PRECISION) == series_encoder(sample):
            return lambda values: cast("str", dumps(values, double_precision=PRECISION))
    except Exception:  # any failure of the private encoder: use the public one
        pass
    return series_encoder


encode_floats = _float_encoder()
"""As :func:`series_encoder`, quicker where it can be."""


def encode_values(column: pd.Series[Any]) -> str:
    """A column as a JSON array of texts, numbers, nested lists and objects (contract, 3.3)."""
    return _to_json(_epochs(column), "values")


def single_column(predictions: str, extra: pd.DataFrame | None) -> bytes:
    """The answer of regression, anomaly and text targets; ``predictions`` is their JSON array."""
    return _answer(predictions, extra)


def by_label(
    values: NDArray[np.float64],
    labels: Sequence[str],
    extra: pd.DataFrame | None = None,
    *,
    encode: FloatEncoder = encode_floats,
) -> bytes:
    """The answer of classification: one object for each row of ``values``, keys in ``labels``' order."""
    if len(values) == 0:
        return _answer("[]", extra)
    row = _row_template(tuple(labels))
    numbers = encode(np.ascontiguousarray(values).ravel())[1:-1].split(",")
    return _answer("[" + ",".join([row] * len(values)) % tuple(numbers) + "]", extra)


@lru_cache(maxsize=64)
def _row_template(labels: tuple[str, ...]) -> str:
    """One row with ``%s`` for each number. pandas escapes the labels, for instance ``/`` as ``\\/``."""
    keys = (_to_json(pd.Series([label], dtype=object), "values")[1:-1] for label in labels)
    return "{" + ",".join(key.replace("%", "%%") + ":%s" for key in keys) + "}"


def _answer(predictions: str, extra: pd.DataFrame | None) -> bytes:
    if extra is None:
        return f'{{"predictions":{predictions}}}'.encode("ascii")
    split = _split(extra)
    return f'{{"predictions":{predictions},"extraModelOutput":{split}}}'.encode("ascii")


def _split(extra: pd.DataFrame) -> str:
    frame: Any = extra.copy(deep=False)
    for position, dtype in enumerate(extra.dtypes):
        if dtype.kind in "mM":
            frame.isetitem(position, _epochs(frame.iloc[:, position]))
    frame.index = _epoch_axis(frame.index)
    frame.columns = _epoch_axis(frame.columns)
    return _to_json(frame, "split")


def _epoch_axis(axis: pd.Index[Any]) -> pd.Index[Any]:
    return pd.Index(_epochs(axis.to_series()), dtype=object) if axis.dtype.kind in "mM" else axis


def _epochs(column: pd.Series[Any]) -> pd.Series[Any]:
    """Dates and durations as whole milliseconds. Converted here, because newer versions of pandas write texts."""
    if column.dtype.kind not in "mM":
        return column
    moments = column.to_numpy(dtype="datetime64[ms]" if column.dtype.kind == "M" else "timedelta64[ms]").view("int64")
    missing = column.isna()
    numbers = [None if absent else int(moment) for moment, absent in zip(moments, missing)]
    return pd.Series(numbers, index=column.index, dtype=object)
