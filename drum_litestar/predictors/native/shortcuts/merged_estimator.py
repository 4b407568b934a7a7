"""Predictions of merged calls by scikit-learn models, with the bits that each call alone would give.

A step is *row-wise* if the output for a row does not depend on the rows beside it: scalers, encoders and imputers
treat each value alone, trees each row. Linear algebra is not: a product of matrices rounds differently with the number
of rows. So the transformers of a pipeline, which take most of its time, run once for all rows, and an estimator that is
not row-wise predicts the rows of each call apart, from an array with the memory layout that a single call gives it.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from drum_litestar.predictors.native.frameworks.base import last_step, predict_estimator
from drum_litestar.predictors.native.shortcuts.sklearn_direct import (
    DRUM_NAME,
    DirectModel,
    Features,
    XgboostWithoutNames,
    only_library_code,
    outputs_frames,
)
from drum_litestar.predictors.protocol import TargetType

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_TRANSFORMERS: Final = frozenset(
    {
        "Binarizer",
        "KBinsDiscretizer",
        "MaxAbsScaler",
        "MinMaxScaler",
        "MissingIndicator",
        "OneHotEncoder",
        "OrdinalEncoder",
        "RobustScaler",
        "SelectKBest",
        "SelectPercentile",
        "SimpleImputer",
        "StandardScaler",
        "VarianceThreshold",
    }
)
"""Row-wise transformers of scikit-learn, whatever their parameters."""
_TREES: Final = frozenset(
    {"DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"}
)
_FORESTS: Final = frozenset(
    {"ExtraTreesClassifier", "ExtraTreesRegressor", "RandomForestClassifier", "RandomForestRegressor"}
)
_BOOSTED: Final = frozenset(
    {
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
        "HistGradientBoostingClassifier",
        "HistGradientBoostingRegressor",
    }
)
_ELEMENTWISE_LOSSES: Final = frozenset({"absolute_error", "huber", "log_loss", "quantile", "squared_error"})
_XGBOOST: Final = frozenset({"XGBClassifier", "XGBRegressor"})
_LINEAR_REGRESSORS: Final = frozenset({"ElasticNet", "HuberRegressor", "Lasso", "LinearRegression", "Ridge", "RidgeCV"})
_LINEAR_CLASSIFIERS: Final = frozenset({"LogisticRegression", "LogisticRegressionCV"})
_QUICK: Final = ("sklearn.linear_model", "sklearn.naive_bayes", "sklearn.discriminant_analysis")
"""Modules of estimators that are not row-wise and take microseconds for a call."""


class LinearModel(NamedTuple):
    """A linear model that multiplies the rows of several calls one by one, with the kernel of a call of one row.

    ``numpy.matmul`` of a stack of matrices applies the same kernel to each of them. Adding the intercept, and turning
    the sums into probabilities, is done for all rows at once: that is row-wise.
    """

    estimator: Any

    def predict(self, features: Any, target_type: TargetType) -> tuple[Any, list[Any] | None] | None:
        """The result of ``predict_estimator``; None for features that the estimator must check, or would reject."""
        if not isinstance(features, np.ndarray) or features.dtype != np.float64 or not np.isfinite(features).all():
            return None
        rows, width = features.shape
        sums = np.matmul(np.ascontiguousarray(features).reshape(rows, 1, width), self.estimator.coef_.T)
        sums = sums.reshape(rows, -1) + self.estimator.intercept_
        sums = sums.ravel() if sums.shape[1] == 1 else sums
        if not target_type.is_classification:
            return sums, None
        scored = copy.copy(self.estimator)
        scored.decision_function = lambda _: sums
        return predict_estimator(scored, features, target_type, DRUM_NAME)


def linear_model(estimator: Any, target_type: TargetType) -> LinearModel | None:
    """A fitted estimator as a :class:`LinearModel`, if that gives the same bits for a sample; None for any other."""
    name = _own_name(estimator)
    coefficients = getattr(estimator, "coef_", None)
    if name not in (_LINEAR_CLASSIFIERS if target_type.is_classification else _LINEAR_REGRESSORS):
        return None
    if not isinstance(coefficients, np.ndarray) or coefficients.dtype != np.float64:
        return None
    linear = LinearModel(estimator)
    magnitudes = 10.0 ** np.arange(-4, 4).repeat(8)
    sample = np.random.default_rng(1).normal(size=(64, coefficients.shape[-1])) * magnitudes[:, np.newaxis]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of feature names, of overflows
            found = linear.predict(sample, target_type)
            # Copies, since some BLAS round by the alignment of the data, and each call has an array of its own.
            singles = [
                predict_estimator(estimator, np.array(row[np.newaxis]), target_type, DRUM_NAME) for row in sample
            ]
    except Exception:  # the model cannot predict the sample
        return None
    if found is None or found[1] != singles[0][1]:
        return None
    return linear if np.array_equal(found[0], np.concatenate([values for values, _ in singles])) else None


class _Steps(NamedTuple):
    transformers: Any | None
    """The row-wise steps before the estimator, a Pipeline; None without any."""
    estimator: Any
    row_wise: bool
    """The estimator is row-wise, too."""
    linear: LinearModel | None
    """The estimator, if it is linear, for calls of one row each."""

    def predict(
        self, rows: Any, lengths: Sequence[int], target_type: TargetType
    ) -> tuple[Any, list[Any] | None] | None:
        features = rows if self.transformers is None else self.transformers.transform(rows)
        if self.row_wise:
            return predict_estimator(self.estimator, features, target_type, DRUM_NAME)
        if not isinstance(features, np.ndarray) and getattr(features, "format", "") != "csr":
            return None
        if self.linear is not None and features.shape[0] == len(lengths):  # each call has one row
            found = self.linear.predict(features, target_type)
            if found is not None:
                return found
        ends = list(accumulate(lengths))
        parts = [
            predict_estimator(self.estimator, _part(features, end - length, end), target_type, DRUM_NAME)
            for length, end in zip(lengths, ends)
        ]
        if not all(isinstance(values, np.ndarray) for values, _ in parts):
            return None
        return np.concatenate([values for values, _ in parts]), parts[0][1]


class MergedModel(NamedTuple):
    """A model that predicts the rows of several calls."""

    features: Features | None
    """What makes the blocks for :meth:`predict_blocks`; None if the model predicts from frames."""
    steps: _Steps
    """Those after the features, or all."""
    target_type: TargetType

    @property
    def worthwhile(self) -> bool:
        """One prediction for several calls takes much less time than one for each."""
        return self.steps.row_wise or _own_module(self.steps.estimator).startswith(_QUICK)

    def predict_blocks(
        self, blocks: Sequence[NDArray[Any]], lengths: Sequence[int]
    ) -> tuple[Any, list[Any] | None] | None:
        """The result of ``predict_estimator`` for the rows of calls with so many rows each.

        None where the features of each call cannot be had apart.
        """
        if self.features is None:
            return None
        return self.steps.predict(self.features.transform(blocks), lengths, self.target_type)

    def predict_frame(self, frame: pd.DataFrame, lengths: Sequence[int]) -> tuple[Any, list[Any] | None] | None:
        """As :meth:`predict_blocks`, for a frame."""
        return self.steps.predict(frame, lengths, self.target_type) if self.features is None else None


def merged_model(model: Any, direct: DirectModel | None, target_type: TargetType) -> MergedModel | None:
    """``model`` for merged calls; None for a model whose transformers are not known to be row-wise.

    ``direct``: the same model for tables. An estimator without transformers that is not row-wise is predicted only by
    it, because the memory layout of parts of a frame is not that of a single call's.
    """
    split = _split(model)
    if split is None:
        return None
    row_wise = _is_row_wise_estimator(split[1])
    features = None
    if direct is not None:
        by_features = (
            (None, direct.further) if isinstance(direct.further, XgboostWithoutNames) else _split(direct.further)
        )
        if by_features is not None:
            features, split = direct.features, by_features
    transformers, estimator = split
    if features is None and transformers is None and not row_wise:
        return None
    steps = _Steps(transformers, estimator, row_wise, linear_model(estimator, target_type))
    return MergedModel(features, steps, target_type)


def _split(model: Any) -> tuple[Any | None, Any] | None:
    """A model's row-wise transformers, None without any, and its estimator; None if others may be among them."""
    if not _own_module(model) or not hasattr(model, "get_params") or not only_library_code(model):
        return None
    last = last_step(model)
    if last is None:
        return None, model
    if len(model.steps) < 2 or not _own_module(last) or not all(_is_row_wise(step) for _, step in model.steps[:-1]):
        return None
    return model[:-1], last


