"""Validation of raw predictions, and matching of their columns with the configured labels (contract, 4.7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import pandas as pd

from drum_litestar.predictors.folder.targets import normalise_label
from drum_litestar.predictors.protocol import TargetType

if TYPE_CHECKING:
    from numpy.typing import NDArray

SINGLE_COLUMN = "Predictions"
"""The column that DRUM gives single-column predictions (contract, 4.6)."""


class PredictionError(ValueError):
    """Predictions of the wrong shape, range or labels. Always 500 (contract, 4.7)."""


class ValidatedPredictions(NamedTuple):
    """Predictions that passed validation."""

    values: NDArray[Any]
    """2-D: rows by columns, dtype as the model gave it."""
    columns: tuple[str, ...]
    """Configured labels in the model's column order, or ``("Predictions",)``."""

    def frame(self) -> pd.DataFrame:
        """The predictions as a frame, the argument of ``post_process``."""
        frame: pd.DataFrame = pd.DataFrame(self.values, columns=list(self.columns))
        return frame

    def floats(self) -> NDArray[np.float64]:
        """The values as float64. Raises pandas' ValueError or TypeError when one is not a number."""
        if self.values.dtype == np.float64:
            return self.values
        if self.values.dtype.kind in "iufb":
            return cast("NDArray[np.float64]", self.values.astype(np.float64))
        return cast("NDArray[np.float64]", self.frame().astype("float64").to_numpy())

    def column(self) -> pd.Series[Any]:
        """The only column, with the type pandas infers for it."""
        return self.frame().iloc[:, 0]


def validate_predictions(
    predictions: Any,
    names: Sequence[Any] | pd.Index[Any] | None,
    target_type: TargetType,
    labels: Sequence[str] | None,
    *,
    single_output_first: bool = False,
) -> ValidatedPredictions:
    """Validate ``predictions`` (array-like, 1-D or 2-D), whose columns are named ``names`` (None: unknown).

    ``labels`` in the order that unnamed columns have. ``single_output_first``: a lone probability belongs to the
    first label instead of the second (contract, section 8, Q-1). Raises PredictionError with DRUM's texts.
    """
    values = _two_dimensional(predictions)
    if labels is None or not target_type.is_classification:
        if values.shape[1] != 1:
            raise PredictionError(
                "Regression, Text Generation, Agentic Workflow and anomaly predictions must contain only 1 column. "
                f"Your predictions have {values.shape[1]} columns"
            )
        return ValidatedPredictions(values, (SINGLE_COLUMN,))
    columns = tuple(labels) if names is None else _match_labels(names, labels)
    if values.shape[1] == 1:
        values = _both_probabilities(values, labels, single_output_first=single_output_first)
    if values.shape[1] != len(columns):
        raise PredictionError(
            "Your predictions must return the probability distribution for the correct number of class labels. "
            f"Expected {len(columns)} columns, but received {values.shape[1]}"
        )
    _check_probabilities(values, must_sum_to_one=target_type is not TargetType.MULTILABEL)
    return ValidatedPredictions(values, columns)


def _two_dimensional(predictions: Any) -> NDArray[Any]:
    if not isinstance(predictions, np.ndarray):
        if not isinstance(predictions, Iterable) or isinstance(predictions, (str, bytes)):
            raise PredictionError(f"predictions must return a np array, but received {type(predictions)}")
        predictions = np.asarray(predictions)
    values: NDArray[Any] = predictions
    if values.ndim == 1:
        return values.reshape(-1, 1)
    if values.ndim != 2:
        raise PredictionError(
            f"predictions must return a 2 dimensional array, but we received a {values.ndim} dimensional array"
        )
    return values


def _match_labels(names: Sequence[Any] | pd.Index[Any], labels: Sequence[str]) -> tuple[str, ...]:
    configured = {normalise_label(label): label for label in labels}
    normalised = [normalise_name(name) for name in names]
    if set(normalised) != configured.keys():
        raise PredictionError(f"Expected predictions to have columns {list(labels)}, but encountered {names}")
    return tuple(configured[name] for name in normalised)


def normalise_name(name: Any) -> float | str:
    """The key by which a column's name, or a model's class, is compared with labels. Raises TypeError for a date or a
    tuple."""
    if not isinstance(name, str):
        float(name)  # DRUM's text is that of the TypeError
    return normalise_label(str(name))


def _both_probabilities(values: NDArray[Any], labels: Sequence[str], *, single_output_first: bool) -> NDArray[Any]:
    if len(labels) < 2:
        raise PredictionError("Classification problems must have more than one class label")
    if len(labels) > 2:
        raise PredictionError(
            f"Only one dimension of probability returned, but there are {len(labels)} class labels in this model"
        )
    pair = (values, 1 - values) if single_output_first else (1 - values, values)
    return np.concatenate(pair, axis=1)


def _check_probabilities(values: NDArray[Any], *, must_sum_to_one: bool) -> None:
    if (values < 0).any():
        raise PredictionError("Your prediction probabilities have negative values")
    if (values > 1).any():
        raise PredictionError("Your prediction probabilities have values greater than 1")
    if not must_sum_to_one:
        return
    sums = values.sum(axis=1)
    if not _all_ones(sums):
        wrong = values[~np.isclose(sums, 1)]
        raise PredictionError(f"Your prediction probabilities do not add up to 1. \n{wrong}")


def _all_ones(sums: NDArray[Any]) -> bool:
    """``np.isclose(sums, 1).all()``, ten times faster for a few rows."""
    if sums.dtype != np.float64:
        return bool(np.isclose(sums, 1).all())
    return bool((np.abs(sums - 1) <= 1e-8 + 1e-5).all())  # NaN compares false
