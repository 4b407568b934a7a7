"""Transforms: features in, transformed features out as multipart (contract, 3.8)."""

from __future__ import annotations

import inspect
import io
from typing import Any

import pandas as pd

from drum_litestar.errors import MissingExtraError, MissingExtraRequestError
from drum_litestar.media_types import ARROW_STREAM
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.formats import arrow_answer
from drum_litestar.predictors.native.formats.inputs import (
    ClientDataError,
    check_format,
    csv_input,
    file_format,
    is_empty,
    read_frame,
    read_input,
    sparse_frame,
    structured_input,
)
from drum_litestar.predictors.native.formats.multipart_body import MultipartBody
from drum_litestar.predictors.native.formats.type_schema import OutputSchema
from drum_litestar.predictors.native.hooks.user_errors import run_stage
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvTable
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply
from drum_litestar.predictors.steps import step

_LINE_END = "\r\n"


class DrumTransformException(Exception):  # noqa: N818 - clients see the name in the message
    """A transform that DRUM does not support."""


class TransformHandler:
    """The transform pipeline of one loaded model."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._hooks = loaded.hooks
        self._any_format = loaded.hooks.get("read_input_data") is not None
        self._parse_csv = loaded.parse_csv
        self._columnar = loaded.columnar
        self._schema = OutputSchema.from_metadata(loaded.metadata)

    def handle(self, call: ModelCall) -> Reply:
        """Answer one transform call. Raises exceptions that :func:`error_reply` turns into replies."""
        result, target = self.transformed(call)
        with step("serialize"):
            if call.answer == ARROW_STREAM and not is_sparse(result):
                return Reply(body=arrow_answer.of_frame(result), content_type=ARROW_STREAM)
            return transform_reply(result, target)

    def transformed(self, call: ModelCall) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """The transformed features, and the target as it was sent. Raises as :meth:`handle`."""
        data = structured_input(call, any_format=self._any_format, columnar=self._columnar)
        with step("parse"):
            features = read_input(data, self._hooks, self._parse_csv)
            target = None if call.y is None or is_empty(call.y) else self._read_target(call.y)
        with step("model"):
            result = self._transform(features, target)
        self._schema.check(result, is_sparse=is_sparse(result))
        if target is not None and len(target) != len(result):  # contract, section 8, Q-18
            raise ClientDataError("Target data has a different number of rows than transformed data")
        return result, target

    def transform_table(self, table: CsvTable) -> pd.DataFrame:
        """The transformed features of a call whose body is no CSV, but has been read into ``table``. Raises as
        :meth:`handle`."""
        with step("parse"):
            features = table.frame()
            if self._any_format:
                features = read_input(csv_input(table), self._hooks, self._parse_csv)
        with step("model"):
            result = self._transform(features, None)
        self._schema.check(result, is_sparse=is_sparse(result))
        return result

    def _read_target(self, payload: Payload) -> pd.DataFrame:
        mimetype = file_format(payload, self._columnar)
        check_format(mimetype, any_format=False, columnar=self._columnar)
        return read_frame(payload, mimetype, parse=self._parse_csv, columnar=self._columnar)

    def _transform(self, features: Any, target: pd.DataFrame | None) -> pd.DataFrame:
        task = self._hooks.custom_task
        if task is not None:
            return run_stage(
                "Model 'transform' hook failed to transform dataset.",
                lambda: _require_rows(_require_frame(task.transform(features)), features),
            )
        if self._hooks.get("transform") is not None:
            result = run_stage("Model 'transform hook' failed to transform dataset.", self._call_hook, features, target)
        else:
            result = self._apply_transformer(features)
        return _require_rows(_require_frame(result), features)

    def _call_hook(self, features: Any, target: pd.DataFrame | None) -> Any:
        hook = self._hooks.get("transform")
        if hook is None:
            raise KeyError("transform")
        count = len(inspect.signature(hook).parameters)
        if count not in (2, 3):
            raise ValueError(f"Transform hook must take 2 or 3 arguments; hook provided takes {count}")
        arguments = (features, self._loaded.model, target)[:count]
        result = self._hooks.call("transform", *arguments)
        if isinstance(result, tuple):
            raise DrumTransformException("Transformation of the target variable is not supported by DRUM.")
        return result

    def _apply_transformer(self, features: Any) -> pd.DataFrame:
        try:
            result = self._loaded.model.transform(features)
            return sparse_frame(result) if _is_matrix(result) else pd.DataFrame(result)
        except Exception as error:
            raise ValueError(f"Couldn't naively apply transformer: {error}") from error


def is_sparse(frame: pd.DataFrame) -> bool:
    """Every column is sparse, or the first cell holds a sparse matrix."""
    if all(isinstance(dtype, pd.SparseDtype) for dtype in frame.dtypes):
        return True
    return _is_matrix(
        frame.iloc[0].iloc[0]
    )  # without rows it raises "single positional indexer is out-of-bounds", as DRUM does


def _is_matrix(value: Any) -> bool:
    """``value`` is a scipy sparse matrix or array. Does not import scipy."""
    return any(cls.__module__.startswith("scipy.sparse") for cls in type(value).__mro__)


def _require_frame(result: Any) -> pd.DataFrame:
    if not isinstance(result, pd.DataFrame):
        raise ValueError(f"transform must return a dataframe, but received {type(result)}")
    return result


def _require_rows(result: pd.DataFrame, features: Any) -> pd.DataFrame:
    if len(result) != len(features):
        raise ValueError("Transformation resulted in different number of rows than original data")
    return result


def transform_reply(features: pd.DataFrame, target: pd.DataFrame | None) -> Reply:
    """The multipart answer (contract, 3.8)."""
    body = MultipartBody()
    names = _column_names(features)
    if is_sparse(features):
        body.field("X.format", "sparse")
        body.file("X.transformed", _matrix_market(features))
        body.file("X.colnames", "\n".join(names).encode("utf-8"))
    else:
        body.field("X.format", "csv")
        body.file("X.transformed", _csv(features, names))
    if target is not None:
        body.field("y.format", "csv")
        body.file("y.transformed", _csv(target, _column_names(target)))
    return Reply(body=body.to_bytes(), content_type=body.content_type)


def _column_names(frame: pd.DataFrame) -> list[str]:
    """Column names, each on one line. Raises ValueError for a blank one, which could not be read back."""
    names = [str(name).strip().replace("\n", "\\n") for name in frame.columns]
    readable = sum(1 for name in names if name)
    if readable != len(names):
        raise ValueError(
            f"Column name serialization check failed, deserializing column names resulted in {readable}, expected "
            f"{len(names)}\nEnsure there are no column names made up entirely of whitespace"
        )
    return names


def _csv(frame: pd.DataFrame, names: list[str]) -> bytes:
    text: str = frame.to_csv(index=False, header=names, lineterminator=_LINE_END)
    return (text[: -len(_LINE_END)] if text.endswith(_LINE_END) else text).encode("utf-8")


def _matrix_market(frame: pd.DataFrame) -> bytes:
    try:
        from scipy.io import mmwrite
    except ImportError as error:
        raise MissingExtraRequestError(str(MissingExtraError("Sparse output", "sparse", "scipy"))) from error
    stream = io.BytesIO()
    accessor: Any = frame.sparse
    mmwrite(stream, accessor.to_coo())
    return stream.getvalue()
