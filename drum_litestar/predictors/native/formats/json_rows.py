"""Rows in JSON as the CSV file that has the same cells. DRUM reads no JSON here; this is ours.

::

    [{"a": 1, "b": "x"}, {"a": 2}]                              rows; a key that a row lacks is an empty cell
    {"instances": [{"a": 1}, ...]}, {"data": [{"a": 1}, ...]}   the same
    {"columns": ["a", "b"], "data": [[1, "x"], [2, null]]}      pandas' orient "split"; "index" is ignored
    {"a": [1, 2], "b": ["x", null]}                             columns

A cell is a number, a text, true, false or null. It becomes what pandas' ``to_csv`` writes for it, a number the very
digits that were sent, so that types, missing values and the bits of each number are settled by the reader of CSV, and
the same rows get the same predictions in both formats. So a text of digits is a number, and ``"NA"`` is missing.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any, Dict, Iterable, List, Sequence

from drum_litestar.errors import UnprocessableError

_SPLIT = frozenset({"columns", "index", "data"})
_LISTS_OF_ROWS = ("instances", "data")
_NESTED = frozenset({dict, list})
_LONGEST_NAME = 60
"""Characters of a column's name in a message."""

_FORMS = (
    'send a list of objects, one for each row ([{"a": 1}, ...]), or {"columns": [...], "data": [[...], ...]}, or an '
    'object with a list for each column (pandas: orient="records" or orient="split")'
)

Rows = Iterable[Sequence[Any]]


def csv_of_json(body: bytes) -> bytes:
    """The CSV file for ``body``. Raises UnprocessableError, which names the place of what cannot be read."""
    try:
        value = json.loads(body, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:  # its texts have positions, and nothing of the body
        raise _refusal(f"not JSON: {error}") from None
    columns, rows = _table(value)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")  # older versions quote a line break only if it is in here
    try:
        writer.writerow(columns)
        writer.writerows(rows)
        return text.getvalue().encode()
    except UnicodeEncodeError:
        raise _refusal("not JSON: a text has half of a surrogate pair (\\ud800 to \\udfff)") from None


def _table(value: Any) -> tuple[Sequence[Any], Rows]:
    if isinstance(value, list):
        return _of_records(value)
    if not isinstance(value, dict) or not value:
        raise _refusal(f"{_kind(value)} has no rows; {_FORMS}")
    if "columns" in value and "data" in value and value.keys() <= _SPLIT:
        return _of_split(value["columns"], value["data"])
    if len(value) == 1:
        ((name, rows),) = value.items()
        if name in _LISTS_OF_ROWS and isinstance(rows, list) and rows and isinstance(rows[0], dict):
            return _of_records(rows)
    return _of_columns(value)


def _of_records(records: List[Any]) -> tuple[Sequence[Any], Rows]:
    names: Dict[str, None] = {}
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict):
            raise _refusal(f"row {number} is {_kind(record)}, not an object; {_FORMS}")
        if record.keys() != names.keys():
            names.update(dict.fromkeys(record))
    if not names:
        raise _refusal(f"there are no rows; {_FORMS}" if not records else "the rows have no columns")
    rows = [[record.get(name) for name in names] for record in records]
    return list(names), _checked(list(names), rows)


def _of_split(columns: Any, data: Any) -> tuple[Sequence[Any], Rows]:
    if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
        raise _refusal('"columns" must be a list of names')
    if not isinstance(data, list):
        raise _refusal(f'"data" must be a list of rows, not {_kind(data)}')
    for number, row in enumerate(data, 1):
        if not isinstance(row, list):
            raise _refusal(f'"data": row {number} is {_kind(row)}, not a list')
        if len(row) != len(columns):
            raise _refusal(f'"data": row {number} has {len(row)} cells for {len(columns)} columns')
    return columns, _checked(columns, data)


def _of_columns(columns: Dict[str, Any]) -> tuple[Sequence[Any], Rows]:
    for name, cells in columns.items():
        if not isinstance(cells, list):
            raise _refusal(f"column {_shown(name)} is {_kind(cells)}, not a list; {_FORMS}")
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        each = ", ".join(f"{_shown(name)} {len(cells)}" for name, cells in list(columns.items())[:5])
        raise _refusal(f"the columns have different numbers of cells: {each}{', ...' if len(columns) > 5 else ''}")
    return list(columns), _checked(list(columns), zip(*columns.values()))


def _checked(columns: Sequence[str], rows: Rows) -> Rows:
    for number, row in enumerate(rows, 1):
        if not _NESTED.isdisjoint(map(type, row)):
            name, cell = next((name, cell) for name, cell in zip(columns, row) if type(cell) in _NESTED)
            raise _refusal(
                f"row {number}, column {_shown(name)} is {_kind(cell)}; a cell is a number, a text, true, false or null"
            )
        yield row


def _kind(value: Any) -> str:
    """``value`` in JSON's words. Numbers have been read as texts."""
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return "a list"
    return "a number or text" if isinstance(value, str) else "null" if value is None else "true or false"


def _shown(name: str) -> str:
    return repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}...")


def _refusal(problem: str) -> UnprocessableError:
    return UnprocessableError(f"JSON rows cannot be read: {problem}")
