"""Predictions past scikit-learn's checks are those with them, or are not made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, VotingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from drum_litestar.predictors.native.artifacts.sklearn_direct import direct_estimator
from drum_litestar.predictors.protocol import TargetType

COLUMNS = ["a", "b", "c"]
FRAME = pd.DataFrame(np.random.default_rng(5).normal(size=(60, 3)), columns=COLUMNS)
TARGET = FRAME["a"] * 2 - FRAME["b"] + 0.1
LABELS = np.where(TARGET > 0, "yes", "no")


class Mine(Ridge):
    """A user's own class may do anything."""


@pytest.mark.parametrize(
    "model",
    [
        Ridge(),
        LinearRegression(),
        DecisionTreeRegressor(max_depth=4),
        GradientBoostingRegressor(n_estimators=5),
        KNeighborsRegressor(),
        make_pipeline(StandardScaler(), Ridge()),
        make_pipeline(MinMaxScaler(), StandardScaler(), DecisionTreeRegressor(max_depth=3)),
    ],
)
@pytest.mark.parametrize("rows", [1, 7, 60])
def test_the_same_to_the_last_bit(model: Any, rows: int) -> None:
    model.fit(FRAME, TARGET)
    direct = direct_estimator(model, TargetType.REGRESSION)
    assert direct is not None
    for frame in (FRAME.head(rows), (FRAME.head(rows) * 10).astype("int64"), FRAME.head(rows).assign(a=3)):
        found = direct.predict(frame)
        assert found is not None
        assert found[0].tobytes() == model.predict(frame).tobytes()


@pytest.mark.parametrize("model", [LogisticRegression(), RandomForestClassifier(n_estimators=5)])
def test_probabilities_and_labels(model: Any) -> None:
    model.fit(FRAME, LABELS)
    direct = direct_estimator(model, TargetType.BINARY)
    assert direct is not None
    found = direct.predict(FRAME)
    assert found is not None
    assert found[0].tobytes() == model.predict_proba(FRAME).tobytes()
    assert found[1] == ["no", "yes"]


def test_a_model_that_was_fitted_without_names() -> None:
    model = Ridge().fit(FRAME.to_numpy(), TARGET)
    direct = direct_estimator(model, TargetType.REGRESSION)
    assert direct is not None
    assert direct.predict(FRAME) is not None


@pytest.mark.parametrize(
    "model",
    [
        Mine(),
        DummyClassifier(),
        VotingRegressor([("ridge", Ridge())]),
        make_pipeline(FunctionTransformer(), Ridge()),
        Pipeline([("columns", ColumnTransformer([("a", StandardScaler(), ["a"])])), ("ridge", Ridge())]),
        make_pipeline(StandardScaler().set_output(transform="pandas"), Ridge()),
        make_pipeline(Ridge()),
    ],
)
def test_models_that_need_the_frame(model: Any) -> None:
    model.fit(FRAME, TARGET if not isinstance(model, DummyClassifier) else LABELS)
    assert direct_estimator(model, TargetType.REGRESSION) is None


def test_what_is_not_fitted_or_cannot_serve_the_target() -> None:
    assert direct_estimator(Ridge(), TargetType.REGRESSION) is None
    assert direct_estimator(SVC().fit(FRAME, LABELS), TargetType.BINARY) is None  # has no probabilities
    assert direct_estimator(Ridge().fit(FRAME, TARGET), TargetType.BINARY) is None
    assert direct_estimator(object(), TargetType.REGRESSION) is None


@pytest.mark.parametrize(
    "frame",
    [
        FRAME[["b", "a", "c"]],
        FRAME.rename(columns={"a": "z"}),
        FRAME.assign(d=1.0),
        FRAME[["a", "b"]],
        FRAME.assign(a="text"),
        FRAME.astype({"a": "bool"}),
        FRAME.assign(a=np.nan),
        FRAME.assign(a=pd.array([None] * 60, dtype="Int64")),
        FRAME.head(0),
    ],
)
def test_frames_that_the_model_itself_has_to_judge(frame: pd.DataFrame) -> None:
    direct = direct_estimator(Ridge().fit(FRAME, TARGET), TargetType.REGRESSION)
    assert direct is not None
    assert direct.predict(frame) is None


def test_the_model_itself_is_left_as_it_was() -> None:
    model = make_pipeline(StandardScaler(), Ridge()).fit(FRAME, TARGET)
    assert direct_estimator(model, TargetType.REGRESSION) is not None
    assert list(model.feature_names_in_) == COLUMNS
    assert list(model.steps[0][1].feature_names_in_) == COLUMNS
