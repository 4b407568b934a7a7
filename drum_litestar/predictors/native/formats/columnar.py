"""Arrow and Parquet bodies, read by pyarrow within bounds. DRUM reads none of them here; this is ours.

The frame is the one that ``to_pandas`` makes of the table, but for its index: rows are numbered from 0, as those of a
CSV file. A body is untrusted: what pyarrow does not check by itself is checked before a value is looked at, and a table
may not be larger than a body. Only columns of plain values are read: nested ones have no place in a CSV, either.
"""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, Callable, Dict, Final, List, Sequence, Tuple

import numpy as np
import pandas as pd

from drum_litestar.errors import BodyTooLargeError, MissingExtraError, UnprocessableError, shown
from drum_litestar.media_types import (
    ARROW_FILE,
    ARROW_STREAM,
    COLUMNAR,
    OLD_ARROW_STREAM,
    PARQUET,
    columnar_type,
)
from drum_litestar.pip_command import install
from drum_litestar.predictors.native.formats.arrow_messages import MOST_COLUMNS, DamagedError, decompressed_size
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvTable

if TYPE_CHECKING:
    from drum_litestar.predictors.protocol import Payload

OLDEST: Final = (14, 0, 1)
"""Older versions of pyarrow may run code that a body brings (CVE-2023-47248)."""
_FILE_HEAD: Final = 8
"""Bytes before the stream that an Arrow file holds."""
_FILE_END: Final = b"ARROW1"
_ROWS: Final = 65_536
"""Most rows of a Parquet file that are decoded before their size is looked at."""
_LONGEST_TEXT: Final = 200
"""Characters of another library's text in a message."""
_NAMES: Final = {ARROW_STREAM: "an Arrow stream", ARROW_FILE: "an Arrow file", PARQUET: "a Parquet file"}


def pyarrow_problem() -> str:
    """Why columnar bodies cannot be read here, with the command that helps; empty where they can.

    Imports pyarrow: pandas has done so already where it is installed.
    """
    try:
        import pyarrow
    except ImportError:
        return str(MissingExtraError("A body in Arrow or Parquet", "arrow", "pyarrow"))
    if _release(pyarrow.__version__) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return (
            f"A body in Arrow or Parquet needs pyarrow {oldest} or later; {pyarrow.__version__} is installed. "
            f"Install it with: {install(shlex.quote(f'pyarrow>={oldest}'))}"
        )
    return ""


def _release(version: str) -> Any:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


