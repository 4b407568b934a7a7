"""Answers as an Arrow stream, for a client that prefers it to JSON. DRUM has no such answer; this is ours.

The columns are those of the answer as CSV. Numbers have all their digits, where JSON has ten decimals, and no value is
null; those of the extra output have the types of its frame. A column whose values have no type in common becomes texts:
what the JSON answer has in each place.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, List, Sequence

from drum_litestar.predictors.native.formats import pandas_json

if TYPE_CHECKING:
    import pandas as pd


def of_columns(names: Sequence[str], values: Sequence[Any], extra: pd.DataFrame | None) -> bytes:
    """``values``: one array or Series for each name, of equal lengths. Those of ``extra`` follow; where the numbers of
    rows differ, nulls fill."""
    columns = [_column(each) for each in values]
    labels = list(names)
    if extra is not None:
        columns += [_column(extra.iloc[:, place]) for place in range(extra.shape[1])]
        labels += [str(name) for name in extra.columns]
    return _stream(labels, columns)


def of_frame(frame: pd.DataFrame) -> bytes:
    """The columns of ``frame``, without its index."""
    return of_columns((), (), frame)


def _column(values: Any) -> Any:
    import pyarrow as pa

    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        cells = json.loads(pandas_json.encode_values(values))
        array = pa.array([None if cell is None else _text(cell) for cell in cells], pa.string())
    return array if isinstance(array, pa.Array) else array.combine_chunks()


def _text(cell: Any) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell)


def _stream(names: List[str], columns: List[Any]) -> bytes:
    import pyarrow as pa

    rows = max(map(len, columns), default=0)
    full = [
        column
        if len(column) == rows
        else pa.chunked_array([column, pa.nulls(rows - len(column), column.type)]).combine_chunks()
        for column in columns
    ]
    batch = pa.RecordBatch.from_arrays(full, names=names)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()
