"""Predictions of scikit-learn models from the columns of a CSV: the same values without a frame and its checks.

Even for one row scikit-learn takes milliseconds to select columns of a frame and to check their types and names before
it converts them into arrays. If the outcome of these checks is known, the arrays are passed at once, to copies of the
first steps without feature names. All later steps are the model's own, and receive what they always do.
"""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Iterable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, Callable, Final, List, NamedTuple, Optional, Protocol

import numpy as np
import pandas as pd

from drum_litestar.predictors.native.frameworks.base import predict_estimator
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvTable
from drum_litestar.predictors.protocol import TargetType

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRUM_NAME: Final = "SKLearnPredictor"
_FAMILIES: Final = (
    "linear_model",
    "tree",
    "ensemble._forest",
    "ensemble._gb",
    "ensemble._hist",
    "svm",
    "neighbors",
    "naive_bayes",
)
"""Modules of estimators that use a frame only as one array."""
_WITH_BLANKS: Final = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
_SCALERS: Final = frozenset({"StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"})
_ENCODERS: Final = frozenset({"OneHotEncoder", "OrdinalEncoder"})
_NUMBERS: Final = (np.dtype(np.float64), np.dtype(np.int64))
_OWN: Final = frozenset({"builtins", "numpy", "sklearn", "xgboost"})

Block = Callable[[List[Any]], Optional["NDArray[Any]"]]
"""Makes one array, rows by columns, of some columns, as scikit-learn does from their frame; None for columns of other
types than expected. The memory layout is column by column, as that of ``DataFrame.to_numpy``."""


class Features(Protocol):
    """Makes what a model's further steps receive, by way of arrays that can be joined with those of other tables."""

    def blocks(self, table: CsvTable) -> list[NDArray[Any]] | None:
        """Arrays of rows by columns; None for a table that scikit-learn must check, or would reject."""

    def transform(self, blocks: Sequence[NDArray[Any]]) -> Any:
        """An array or a sparse matrix, rows by features. Raises what the model's transformers raise."""


class DirectModel(NamedTuple):
    """A scikit-learn model that predicts from tables."""

    features: Features
    further: Any
    """The further steps: a pipeline, or an estimator."""
    target_type: TargetType

    def predict(self, table: CsvTable) -> tuple[Any, list[Any] | None] | None:
        """The result of ``predict_estimator`` for the table's frame; None for a table that scikit-learn must check.

        The model runs only where scikit-learn accepts the frame. So an exception here is the model's own, which the
        general path would raise too: it is raised, and the model does not run again.
        """
        blocks = self.features.blocks(table)
        if blocks is None:
            return None
        return predict_estimator(self.further, self.features.transform(blocks), self.target_type, DRUM_NAME)


def direct_model(model: Any, target_type: TargetType) -> DirectModel | None:
    """A fitted model whose predictions from tables are verified to be the same; None for any other model."""
    try:
        found = _by_columns(model) if _is_own(model, "Pipeline") else None
        found = found or _as_one_array(model)
        if found is None:
            return None
        direct = DirectModel(*found, target_type)
        return direct if _agrees(direct, model) else None
    except Exception:  # the model cannot predict the sample: the general path reports why
        return None


def only_library_code(model: Any) -> bool:
    """No parameter of ``model``, a scikit-learn object, holds a user's code, such as a metric."""
    return all(map(_is_library_value, model.get_params().values()))


def _is_library_value(value: Any) -> bool:
    if isinstance(value, type):  # the dtype of an encoder
        return value.__module__ == "numpy"
    if isinstance(value, FunctionType):  # the score function of SelectKBest
        return value.__module__.partition(".")[0] == "sklearn"
    return type(value).__module__.partition(".")[0] in _OWN and not callable(value)


def outputs_frames(step: Any) -> bool:
    """A transformer of scikit-learn has been told to return frames."""
    own = getattr(step, "_sklearn_output_config", {}).get("transform")  # the default in what was "passthrough"
    chosen: str = own or sys.modules["sklearn"].get_config().get("transform_output", "default")
    return chosen != "default"


# models that take all columns as one array


class _AllColumns:
    """The features are the columns, one block."""

    def __init__(self, names: Any, width: int, *, blanks: bool) -> None:
        """``names``: in order; None for a model that was fitted without names. ``blanks``: the model accepts them."""
        self._blanks = blanks
        self._columns = None if names is None else pd.Index(names)
        self._width = width
        self._accepted: Any = None

    def blocks(self, table: CsvTable) -> list[NDArray[Any]] | None:
        if table.columns is not self._accepted:  # the parser has one object for each header
            if len(table.columns) != self._width or not (self._columns is None or table.columns.equals(self._columns)):
                return None
            self._accepted = table.columns
        values = numbers(table.arrays)
        if values is None:
            return None
        accepted = ~np.isinf(values) if self._blanks else np.isfinite(values)
        return [values] if accepted.all() else None

    def transform(self, blocks: Sequence[NDArray[Any]]) -> Any:
        return blocks[0]


