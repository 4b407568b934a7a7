"""Predictions of scikit-learn's own estimators without its checks of the frame: the same values in a fifth of the time.

scikit-learn checks each column's type and name before it converts a DataFrame into one array, which takes half a
millisecond even for one row. If the outcome of these checks is known (plain numbers in the columns that the model was
fitted on), the array is passed at once, to a copy of the model without feature names.
"""

from __future__ import annotations

import copy
import sys
import warnings
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from drum_litestar.predictors.native.frameworks.base import predict_estimator
from drum_litestar.predictors.protocol import TargetType

_FAMILIES: Final = ("linear_model", "tree", "ensemble._forest", "ensemble._gb", "svm", "neighbors", "naive_bayes")
"""Modules of estimators that use a frame only as one array."""
_SCALERS: Final = frozenset({"StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"})
_OWN: Final = frozenset({"builtins", "numpy", "sklearn"})
_DRUM_NAME: Final = "SKLearnPredictor"
_NUMBERS: Final = (np.dtype(np.float64), np.dtype(np.int64))


class DirectEstimator(NamedTuple):
    """A scikit-learn model that predicts from an array."""

    nameless: Any
    """A shallow copy of the model without feature names."""
    columns: pd.Index[Any] | None
    """Feature names in order; None for a model that was fitted without names."""
    width: int
    target_type: TargetType

    def predict(self, frame: pd.DataFrame) -> tuple[Any, list[Any] | None] | None:
        """The result of ``predict_estimator``; None for a frame that scikit-learn must check, or would reject.

        The model runs only where scikit-learn accepts the frame. So an exception here is the model's own, which the
        general path would raise too: it is raised, and the model does not run again.
        """
        if frame.shape[1] != self.width or not (self.columns is None or frame.columns.equals(self.columns)):
            return None
        values = frame.to_numpy()
        if values.dtype not in _NUMBERS or not len(values) or not np.isfinite(values).all():
            return None
        return predict_estimator(self.nameless, values, self.target_type, _DRUM_NAME)


def direct_estimator(model: Any, target_type: TargetType) -> DirectEstimator | None:
    """The direct estimator of a fitted model whose predictions are verified to be the same; None for any other."""
    width = getattr(model, "n_features_in_", None)
    nameless = _without_names(model)
    if nameless is None or not isinstance(width, int):
        return None
    names = getattr(model, "feature_names_in_", None)
    direct = DirectEstimator(nameless, None if names is None else pd.Index(names), width, target_type)
    try:
        return direct if _agrees(direct, model) else None
    except Exception:  # the model cannot predict the sample: the general path reports why
        return None


def only_sklearn(model: Any) -> bool:
    """No parameter of ``model``, a scikit-learn object, holds other code, such as a user's metric."""
    values = model.get_params().values()
    return all(type(value).__module__.partition(".")[0] in _OWN and not callable(value) for value in values)


def _without_names(model: Any) -> Any | None:
    """A shallow copy without feature names; None for a class that may need them."""
    if type(model).__module__ == "sklearn.pipeline" and type(model).__name__ == "Pipeline":
        return _pipeline_without_names(model)
    family = type(model).__module__.partition("sklearn.")
    if family[0] or not family[2].startswith(_FAMILIES):
        return None
    return _drop_names(model)


def _pipeline_without_names(pipeline: Any) -> Any | None:
    """A copy of a pipeline of scalers and an estimator. Only its first step receives a frame, the others arrays."""
    *scalers, (last, estimator) = pipeline.steps
    if not scalers or any(type(step).__name__ not in _SCALERS or _outputs_frames(step) for _, step in scalers):
        return None
    nameless = _without_names(estimator)
    if nameless is None:
        return None
    copied = _drop_names(pipeline)
    copied.steps = [*((name, _drop_names(step)) for name, step in scalers), (last, nameless)]
    return copied


def _outputs_frames(step: Any) -> bool:
    config = sys.modules["sklearn"].get_config().get("transform_output", "default")
    return hasattr(step, "_sklearn_output_config") or config != "default"


def _drop_names(estimator: Any) -> Any:
    copied = copy.copy(estimator)
    vars(copied).pop("feature_names_in_", None)
    return copied


def _agrees(direct: DirectEstimator, model: Any) -> bool:
    """Both give the same predictions for a few rows of floats and of integers."""
    numbers = np.arange(3 * direct.width).reshape(3, direct.width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for values in (numbers, numbers / 7 - 1):
            frame = pd.DataFrame(values, columns=direct.columns)
            found = direct.predict(frame)
            if found is None:
                return False
            expected, labels = predict_estimator(model, frame, direct.target_type, _DRUM_NAME)
            if not isinstance(expected, np.ndarray) or labels != found[1]:
                return False
            if expected.dtype != found[0].dtype or not np.array_equal(expected, found[0]):
                return False
    return True
