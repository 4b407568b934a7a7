"""Tensors as the table that hooks and models receive, as if it had been read from CSV; and columns as tensors.

A column has the type of its tensor: INT64 is int64, as in CSV, but FP32 is float32, where CSV has float64. A BYTES
column is text as it was sent: ``NA`` and the empty text are not missing values. JSON's null is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Final, List, Optional, Sequence, Tuple

import numpy as np
import pandas as pd

from drum_litestar.errors import BadRequestError, shown
from drum_litestar.predictors.native.open_inference.infer_request import InferRequest
from drum_litestar.predictors.native.open_inference.tensors import BYTES, Tensor, as_text, of_array
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvTable
from drum_litestar.predictors.protocol import TensorInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KNOWN_HEADERS: Final = 64
_WIDEST_KNOWN: Final = 4096
"""Columns of other tables than the model's that are kept: what clients make up must not fill the memory."""

_MOST_NAMED: Final = 5
"""Columns that a message names."""

Names = Tuple[str, ...]


class Tables:
    """Makes tables of requests to one model. Safe to call from several threads."""

    def __init__(self, inputs: Sequence[TensorInfo], width: Optional[int] = None) -> None:
        """``inputs``: of the model's metadata. ``width``: the number of columns, if the model takes no other one."""
        self._width = width
        self._names: Names = tuple([each.name for each in inputs if len(each.shape) == 1])
        self._set = frozenset(self._names)
        self._indexes: Dict[Names, pd.Index[Any]] = {}
        self._text_type: Any = pd.Series([""]).dtype
        """What pandas infers for texts, which takes it longer than to make a column: ``str``, or object before 3."""

    def table(self, request: InferRequest) -> CsvTable:
        """The columns in the model's order, if they are the model's, else in that of the request.

        Raises BadRequestError for tensors that are no columns.
        """
        inputs = request.inputs
        if len(inputs) == 1 and not request.is_table and inputs[0].values.ndim == 2 and inputs[0].shape[1] != 1:
            names, arrays = self._of_matrix(inputs[0])
        else:
            names, arrays = self._of_columns(inputs)
        return CsvTable(self._index(names), arrays)

    def names(self, width: int) -> Names:
        """The names of so many columns that came without: the model's, else x1, x2, ..."""
        if width == len(self._names):
            return self._names
        return tuple([f"x{number}" for number in range(1, width + 1)])

    def _of_matrix(self, tensor: Tensor) -> Tuple[Names, List[Any]]:
        values = tensor.values.T
        if self._width not in (None, len(values)):  # at once: pandas takes 30 µs a column
            raise BadRequestError(
                f"the model takes {counted(self._width, self._names)}, and input {shown(tensor.name)} has {len(values)}"
            )
        if tensor.datatype == BYTES:
            return self.names(len(values)), self._text_columns(values, tensor.name)
        # One copy for all: columns are written to by hooks, and each is contiguous as those of a CSV are.
        return self.names(len(values)), list(np.array(values, dtype=_native(values), order="C"))

    def _of_columns(self, inputs: Sequence[Tensor]) -> Tuple[Names, List[Any]]:
        found = {each.name: self._column(each) for each in inputs}
        lengths = {len(column) for column in found.values()}
        if len(lengths) > 1:
            each = ", ".join([f"{shown(name)} {len(column)}" for name, column in list(found.items())[:_MOST_NAMED]])
            more = ", ..." if len(found) > _MOST_NAMED else ""
            raise BadRequestError(f"the inputs are columns, but have different numbers of rows: {each}{more}")
        if len(found) == 1 and len(self._names) == 1:
            return self._names, list(found.values())
        names = self._names if found.keys() == self._set else tuple(found)
        return names, [found[name] for name in names]

    def _column(self, tensor: Tensor) -> Any:
        if tensor.values.ndim > 2 or tensor.values.ndim == 0 or (tensor.values.ndim == 2 and tensor.shape[1] != 1):
            raise BadRequestError(
                f"input {shown(tensor.name)} of shape {list(tensor.shape)} is no column; a table is one input of shape "
                "[rows, columns], or one of shape [rows] or [rows, 1] for each column"
            )
        values = tensor.values.ravel()
        return self._texts(values, tensor.name) if tensor.datatype == BYTES else np.array(values, dtype=_native(values))

    def _text_columns(self, values: NDArray[Any], name: str) -> List[Any]:
        """The rows of ``values`` as columns of texts. All are made at once, because pandas takes 20 µs for
        each array of texts."""
        rows = values.shape[1]
        made = self._texts(values.ravel(), name)
        columns = [made[start : start + rows] for start in range(0, values.size, rows)]
        missing = (values == None).all(axis=1)  # noqa: E711 - by element
        return [np.full(rows, np.nan) if blank else column for column, blank in zip(columns, missing.tolist())]

    def _texts(self, values: NDArray[Any], name: str) -> Any:
        """A column of texts with the type that pandas reads from CSV; all missing, it is one of numbers."""
        texts = [np.nan if element is None else as_text(element, name) for element in values.tolist()]
        if all(text is np.nan for text in texts):
            return np.array(texts, dtype=np.float64)
        if isinstance(self._text_type, np.dtype):
            return np.array(texts, dtype=self._text_type)
        return pd.array(texts, dtype=self._text_type)

    def _index(self, names: Names) -> pd.Index[Any]:
        """One object for equal names, by which the direct models know them again."""
        index = self._indexes.get(names)
        if index is None:
            index = pd.Index(list(names))
            if names is self._names or len(names) <= _WIDEST_KNOWN:
                if len(self._indexes) >= _KNOWN_HEADERS:
                    self._indexes.clear()
                self._indexes[names] = index
        return index


def _native(values: NDArray[Any]) -> Any:
    return values.dtype.newbyteorder("=")


def counted(width: int, names: Names = ()) -> str:
    """So many columns, and the first of their names, for a message."""
    return f"{width} column{'' if width == 1 else 's'}" + (f" ({listed(names)})" if names else "")


def listed(names: Sequence[str]) -> str:
    """The first of ``names``, for a message."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(map(shown, names[:_MOST_NAMED])) + more


def tensors_of(frame: pd.DataFrame) -> List[Tensor]:
    """A tensor for each column. Raises ValueError for names that are there twice."""
    names = [str(name) for name in frame.columns]
    if len(set(names)) != len(names):
        raise ValueError(f"columns with the same name cannot be outputs: {', '.join(sorted(names))}")
    return [of_array(name, _values(frame.iloc[:, place])) for place, name in enumerate(names)]


def _values(column: Any) -> NDArray[Any]:
    """Numbers and truth values as they are, missing ones as NaN; all else as texts, missing ones empty."""
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        return _values(column.sparse.to_dense())
    if isinstance(dtype, pd.CategoricalDtype):
        return _values(column.astype(dtype.categories.dtype if not column.isna().any() else object))
    numpy_dtype = dtype if isinstance(dtype, np.dtype) else getattr(dtype, "numpy_dtype", None)
    if numpy_dtype is not None and numpy_dtype.kind in "biuf":
        blanks = numpy_dtype is not dtype and column.isna().any()
        values: NDArray[Any] = column.to_numpy(dtype=np.float64, na_value=np.nan) if blanks else column.to_numpy()
        return values if blanks else values.astype(numpy_dtype, copy=False)
    texts = column.astype(str) if getattr(dtype, "kind", "") in "mM" else column
    return np.where(column.isna().to_numpy(), "", texts.to_numpy(dtype=object))
