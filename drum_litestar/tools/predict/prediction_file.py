"""Where predictions go: standard output, a CSV file, a Parquet file, or the bytes that an unstructured model gives.

A file appears under its name when it is complete: until then it has another name, and it is removed if anything fails.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Protocol

from drum_litestar.errors import StartupError, UsageError
from drum_litestar.extras import require

PARQUET: Final = frozenset({".parquet", ".pq"})
CSV: Final = frozenset({".csv", ".txt", ""})
_FEATURE: Final = "--output with Parquet"


class PredictionWriter(Protocol):
    """Takes the rows in order."""

    def write(self, header: bytes, rows: bytes) -> None:
        """``header`` is that of the first rows. Raises OSError, and StartupError for rows of other types."""

    def close(self) -> None:
        """Nothing more will come."""


class OutputFile:
    """The file of ``--output`` while the ``with`` block runs, or standard output."""

    def __init__(self, name: str | None, *, table: bool) -> None:
        """``table``: rows are written, so that the ending of ``name`` says how. Raises UsageError and
        MissingExtraError."""
        self._path = None if name is None else Path(name)
        suffix = "" if self._path is None else self._path.suffix.lower()
        self.parquet = table and suffix in PARQUET
        if self.parquet:
            require("pyarrow", _FEATURE, "arrow")
        elif table and suffix not in CSV:
            raise UsageError(f"--output {name}: predictions are written as .csv or .parquet, not as {suffix}")
        self._part: Path | None = None
        self._stream: BinaryIO = sys.stdout.buffer

    def __enter__(self) -> BinaryIO:
        """Open it. Raises UsageError when it cannot be written."""
        if self._path is None:
            return self._stream
        try:
            target = self._path.resolve()
            if target.is_dir():
                raise UsageError(f"--output {self._path} is a directory: name a file in it")
            if target.exists() and not stat.S_ISREG(target.stat().st_mode):  # a device or a pipe
                self._stream = target.open("wb")
            else:
                if target.exists() and not os.access(target, os.W_OK):
                    raise UsageError(f"--output {self._path} cannot be written: Permission denied")
                self._part = target.with_name(f".{target.name}.{os.getpid()}.part")
                self._path = target
                self._stream = self._part.open("wb")
        except OSError as error:
            raise UsageError(f"--output {self._path} cannot be written: {error.strerror}") from error
        return self._stream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._path is None:
            self._stream.flush()
            return
        try:
            self._stream.close()
            if self._part is not None and self._path is not None and kind is None:
                self._part.replace(self._path)
        finally:
            if self._part is not None:
                self._part.unlink(missing_ok=True)


class CsvWriter:
    """Writes rows as they come."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._header: bytes | None = None

    def write(self, header: bytes, rows: bytes) -> None:
        if self._header is None:
            self._header = header
            self._stream.write(header)
        _require_same(self._header, header)
        self._stream.write(rows)

    def close(self) -> None:
        self._stream.flush()


class ParquetWriter:
    """Writes rows as one row group for each part. Types are those of the first part's values; a blank is null."""

    def __init__(self, stream: BinaryIO, *, numbers: Collection[str] = (), texts: Collection[str] = ()) -> None:
        """``numbers`` and ``texts``: columns of known types."""
        self._stream = stream
        self._numbers = numbers
        self._texts = texts
        self._header: bytes | None = None
        self._schema: Any = None
        self._writer: Any = None

    def write(self, header: bytes, rows: bytes) -> None:
        import pyarrow as pa
        from pyarrow import csv, parquet

        if self._schema is None:
            self._header = header
            types = {**dict.fromkeys(self._numbers, pa.float64()), **dict.fromkeys(self._texts, pa.string())}
        else:
            types = {field.name: field.type for field in self._schema}
        _require_same(self._header or b"", header)
        try:
            table = csv.read_csv(
                io.BytesIO(header + rows),
                read_options=csv.ReadOptions(block_size=max(1 << 20, len(header) + len(rows))),
                parse_options=csv.ParseOptions(newlines_in_values=True),
                convert_options=csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
            )
        except pa.ArrowInvalid as error:
            raise StartupError(
                f"the predictions cannot be written as Parquet: {' '.join(str(error).split())}. Write them as .csv, or "
                "score the file with --whole"
            ) from error
        if self._writer is None:
            self._schema = table.schema
            self._writer = parquet.ParquetWriter(self._stream, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _require_same(first: bytes, header: bytes) -> None:
    if header != first:
        raise StartupError(
            "the model gives other columns for some of the rows than for the first ones: score the file with --whole"
        )