def _as_one_array(model: Any) -> tuple[Features, Any] | None:
    width = getattr(model, "n_features_in_", None)
    nameless = _without_names(model)
    if nameless is None or not isinstance(width, int):
        return None
    blanks = _is_own(model, *_WITH_BLANKS) or isinstance(nameless, XgboostWithoutNames)
    return _AllColumns(getattr(model, "feature_names_in_", None), width, blanks=blanks), nameless


def _without_names(model: Any) -> Any | None:
    """A shallow copy without feature names; None for a class that may need them."""
    if _is_own(model, "Pipeline"):
        return _pipeline_without_names(model)
    if type(model).__module__ == "xgboost.sklearn" and type(model).__name__ in ("XGBClassifier", "XGBRegressor"):
        return XgboostWithoutNames(model)
    if getattr(model, "is_categorical_", None) is not None:  # gradient boosting encodes categories of a frame
        return None
    family = type(model).__module__.partition("sklearn.")
    if family[0] or not family[2].startswith(_FAMILIES):
        return None
    return _drop_names(model)


def _pipeline_without_names(pipeline: Any) -> Any | None:
    """A copy of a pipeline of scalers and an estimator. Only its first step receives a frame, the others arrays."""
    *scalers, (last, estimator) = pipeline.steps
    if not scalers or any(not _is_own(step, *_SCALERS) or outputs_frames(step) for _, step in scalers):
        return None
    nameless = _without_names(estimator)
    if nameless is None:
        return None
    copied = _drop_names(pipeline)
    copied.steps = [*((name, _drop_names(step)) for name, step in scalers), (last, nameless)]
    return copied


class XgboostWithoutNames:
    """An estimator of XGBoost that does not look for the names of its features."""

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        if hasattr(estimator, "classes_"):
            self.classes_ = estimator.classes_

    def predict(self, values: Any) -> Any:
        return self._estimator.predict(values, validate_features=False)

    def predict_proba(self, values: Any) -> Any:
        return self._estimator.predict_proba(values, validate_features=False)


def _drop_names(estimator: Any) -> Any:
    copied = copy.copy(estimator)
    vars(copied).pop("feature_names_in_", None)
    return copied


def _is_own(step: Any, *names: str) -> bool:
    kind = type(step)
    return kind.__module__.partition(".")[0] == "sklearn" and kind.__name__ in names


# pipelines that begin with a ColumnTransformer


class _Branch(NamedTuple):
    """One transformer of a ColumnTransformer."""

    transformer: Any
    """Without feature names."""
    names: tuple[str, ...]
    block: Block


class _SelectedColumns:
    """The features are those of a ColumnTransformer, with a block for each of its transformers."""

    def __init__(self, branches: Sequence[_Branch], *, sparse: bool) -> None:
        self.branches = branches
        self._sparse = sparse
        self._known: tuple[Any, list[list[int]]] = (None, [])
        """A table's column names, and for each branch the indices of its columns."""

    def blocks(self, table: CsvTable) -> list[NDArray[Any]] | None:
        columns, positions = self._known
        if columns is not table.columns:  # the parser has one object for each header
            found = {name: number for number, name in enumerate(table.columns)}
            try:
                positions = [[found[name] for name in branch.names] for branch in self.branches]
            except KeyError:  # scikit-learn says which columns are missing
                return None
            self._known = (table.columns, positions)
        blocks = []
        for branch, numbers_of_columns in zip(self.branches, positions):
            block = branch.block([table.arrays[number] for number in numbers_of_columns])
            if block is None:
                return None
            blocks.append(block)
        return blocks

    def transform(self, blocks: Sequence[NDArray[Any]]) -> Any:
        return self._stack(branch.transformer.transform(block) for branch, block in zip(self.branches, blocks))

    def _stack(self, parts: Iterable[Any]) -> Any:
        if self._sparse:
            from scipy import sparse

            return sparse.hstack(list(parts)).tocsr()
        return np.hstack([part.toarray() if hasattr(part, "toarray") else part for part in parts])


def _by_columns(pipeline: Any) -> tuple[Features, Any] | None:
    """The features of a pipeline's ColumnTransformer, and the steps after it."""
    first = pipeline.steps[0][1]
    if len(pipeline.steps) < 2 or not _is_own(first, "ColumnTransformer") or not hasattr(first, "feature_names_in_"):
        return None
    if outputs_frames(first) or first.transformer_weights:
        return None
    branches = []
    for _, transformer, columns in first.transformers_:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        names = tuple(columns) if isinstance(columns, (list, np.ndarray, pd.Index)) else ()
        nameless, block = _first_without_names(transformer)
        if block is None or not names or not all(isinstance(name, str) for name in names):
            return None
        branches.append(_Branch(nameless, names, block))
    if not branches:
        return None
    further = pipeline[1:] if len(pipeline.steps) > 2 else pipeline.steps[1][1]
    return _SelectedColumns(branches, sparse=first.sparse_output_), further