def _is_row_wise(step: Any) -> bool:
    if step is None or isinstance(step, str):  # "passthrough", "drop"
        return True
    name = _own_name(step)
    if outputs_frames(step):
        return False
    if name == "Pipeline":
        return all(_is_row_wise(part) for _, part in step.steps)
    if name == "ColumnTransformer":
        return all(_is_row_wise(part) for _, part, _ in step.transformers_)
    if name == "FeatureUnion":
        return all(_is_row_wise(part) for _, part in step.transformer_list)
    if name == "FunctionTransformer":  # what a fitted ColumnTransformer makes of "passthrough"
        return step.func is None
    return name in _TRANSFORMERS


def _is_row_wise_estimator(estimator: Any) -> bool:
    name = _own_name(estimator)
    if name in _TREES:
        return True
    if name in _FORESTS:  # threads add the trees' votes in any order
        return estimator.n_jobs in (None, 1)
    if name in _BOOSTED:
        classes = getattr(estimator, "classes_", ())
        return (
            estimator.loss in _ELEMENTWISE_LOSSES
            and getattr(estimator, "init", None) in (None, "zero")
            and len(classes) in (0, 2)  # sums over more classes depend on the memory layout
        )
    return name in _XGBOOST and estimator.booster in (None, "gbtree") and estimator.n_jobs in (None, 1)


def _own_name(step: Any) -> str:
    """The class's name; empty for a class that is neither scikit-learn's nor XGBoost's own."""
    return type(step).__name__ if _own_module(step) else ""


def _own_module(step: Any) -> str:
    module = type(step).__module__
    return module if module.partition(".")[0] in ("sklearn", "xgboost") else ""


def _part(features: Any, start: int, end: int) -> Any:
    part = features[start:end]
    if not isinstance(features, np.ndarray):
        return part
    return np.array(part, order="C" if features.flags.c_contiguous else "F")
