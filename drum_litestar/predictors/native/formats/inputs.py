"""Reading the data of structured calls (contract, 3.5 and 4.9)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from drum_litestar.errors import MissingExtraError, MissingExtraRequestError, UnprocessableError
from drum_litestar.media_types import CSV, JSON, URLENCODED, columnar_type, is_columnar
from drum_litestar.predictors.native.formats.columnar import ColumnarReader
from drum_litestar.predictors.native.formats.json_rows import csv_of_json
from drum_litestar.predictors.native.hooks.user_errors import run_stage
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvParser, CsvTable, has_blank_line
from drum_litestar.predictors.protocol import GZIP_MAGIC, SPARSE_TYPE, STRUCTURED_TYPES, Payload
from drum_litestar.predictors.rules import NO_DATA, accepts, unsupported_format

if TYPE_CHECKING:
    from drum_litestar.predictors.native.hooks.custom_module import Hooks
    from drum_litestar.predictors.protocol import ModelCall

MTX = SPARSE_TYPE
COLUMNAR_NAMES = frozenset({".arrow", ".arrows", ".feather", ".parquet", ".pq"})
_MAGIC_SIZE = 8
GZIP_HINT = "the body begins like gzip; send Content-Encoding: gzip"


class ClientDataError(Exception):
    """The client's data cannot be used. DRUM answers 500; the operator may choose 422 (contract, section 8, Q-8).

    ``remedy`` is for the log.
    """

    def __init__(self, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.remedy = remedy


class StructuredInput(NamedTuple):
    """The data of a structured call, with the facts about it that DRUM passes to ``score``. Rows in JSON have become
    CSV, for hooks too."""

    payload: Payload
    mimetype: str | None
    """None for a CSV file part, ``""`` for a raw body without a type."""
    charset: str | None
    colnames: list[str] | None
    """From ``X.colnames``; None when the part is absent."""
    column_types: Mapping[str, str] = {}
    """As :attr:`ModelCall.column_types`."""
    columnar: ColumnarReader | None = None
    """The reader, if ``mimetype`` is columnar."""


def structured_input(call: ModelCall, *, any_format: bool, columnar: ColumnarReader | None = None) -> StructuredInput:
    """The data of ``call``. Raises UnprocessableError when it is missing or of another format, with DRUM's texts, or
    when it is JSON without rows; MissingReaderError for a columnar format without its package.

    ``any_format``: a ``read_input_data`` hook takes every format, as it was sent. ``columnar``: None where such bodies
    are never read.
    """
    payload = call.x if call.x is not None else call.body
    if payload is None:
        raise UnprocessableError(NO_DATA)
    reader = None if any_format else columnar
    mimetype = _mimetype(payload, reader)
    if payload.filename is None and (is_empty(payload) or mimetype == URLENCODED):
        raise UnprocessableError(NO_DATA)
    check_format(mimetype, any_format=any_format, columnar=reader)
    if mimetype is not None and mimetype.lower() == JSON and not any_format:
        rows = csv_of_json(payload.read())
        payload, mimetype = Payload(data=rows, size=len(rows), mimetype=CSV, charset=payload.charset), CSV
    colnames = None if call.colnames is None else _column_names(call.colnames)
    reader = reader if is_columnar(mimetype) else None
    return StructuredInput(payload, mimetype, payload.charset, colnames, call.column_types, reader)


def csv_input(table: CsvTable) -> StructuredInput:
    """``table`` as a client sends it in CSV."""
    data = table.frame().to_csv(index=False).encode()
    return StructuredInput(Payload(data=data, size=len(data), mimetype=CSV), CSV, None, None)


def is_empty(payload: Payload) -> bool:
    """The payload has no bytes."""
    return payload.size == 0 and not payload.data


def check_format(
    mimetype: str | None, *, any_format: bool, sparse: bool = True, columnar: ColumnarReader | None = None
) -> None:
    """Check that the readers or a hook read ``mimetype``. Raises UnprocessableError, or MissingReaderError for a
    columnar type without its package.

    ``sparse``: the readers read Matrix Market.
    """
    accepted = (*STRUCTURED_TYPES, *((SPARSE_TYPE,) if sparse else ()), *(columnar.types if columnar else ()))
    if any_format or not mimetype or accepts(mimetype, accepted):
        return
    raise unsupported_format(mimetype, accepted, columnar.problem if columnar else "")


def _mimetype(payload: Payload, columnar: ColumnarReader | None) -> str | None:
    if payload.filename is not None:
        return file_format(payload, columnar)
    return (payload.mimetype or "").strip()


def file_format(payload: Payload, columnar: ColumnarReader | None = None) -> str | None:
    """The media type of a file part, decided by its name, case-sensitive; None for CSV.

    With a reader of columnar bodies, also by the part's own type and the first bytes: DRUM reads CSV under any of these
    names and types.
    """
    suffix = PurePath(payload.filename or "").suffix
    if suffix == ".mtx":
        return MTX
    if columnar is None or not (suffix.lower() in COLUMNAR_NAMES or is_columnar(payload.mimetype)):
        return None
    with payload.open() as stream:
        return columnar_type(stream.read(_MAGIC_SIZE))


def _column_names(payload: Payload) -> list[str]:
    with payload.open() as stream:
        lines = [line.strip() for line in stream]
    try:
        return [line.decode("utf-8") for line in lines]
    except UnicodeDecodeError as error:
        raise UnprocessableError(str(error)) from error


def read_input(data: StructuredInput, hooks: Hooks, parse: CsvParser | None = None) -> Any:
    """The result of ``read_input_data``, else the frame of the built-in readers (see :func:`read_frame`).

    Raises StageError, ClientDataError, MissingExtraRequestError.
    """
    if hooks.get("read_input_data") is not None:
        return run_stage(
            "Model 'read_input_data' hook failed to read input data.",
            hooks.call,
            "read_input_data",
            data.payload.read(),
        )
    return read_frame(data.payload, data.mimetype, data.colnames, parse, data.column_types, data.columnar)


def read_table(data: StructuredInput, parse: CsvParser | None) -> CsvTable | pd.DataFrame | None:
    """The columns of a CSV in memory, or of a columnar body, or its frame; None for all that :func:`read_frame` must
    read."""
    if data.columnar is not None and data.mimetype is not None:
        return data.columnar.rows(data.payload, data.mimetype)
    body = data.payload.data
    return None if body is None or parse is None or data.mimetype == MTX or data.column_types else parse(body)


def read_frame(
    payload: Payload,
    mimetype: str | None,
    colnames: list[str] | None = None,
    parse: CsvParser | None = None,
    column_types: Mapping[str, str] | None = None,
    columnar: ColumnarReader | None = None,
) -> pd.DataFrame:
    """Read ``payload`` with the built-in readers. A spool file is streamed or mapped, not copied into memory.

    ``parse`` reads CSV bodies in memory sooner than ``pd.read_csv``, or leaves them to it. ``column_types``: of columns
    whose types are not to be inferred.
    """
    if mimetype == MTX:
        return _read_sparse(payload, colnames)
    if columnar is not None and mimetype is not None and is_columnar(mimetype):
        return columnar.frame(payload, mimetype)
    table = None if payload.data is None or parse is None or column_types else parse(payload.data)
    return _read_csv(payload, column_types) if table is None else table.frame()


def _read_csv(payload: Payload, column_types: Mapping[str, str] | None = None) -> pd.DataFrame:
    types: Any = dict(column_types) if column_types else None
    with payload.open() as stream:
        try:
            frame = pd.read_csv(stream, dtype=types)
            if frame.shape[1] == 1 and _may_have_blank_lines(payload):
                # In a single column a blank line is a missing value, not a line to skip (contract, 4.9).
                stream.seek(0)
                return pd.read_csv(stream, dtype=types, skip_blank_lines=False)
            return frame
        except UnicodeDecodeError as error:
            stream.seek(0)
            raise ClientDataError(
                "Supplied CSV input file encoding must be UTF-8.", _hint(stream.read(_MAGIC_SIZE)) or str(error)
            ) from None
        except pd.errors.EmptyDataError as error:
            raise ClientDataError(str(error)) from error
        except pd.errors.ParserError as error:
            # DRUM ends this text with the whole payload; this one names the problem instead (contract, section 8, Q-8).
            raise ClientDataError(f"Pandas failed to read input binary data: {str(error).strip()}") from error


def _hint(head: bytes) -> str:
    """What to do about a body that is no text and begins with ``head``."""
    if head.startswith(GZIP_MAGIC):
        return GZIP_HINT
    columnar = columnar_type(head)
    return f"the body begins like {columnar}; send Content-Type: {columnar}" if columnar else ""


def _may_have_blank_lines(payload: Payload) -> bool:
    """False if the body has no blank line, so that both reads give the same. Spool files are not searched."""
    return payload.data is None or has_blank_line(payload.data)


def sparse_frame(matrix: Any, colnames: list[str] | None = None) -> pd.DataFrame:
    """A scipy matrix as a frame of sparse columns, named 0, 1, ... by default."""
    accessor: Any = pd.DataFrame.sparse
    frame: pd.DataFrame = accessor.from_spmatrix(matrix, columns=colnames)
    return frame


def _read_sparse(payload: Payload, colnames: list[str] | None) -> pd.DataFrame:
    try:
        from scipy.io import mmread
    except ImportError as error:
        raise MissingExtraRequestError(str(MissingExtraError("Matrix Market input", "sparse", "scipy"))) from error
    try:
        with payload.open() as stream:
            matrix = mmread(stream).tocsc()
        return sparse_frame(matrix, colnames or None)
    except (ValueError, OverflowError, AttributeError) as error:  # malformed; AttributeError: a dense matrix
        raise ClientDataError(str(error)) from error
