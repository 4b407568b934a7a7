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
from typing import Any, Callable, Dict, Iterable, Iterator, List, Sequence

import msgspec

from drum_litestar.errors import UnprocessableError, shown

_SPLIT = frozenset({"columns", "index", "data"})
_LISTS_OF_ROWS = ("instances", "data")
_TEXTS = frozenset({str})
_VALUES = frozenset({str, int, bool, type(None)})
_LINE_END = "\r\n"
_FORMS = (
    'send a list of objects, one for each row ([{"a": 1}, ...]), or {"columns": [...], "data": [[...], ...]}, or an '
    'object with a list for each column (pandas: orient="records" or orient="split")'
)

Rows = Iterable[Sequence[Any]]


def _standard(body: bytes) -> Any:
    return json.loads(body, parse_float=str, parse_int=str, parse_constant=str)


def _decoder() -> Callable[[bytes], Any]:
    try:
        return msgspec.json.Decoder(float_hook=str).decode
    except TypeError:  # before msgspec 0.18
        return _standard


_decode = _decoder()


def csv_of_json(body: bytes) -> bytes:
    """The CSV file for ``body``. Raises UnprocessableError, which names the place of what cannot be read."""
    columns, rows = _table(_parsed(body))
    try:
        return _file([list(map(str, columns)), *_cells(columns, rows)]).encode()
    except UnicodeEncodeError:
        raise _refusal("not JSON: a text has half of a surrogate pair (\\ud800 to \\udfff)") from None


def _parsed(body: bytes) -> Any:
    """The value of ``body``. Numbers with a fraction or an exponent are the texts that were sent."""
    try:
        return _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # the decoder of the standard library is slower, but reads NaN, and says where a text is wrong
    try:
        return _standard(body)
    except (ValueError, RecursionError) as error:  # its texts hold nothing of the body
        raise _refusal(f"not JSON: {error}") from None


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
    return list(names), [tuple(map(record.get, names)) for record in records]


def _of_split(columns: Any, data: Any) -> tuple[Sequence[Any], Rows]:
    if not isinstance(columns, list) or not columns or not all(type(name) in (str, int) for name in columns):
        raise _refusal('"columns" must be a list of names')
    if not isinstance(data, list):
        raise _refusal(f'"data" must be a list of rows, not {_kind(data)}')
    for number, row in enumerate(data, 1):
        if not isinstance(row, list):
            raise _refusal(f'"data": row {number} is {_kind(row)}, not a list')
        if len(row) != len(columns):
            raise _refusal(f'"data": row {number} has {len(row)} cells for {len(columns)} columns')
    return columns, data


def _of_columns(columns: Dict[str, Any]) -> tuple[Sequence[Any], Rows]:
    for name, cells in columns.items():
        if not isinstance(cells, list):
            raise _refusal(f"column {shown(name)} is {_kind(cells)}, not a list; {_FORMS}")
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        each = ", ".join(f"{shown(name)} {len(cells)}" for name, cells in list(columns.items())[:5])
        raise _refusal(f"the columns have different numbers of cells: {each}{', ...' if len(columns) > 5 else ''}")
    return list(columns), zip(*columns.values())


def _cells(columns: Sequence[Any], rows: Rows) -> Iterator[Sequence[str]]:
    """The rows as texts."""
    for number, row in enumerate(rows, 1):
        kinds = set(map(type, row))
        if kinds == _TEXTS:
            yield row
        elif kinds <= _VALUES:
            yield ["" if cell is None else str(cell) for cell in row]
        else:
            name, cell = next((name, cell) for name, cell in zip(columns, row) if type(cell) not in _VALUES)
            raise _refusal(
                f"row {number}, column {shown(str(name))} is {_kind(cell)}; "
                "a cell is a number, a text, true, false or null"
            )


def _file(lines: List[Sequence[str]]) -> str:
    text = _LINE_END.join(map(",".join, lines))
    ends, width = len(lines) - 1, len(lines[0])
    separators = (text.count(","), text.count("\r"), text.count("\n"), text.count('"'))
    if width > 1 and separators == ((width - 1) * len(lines), ends, ends, 0):
        return text + _LINE_END  # no cell needs quotes, nor is a line empty
    quoted = io.StringIO()
    # older versions quote a line break only if it is in the line's end
    csv.writer(quoted, lineterminator=_LINE_END).writerows(lines)
    return quoted.getvalue()


def _kind(value: Any) -> str:
    """``value`` in JSON's words. Some numbers have been read as texts."""
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true or false"
    return "null" if value is None else "a number or text"


def _refusal(problem: str) -> UnprocessableError:
    return UnprocessableError(f"JSON rows cannot be read: {problem}")