class ColumnarReader:
    """Reads columnar bodies of at most ``largest`` bytes, decompressed too. Safe to call from several threads."""

    def __init__(self, largest: int | None) -> None:
        """``largest``: None for no limit."""
        self._largest = sys.maxsize if largest is None else largest
        self.problem = pyarrow_problem()
        """Why no body can be read; empty where they can."""

    @property
    def version(self) -> str:
        """The version of pyarrow."""
        import pyarrow

        return str(pyarrow.__version__)

    @property
    def types(self) -> Tuple[str, ...]:
        """The media types that are read."""
        return () if self.problem else COLUMNAR

    def frame(self, payload: Payload, mimetype: str) -> pd.DataFrame:
        """The rows of ``payload``, whose columnar type is ``mimetype``, in any case. A spool file is mapped, not read.

        Raises UnprocessableError for what cannot be read, and BodyTooLargeError for too large a table.
        """
        frame: pd.DataFrame = self._read(payload, mimetype, _frame)
        return frame

    def rows(self, payload: Payload, mimetype: str) -> CsvTable | pd.DataFrame:
        """As :meth:`frame`; if all columns are numbers that pandas would not change, the columns alone."""
        rows: CsvTable | pd.DataFrame = self._read(payload, mimetype, lambda table: _numbers(table) or _frame(table))
        return rows

    def _read(self, payload: Payload, mimetype: str, convert: Callable[[Any], Any]) -> Any:
        import pyarrow as pa

        wanted = mimetype.lower()
        wanted = ARROW_STREAM if wanted == OLD_ARROW_STREAM else wanted
        try:
            buffer = _buffer(payload, pa)
            found = columnar_type(bytes(buffer[:_FILE_HEAD]))
            if found != wanted:
                raise DamagedError(
                    f"it begins like {_NAMES[found]}; send that as {found}" if found else "it does not begin like one"
                )
            is_file = wanted == ARROW_FILE
            return convert(self._parquet(buffer, pa) if wanted == PARQUET else self._arrow(buffer, pa, is_file=is_file))
        except (BodyTooLargeError, MemoryError):
            raise
        except Exception as error:  # pyarrow raises errors of many kinds, and what it calls of pandas any
            text = " ".join(str(error).split())
            raise UnprocessableError(
                f"{_NAMES[wanted][0].upper()}{_NAMES[wanted][1:]} cannot be read: {text[:_LONGEST_TEXT]}"
            ) from error

    def _check_size(self, size: int) -> None:
        if size > self._largest:
            raise BodyTooLargeError(self._largest, table=True)

    def _arrow(self, buffer: Any, pa: Any, *, is_file: bool) -> Any:
        """The file's stream is read, not its list of batches, which may name a batch many times."""
        if is_file:
            if bytes(buffer[-len(_FILE_END) :]) != _FILE_END:
                raise DamagedError("it is damaged, or ends too early")
            buffer = buffer[_FILE_HEAD:]
        self._check_size(decompressed_size(memoryview(buffer)))
        with pa.ipc.open_stream(buffer) as reader:
            _check_schema(reader.schema, pa)
            table = reader.read_all()
        table.validate(full=True)
        self._check_size(_cells(*table.shape))
        for place, field in enumerate(table.schema):
            if _is_view(field.type):
                views, size = _checked_views(table.column(place), pa)
                self._check_size(size)
                table = table.set_column(place, field, views)
        return table

    def _parquet(self, buffer: Any, pa: Any) -> Any:
        """Texts are decoded to dictionaries first: a dictionary of one long text is small, its rows may not be."""
        from pyarrow import parquet

        limits = {"thrift_container_size_limit": MOST_COLUMNS, "thrift_string_size_limit": len(buffer) + 1}
        file = parquet.ParquetFile(pa.BufferReader(buffer), **limits)
        schema, metadata = file.schema_arrow, file.metadata
        _check_schema(schema, pa)
        sizes = (metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
        self._check_size(max(sum(sizes), _cells(metadata.num_rows, len(schema))))
        texts = [place for place, field in enumerate(schema) if _is_text(field.type, pa)]
        whole = _not_by_dictionary(metadata, texts)
        names = [schema.field(place).name for place in texts if place not in whole]
        file = parquet.ParquetFile(pa.BufferReader(buffer), metadata=metadata, read_dictionary=names, **limits)
        largest_row = max(16 * len(schema), *whole.values(), 1)
        rows = max(1, min(_ROWS, self._largest // largest_row))
        batches, size = [], 0
        for batch in file.iter_batches(batch_size=rows, use_threads=False):
            size += batch.nbytes + sum(_length_of_references(batch.column(name)) for name in names)
            self._check_size(size)
            batches.append(batch)
        if not batches:
            return schema.empty_table()
        table = pa.Table.from_batches(batches)
        columns = [column.cast(field.type) for column, field in zip(table.columns, schema)]
        table = pa.Table.from_arrays(columns, schema=schema)
        table.validate(full=True)  # texts are UTF-8
        return table


def _not_by_dictionary(metadata: Any, texts: Sequence[int]) -> Dict[int, int]:
    """Columns of ``texts`` that pyarrow cannot decode to dictionaries, with a bound of the bytes of a text in each: it
    may have the beginning in common with all before it."""
    found: Dict[int, int] = {}
    for group in range(metadata.num_row_groups):
        for place in texts:
            chunk = metadata.row_group(group).column(place)
            if any(encoding.startswith("DELTA") for encoding in chunk.encodings):
                found[place] = max(found.get(place, 1), chunk.total_uncompressed_size)
    return found


def _buffer(payload: Payload, pa: Any) -> Any:
    if payload.data is not None:
        return pa.py_buffer(payload.data)
    with pa.memory_map(payload.path, "r") as file:
        return file.read_buffer()


def _check_schema(schema: Any, pa: Any) -> None:
    names: List[str] = schema.names
    if not names:
        raise DamagedError("it has no columns")
    if len(set(names)) < len(names):
        repeated = next(name for number, name in enumerate(names) if name in names[:number])
        raise DamagedError(f"it has two columns {shown(repeated)}")
    for field in schema:
        if not _is_plain(field.type, pa):
            raise DamagedError(f"column {shown(field.name)} is of type {shown(str(field.type))}, which is not read")


def _is_plain(kind: Any, pa: Any) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return not types.is_dictionary(kind.value_type) and _is_plain(kind.value_type, pa)
    if types.is_primitive(kind):
        return not types.is_interval(kind)
    return bool(types.is_null(kind) or types.is_decimal(kind) or _is_text(kind, pa) or _is_view(kind))


def _is_text(kind: Any, pa: Any) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
    )


def _is_view(kind: Any) -> bool:
    return str(kind) in ("string_view", "binary_view")


def _cells(rows: int, columns: int) -> int:
    """The least size that counts for a table: a byte for each cell, as in a CSV file. Some types have smaller cells,
    but not in a frame."""
    return rows * columns


def _checked_views(column: Any, pa: Any) -> Tuple[Any, int]:
    """A column of views without what lies behind its nulls, and the bytes of its texts, which may be the same bytes.
    pyarrow follows the views of nulls too, but does not check them (seen in 26.0)."""
    chunks, size = [], 0
    for views in column.chunks:
        present = views.is_valid().to_numpy(zero_copy_only=False)
        _, places, *texts = views.buffers()
        start = 16 * views.offset
        numbers = np.frombuffer(places, "<i4", 4 * len(views), start).reshape(-1, 4) * present[:, None].astype(np.int32)
        size += int(numbers[:, 0].sum(dtype=np.int64))
        cleaned = [pa.array(present).buffers()[1], pa.py_buffer(numbers.tobytes()), *texts]
        chunks.append(pa.Array.from_buffers(column.type, len(views), cleaned))
    return pa.chunked_array(chunks, column.type), size


def _length_of_references(texts: Any) -> int:
    """Bytes of the texts that a dictionary array stands for."""
    from pyarrow import compute

    found = compute.sum(compute.binary_length(texts.dictionary).take(texts.indices)).as_py()
    return found or 0


def _numbers(table: Any) -> CsvTable | None:
    """The columns of a table whose frame has the same columns; None for one that ``to_pandas`` must convert."""
    if not len(table) or not _keeps_columns(table.schema.pandas_metadata or {}):
        return None
    for column in table.columns:
        kind = str(column.type)
        if kind not in ("double", "int64") or (kind == "int64" and column.null_count):
            return None
    return CsvTable(pd.Index(table.column_names), [column.to_numpy() for column in table.columns])


def _keeps_columns(notes: Dict[str, Any]) -> bool:
    """pandas, which has written ``notes`` into the schema, would make no index and no other types of the columns."""
    return (
        all(isinstance(index, dict) for index in notes.get("index_columns", ()))
        and all(index.get("pandas_type") == "unicode" for index in notes.get("column_indexes", ()))
        and all(column.get("numpy_type") in ("float64", "int64") for column in notes.get("columns", ()))
    )


def _frame(table: Any) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(use_threads=False)
    frame.index = pd.RangeIndex(len(frame))
    alone = Counter(frame.dtypes)
    for place, dtype in enumerate(frame.dtypes):
        # the only column of its type, or one of pandas' own types, may be the memory of the body, which is read-only
        if dtype.kind != "O" and (alone[dtype] == 1 or not isinstance(dtype, np.dtype)):
            frame.isetitem(place, frame.iloc[:, place].copy())
    return frame
