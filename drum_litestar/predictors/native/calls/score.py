"""Rows of a file as CSV, for ``drum-litestar predict``: the columns and the full precision of ``drum score``.

No route leads here. A table may come in parts: then types that a part alone would not show are given with the call, and
the header travels apart from the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from drum_litestar.drum_json import drum_json
from drum_litestar.predictors.native.calls.structured import Predictions
from drum_litestar.predictors.native.formats.inputs import read_frame
from drum_litestar.predictors.protocol import BLANK_COLUMN, CSV_HEADER, TEXT_COLUMN, ModelCall, Reply, TargetType
from drum_litestar.predictors.steps import step

if TYPE_CHECKING:
    from drum_litestar.predictors.native.formats.validation import ValidatedPredictions


class SourceOfPredictions(Protocol):
    """The structured pipeline of one loaded model."""

    def predictions(self, call: ModelCall) -> Predictions: ...


class SourceOfTransforms(Protocol):
    """The transform pipeline of one loaded model."""

    def transformed(self, call: ModelCall) -> tuple[pd.DataFrame, pd.DataFrame | None]: ...


class ScoreHandler:
    """Answers ``score`` calls: predictions, or what a transform gives, as CSV."""

    def __init__(self, target_type: TargetType, structured: SourceOfPredictions, transform: SourceOfTransforms) -> None:
        self._target_type = target_type
        self._structured = structured
        self._transform = transform

    def handle(self, call: ModelCall) -> Reply:
        """The rows as CSV without a header, which is in the reply's header. Raises exceptions that
        :func:`error_reply` turns into replies."""
        if self._target_type is TargetType.TRANSFORM:
            frame, _ = self._transform.transformed(call)
        else:
            frame = _joined(*self._structured.predictions(call))
        with step("serialize"):
            header = frame.iloc[:0].to_csv(index=False, lineterminator="\n")
            body = frame.to_csv(index=False, header=False, lineterminator="\n").encode("utf-8")
        return Reply(body=body, content_type="text/csv", headers=((CSV_HEADER, header),))


def _joined(validated: ValidatedPredictions, extra: pd.DataFrame | None) -> pd.DataFrame:
    """Predictions, and the further columns of a ``score`` hook by index, as ``drum score`` joins them."""
    frame = validated.frame()
    return frame if extra is None else frame.join(extra)


def answer_column_types(call: ModelCall) -> Reply:
    """``{"columns": [[name, type], ...], "plain": bool}`` of the CSV in ``call.x``, as it is read alone.

    A type is that of pandas, ``text``, or ``blank`` for a column without values. Not ``plain``: lines have more fields
    than the header.
    """
    if call.x is None:
        raise ValueError("a call for column types needs rows")
    frame = read_frame(call.x, call.x.mimetype)
    columns = [[str(name), _type(frame.iloc[:, position])] for position, name in enumerate(frame.columns)]
    return Reply(body=drum_json({"columns": columns, "plain": isinstance(frame.index, pd.RangeIndex)}))


def _type(column: Any) -> str:
    if column.isna().all():
        return BLANK_COLUMN
    if column.dtype.kind in "iufb":
        return str(column.dtype)
    # older versions of pandas keep text in columns of objects, which may also be truth values with blanks
    return TEXT_COLUMN if pd.api.types.infer_dtype(column, skipna=True) == "string" else "object"
