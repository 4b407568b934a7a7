"""Predictions as CSV, for a client that prefers it to JSON. DRUM has no such answer; this is ours.

One line for each row below the names of the columns: the class labels or ``Predictions``, then those of the extra
output. A cell has what the JSON answer has in that place: a number the same digits, null nothing, a list or an object
its JSON.
"""

from __future__ import annotations

import csv
import io
import json
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Iterable, List, Sequence

from drum_litestar.predictors.native.formats import pandas_json

if TYPE_CHECKING:
    import pandas as pd

MEDIA_TYPE = "text/csv; charset=utf-8"

Row = Sequence[str]


def of_numbers(columns: Sequence[str], numbers: str, extra: pd.DataFrame | None) -> bytes:
    """``numbers``: all values, row by row, as a JSON array of numbers and nulls."""
    cells = numbers[1:-1].replace("null", "").split(",") if numbers != "[]" else []
    return _file(columns, list(zip(*[iter(cells)] * len(columns))), extra)


def of_values(column: str, values: str, extra: pd.DataFrame | None) -> bytes:
    """``values``: the only column, as a JSON array."""
    return _file([column], [[cell] for cell in _cells(values)], extra)


def _file(columns: Sequence[str], rows: Iterable[Row], extra: pd.DataFrame | None) -> bytes:
    names = list(columns)
    if extra is not None:
        further = [_cells(pandas_json.encode_values(extra.iloc[:, place])) for place in range(extra.shape[1])]
        names += [str(name) for name in extra.columns]
        # post_process may have changed the number of predictions
        no_row, no_more = [""] * len(columns), [""] * len(further)
        rows = [[*(row or no_row), *(more or no_more)] for row, more in zip_longest(rows, zip(*further))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue().encode(errors="replace")


def _cells(values: str) -> List[str]:
    digits = json.loads(values, parse_float=str, parse_int=str)  # those of the JSON answer
    return [_cell(value, text) for value, text in zip(json.loads(values), digits)]


def _cell(value: Any, text: Any) -> str:
    if value is None:
        return ""
    return str(text) if isinstance(text, str) else json.dumps(value)