def _first_without_names(transformer: Any) -> tuple[Any, Block | None]:
    """A copy of a transformer, or of a pipeline of them, whose first step takes a block instead of a frame."""
    if outputs_frames(transformer):
        return None, None
    if _is_own(transformer, "Pipeline"):
        (name, step), *others = transformer.steps
        nameless, block = _first_without_names(step)
        if any(outputs_frames(other) for _, other in others):
            return None, None
        copied = _drop_names(transformer)
        copied.steps = [(name, nameless), *others]
        return copied, block
    if _is_own(transformer, "SimpleImputer"):
        by_number = transformer.strategy in ("mean", "median") and transformer.statistics_.dtype.kind == "f"
        return _drop_names(transformer), floats if by_number else as_frame_values
    if _is_own(transformer, *_SCALERS):
        return _drop_names(transformer), floats
    if _is_own(transformer, *_ENCODERS):
        return _drop_names(transformer), of_one_type
    return None, None


def floats(arrays: Sequence[Any]) -> NDArray[Any] | None:
    """Integers and floats as floats."""
    return np.array(arrays, dtype=np.float64).T if all(map(_is_number, arrays)) else None


def numbers(arrays: Sequence[Any]) -> NDArray[Any] | None:
    """Integers, or floats; integers beside floats as floats."""
    return _matrix(arrays) if all(map(_is_number, arrays)) else None


def as_frame_values(arrays: Sequence[Any]) -> NDArray[Any] | None:
    """Numbers as they are, or, beside text, objects."""
    if all(map(_is_number, arrays)):
        return _matrix(arrays)
    if all(_is_number(array) or _is_text(array) for array in arrays):
        return _matrix([np.asarray(array, dtype=object) for array in arrays])
    return None


def of_one_type(arrays: Sequence[Any]) -> NDArray[Any] | None:
    """Columns of integers, of floats, or of text."""
    if all(map(_is_text, arrays)):
        return _matrix([np.asarray(array, dtype=object) for array in arrays])
    return _matrix(arrays) if _is_number(arrays[0]) and len({array.dtype for array in arrays}) == 1 else None


def _matrix(arrays: Sequence[Any]) -> NDArray[Any]:
    matrix: NDArray[Any] = np.array(arrays).T
    return matrix


def _is_number(array: Any) -> bool:
    return array.dtype in _NUMBERS


def _is_text(array: Any) -> bool:
    return array.dtype == object or isinstance(array.dtype, pd.StringDtype)


# verification


def _agrees(direct: DirectModel, model: Any) -> bool:
    """Both give the same predictions for a few rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for table in _samples(direct.features, model):
            found = direct.predict(table)
            if found is None:
                return False
            expected, labels = predict_estimator(model, table.frame(), direct.target_type, DRUM_NAME)
            if not isinstance(expected, np.ndarray) or labels != found[1]:
                return False
            if expected.dtype != found[0].dtype or not np.array_equal(expected, found[0]):
                return False
    return True


def _samples(features: Features, model: Any) -> Iterable[CsvTable]:
    if isinstance(features, _SelectedColumns):
        columns: dict[str, list[Any]] = {}
        for branch in features.branches:
            columns.update(zip(branch.names, _known_values(branch)))
        for rows in (slice(3), slice(1)):
            yield CsvTable(pd.Index(list(columns)), [_column(values[rows]) for values in columns.values()])
        return
    width = model.n_features_in_
    names = pd.Index(getattr(model, "feature_names_in_", [f"x{number}" for number in range(width)]))
    numbers = np.arange(3 * width).reshape(3, width)
    for values in (numbers, numbers / 7 - 1):
        yield CsvTable(names, list(np.ascontiguousarray(values.T)))


def _known_values(branch: _Branch) -> Iterable[list[Any]]:
    """For each column three values that the branch was fitted on."""
    steps = (
        [step for _, step in branch.transformer.steps] if hasattr(branch.transformer, "steps") else [branch.transformer]
    )
    for number in range(len(branch.names)):
        values: list[Any] = [0.5, 2.0, -1.0]
        for step in steps:
            categories = getattr(step, "categories_", None)
            if categories is not None and len(categories) == len(branch.names):
                values = [categories[number][0], categories[number][-1], categories[number][0]]
        yield values


def _column(values: list[Any]) -> NDArray[Any]:
    return np.array(values, dtype=object if any(isinstance(value, str) for value in values) else None)
