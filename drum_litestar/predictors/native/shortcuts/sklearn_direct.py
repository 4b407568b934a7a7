"""scikit-learn's own estimators without their checks of the frame: the same predictions for a fifth of the price.

Given a DataFrame, scikit-learn looks at each column's type and name before it turns the whole into one array, which
takes half a millisecond however few rows there are. Where the answer of these checks is known - plain numbers in the
columns that the model was fitted on - the array can be passed at once, to a copy of the model that does not ask for
names.
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
"""Modules of estimators that make one array of their input and nothing else of a frame."""
_SCALERS: Final = frozenset({"StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"})
_OWN: Final = frozenset({"builtins", "numpy", "sklearn"})
_DRUM_NAME: Final = "SKLearnPredictor"
_NUMBERS: Final = (np.dtype(np.float64), np.dtype(np.int64))


class DirectEstimator(NamedTuple):
    """A model of scikit-learn that can be given an array."""

    twin: Any
    """The model, sharing all that it has learned, without the names of its features."""
    columns: pd.Index[Any] | None
    """The features' names, in order; None for a model that was fitted without."""
    width: int
    target_type: TargetType

    def predict(self, frame: pd.DataFrame) -> tuple[Any, list[Any] | None] | None:
        """What ``predict_estimator`` gives for ``frame``; None where scikit-learn has to look at it, or to complain.

        The model runs only where its library has nothing to say against the frame. So what it raises then it would
        raise for the frame too, and nobody needs to run it again. Raises that.
        """
        if frame.shape[1] != self.width or not (self.columns is None or frame.columns.equals(self.columns)):
            return None
        values = frame.to_numpy()
        if values.dtype not in _NUMBERS or not len(values) or not np.isfinite(values).all():
            return None
        return predict_estimator(self.twin, values, self.target_type, _DRUM_NAME)


def direct_estimator(model: Any, target_type: TargetType) -> DirectEstimator | None:
    """For a fitted model whose predictions are known, and seen, to be the same; None for any other."""
    width = getattr(model, "n_features_in_", None)
    twin = _without_names(model)
    if twin is None or not isinstance(width, int):
        return None
    names = getattr(model, "feature_names_in_", None)
    direct = DirectEstimator(twin, None if names is None else pd.Index(names), width, target_type)
    try:
        return direct if _agrees(direct, model) else None
    except Exception:  # no target that it serves, or no rows that it takes: requests will tell
        return None


def only_sklearn(model: Any) -> bool:
    """Whether no parameter of ``model``, one of scikit-learn's, brings code from elsewhere, as a metric may."""
    values = model.get_params().values()
    return all(type(value).__module__.partition(".")[0] in _OWN and not callable(value) for value in values)


def _without_names(model: Any) -> Any | None:
    """A shallow copy that does not know its features' names; None for a class that may need them."""
    if type(model).__module__ == "sklearn.pipeline" and type(model).__name__ == "Pipeline":
        return _pipeline_without_names(model)
    family = type(model).__module__.partition("sklearn.")
    if family[0] or not family[2].startswith(_FAMILIES):
        return None
    return _forget_names(model)


def _pipeline_without_names(pipeline: Any) -> Any | None:
    """Scalers before an estimator. Only the first step is given a frame; it gives the others an array."""
    *scalers, (last, estimator) = pipeline.steps
    if not scalers or any(type(step).__name__ not in _SCALERS or _gives_frames(step) for _, step in scalers):
        return None
    ending = _without_names(estimator)
    if ending is None:
        return None
    twin = _forget_names(pipeline)
    twin.steps = [*((name, _forget_names(step)) for name, step in scalers), (last, ending)]
    return twin


def _gives_frames(step: Any) -> bool:
    config = sys.modules["sklearn"].get_config().get("transform_output", "default")
    return hasattr(step, "_sklearn_output_config") or config != "default"


def _forget_names(estimator: Any) -> Any:
    twin = copy.copy(estimator)
    vars(twin).pop("feature_names_in_", None)
    return twin


def _agrees(direct: DirectEstimator, model: Any) -> bool:
    """Seen on a few rows, of floats and of integers."""
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
