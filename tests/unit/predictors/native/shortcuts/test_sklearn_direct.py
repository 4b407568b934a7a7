"""Direct predictions equal those with scikit-learn's checks, or are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, VotingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from drum_litestar.observability.bare.ended import unpack
from drum_litestar.observability.bare.tracer import SpanProvider
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.observability.tracing.traced_predictor import traced
from drum_litestar.predictors.native.shortcuts.sklearn_direct import direct_estimator, only_sklearn
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply, TargetType
from support.servers.otlp import Items

COLUMNS = ["a", "b", "c"]
FRAME = pd.DataFrame(np.random.default_rng(5).normal(size=(60, 3)), columns=COLUMNS)
TARGET = FRAME["a"] * 2 - FRAME["b"] + 0.1
LABELS = np.where(TARGET > 0, "yes", "no")


class Mine(Ridge):  # type: ignore[misc]
    """An estimator of the user's, which is never called directly."""


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
def test_predictions_are_bit_identical(model: Any, rows: int) -> None:
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


def test_models_that_are_not_fitted_or_do_not_fit_the_target() -> None:
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
def test_frames_left_to_the_model(frame: pd.DataFrame) -> None:
    direct = direct_estimator(Ridge().fit(FRAME, TARGET), TargetType.REGRESSION)
    assert direct is not None
    assert direct.predict(frame) is None


def test_the_model_is_not_changed() -> None:
    model = make_pipeline(StandardScaler(), Ridge()).fit(FRAME, TARGET)
    assert direct_estimator(model, TargetType.REGRESSION) is not None
    assert list(model.feature_names_in_) == COLUMNS
    assert list(model.steps[0][1].feature_names_in_) == COLUMNS


CALLED_IN: list[str] = []


def weights(distances: Any) -> Any:
    """A function of the user's, held by a parameter of a model."""
    CALLED_IN.append(getattr(trace.get_current_span(), "name", ""))
    return np.ones_like(distances)


class Forest:
    """A class outside scikit-learn."""


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Ridge(random_state=np.random.RandomState(1)), True),
        (make_pipeline(StandardScaler(), KNeighborsRegressor()), True),
        (GradientBoostingRegressor(init=Ridge()), True),
        (GradientBoostingRegressor(init=Mine()), False),
        (GradientBoostingRegressor(init=Forest()), False),
        (KNeighborsRegressor(weights=weights), False),
        (make_pipeline(StandardScaler(), KNeighborsRegressor(weights=weights)), False),
    ],
)
def test_parameters_with_other_code_are_recognised(model: Any, expected: bool) -> None:
    assert only_sklearn(model) is expected


@pytest.mark.parametrize("model", [KNeighborsRegressor(weights=weights), KNeighborsRegressor()])
def test_a_users_function_runs_within_the_step(serve_folder: Any, model: Any) -> None:
    CALLED_IN.clear()
    items = Items()
    provider = SpanProvider(SimpleSpanProcessor(items), Resource.create())
    with_spans = traced(serve_folder({"model.pkl": model.fit(FRAME, TARGET)}), Tracing(provider))
    CALLED_IN.clear()
    trace_context = {"traceparent": f"00-{7:032x}-{8:016x}-01"}
    body = FRAME.head(1).to_csv(index=False).encode()
    reply = with_spans.handle(ModelCall(kind="predict", x=Payload(data=body, size=len(body)), trace=trace_context))
    assert isinstance(reply, Reply)
    assert reply.status == 200
    assert reply.span is not None
    assert [step[0] for step in unpack(reply.span.steps)] == ["parse", "model", "serialize"]
    assert (["model"] if callable(model.weights) else []) == CALLED_IN
    provider.shutdown()
