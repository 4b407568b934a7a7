"""Direct predictions equal those with scikit-learn's checks, or are refused."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sklearn.base import clone, is_classifier
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingRegressor,
)
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from bit_equality import csv_of, parser
from drum_litestar.observability.tracing.traced_predictor import traced
from drum_litestar.predictors.native.native_predictor import NativePredictor
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvTable
from drum_litestar.predictors.native.shortcuts.sklearn_direct import direct_model, only_library_code
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply, TargetType
from drum_litestar.predictors.spec import PredictorSpec
from native_serving import csv_call

COLUMNS = ["a", "b", "c"]
FRAME = pd.DataFrame(np.random.default_rng(5).normal(size=(60, 3)), columns=COLUMNS)
TARGET = FRAME["a"] * 2 - FRAME["b"] + 0.1
LABELS = np.where(TARGET > 0, "yes", "no")
PARSE = parser()


class Mine(Ridge):  # type: ignore[misc]
    """An estimator of the user's, which is never called directly."""


class MyScaler(StandardScaler):  # type: ignore[misc]
    """A transformer of the user's."""


def table_of(frame: pd.DataFrame) -> CsvTable:
    table = PARSE(csv_of(frame))
    assert table is not None
    return table


def as_read(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(csv_of(frame)))


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
    direct = direct_model(model, TargetType.REGRESSION)
    assert direct is not None
    for frame in (FRAME.head(rows), (FRAME.head(rows) * 10).astype("int64"), FRAME.head(rows).assign(a=3)):
        found = direct.predict(table_of(frame))
        assert found is not None
        assert found[0].tobytes() == model.predict(as_read(frame)).tobytes()


@pytest.mark.parametrize("model", [LogisticRegression(), RandomForestClassifier(n_estimators=5)])
def test_probabilities_and_labels(model: Any) -> None:
    model.fit(FRAME, LABELS)
    direct = direct_model(model, TargetType.BINARY)
    assert direct is not None
    found = direct.predict(table_of(FRAME))
    assert found is not None
    assert found[0].tobytes() == model.predict_proba(as_read(FRAME)).tobytes()
    assert found[1] == ["no", "yes"]


def test_a_model_that_was_fitted_without_names() -> None:
    model = Ridge().fit(FRAME.to_numpy(), TARGET)
    direct = direct_model(model, TargetType.REGRESSION)
    assert direct is not None
    assert direct.predict(table_of(FRAME)) is not None


def only(transformer: Any, columns: Any = ("a", "b")) -> Any:
    """A pipeline of a ColumnTransformer with one transformer, and an estimator."""
    chosen = list(columns) if isinstance(columns, tuple) else columns
    return make_pipeline(ColumnTransformer([("first", transformer, chosen)]), Ridge())


SCALED = ("a", StandardScaler(), ["c"])


@pytest.mark.parametrize(
    "model",
    [
        Mine(),
        DummyClassifier(),
        VotingRegressor([("ridge", Ridge())]),
        make_pipeline(FunctionTransformer(), Ridge()),
        make_pipeline(StandardScaler().set_output(transform="pandas"), Ridge()),
        make_pipeline(Ridge()),
        make_pipeline(ColumnTransformer([SCALED])),
        only(MyScaler()),
        only(make_pipeline(MyScaler(), StandardScaler())),
        only(FunctionTransformer(np.abs)),
        only("passthrough"),
        only(SelectKBest(f_regression, k=1)),
        only(StandardScaler(), [0, 1]),
        only(StandardScaler(), slice(0, 2)),
        only(StandardScaler(), [True, False, True]),
        only(StandardScaler().set_output(transform="pandas")),
        only(make_pipeline(StandardScaler(), MinMaxScaler().set_output(transform="pandas"))),
        only(StandardScaler()).set_output(transform="pandas"),
        make_pipeline(ColumnTransformer([SCALED], transformer_weights={"a": 2}), Ridge()),
        make_pipeline(ColumnTransformer([SCALED], remainder="passthrough"), Ridge()),
    ],
)
def test_models_that_need_the_frame(model: Any) -> None:
    model.fit(FRAME, LABELS if isinstance(model, DummyClassifier) else TARGET)
    assert direct_model(model, TargetType.REGRESSION) is None


@pytest.mark.parametrize(
    "model",
    [
        only(StandardScaler(), make_column_selector(dtype_include=float)),  # chooses names when it is fitted
        make_pipeline(ColumnTransformer([SCALED], remainder=MinMaxScaler()), Ridge()),
        make_pipeline(ColumnTransformer([SCALED, ("b", "drop", ["a"])]), Mine()),
        make_pipeline(ColumnTransformer([SCALED]), MyScaler(), Ridge()),
        make_pipeline(ColumnTransformer([SCALED]), MyScaler().set_output(transform="pandas"), Ridge()),
        only(make_pipeline(StandardScaler(), MyScaler())),
    ],
)
def test_later_steps_of_any_kind_receive_what_they_always_do(model: Any) -> None:
    model.fit(FRAME, TARGET)
    direct = direct_model(model, TargetType.REGRESSION)
    assert direct is not None
    for frame in (FRAME, FRAME.head(1), FRAME[["c", "b", "a"]].assign(d="text")):
        found = direct.predict(table_of(frame))
        assert found is not None
        assert found[0].tobytes() == model.predict(as_read(frame)).tobytes()


def test_models_that_are_not_fitted_or_do_not_fit_the_target() -> None:
    assert direct_model(Ridge(), TargetType.REGRESSION) is None
    assert direct_model(only(StandardScaler()), TargetType.REGRESSION) is None
    assert direct_model(SVC().fit(FRAME, LABELS), TargetType.BINARY) is None  # has no probabilities
    assert direct_model(Ridge().fit(FRAME, TARGET), TargetType.BINARY) is None
    assert direct_model(object(), TargetType.REGRESSION) is None


@pytest.mark.parametrize(
    "frame",
    [
        FRAME[["b", "a", "c"]],
        FRAME.rename(columns={"a": "z"}),
        FRAME.assign(d=1.0),
        FRAME[["a", "b"]],
        FRAME.assign(a="text"),
        FRAME.assign(a=True),
        FRAME.assign(a=np.nan),
        FRAME.assign(a=np.inf),
        FRAME.assign(a=2**63),
        FRAME.assign(a="2024-01-31"),
    ],
)
def test_tables_left_to_the_model(frame: pd.DataFrame) -> None:
    direct = direct_model(Ridge().fit(FRAME, TARGET), TargetType.REGRESSION)
    assert direct is not None
    table = table_of(frame)
    assert direct.predict(table) is None
    assert direct.predict(table_of(FRAME)) is not None
    assert direct.predict(table) is None


def test_the_model_is_not_changed() -> None:
    for model in (make_pipeline(StandardScaler(), Ridge()), only(make_pipeline(SimpleImputer(), StandardScaler()))):
        model.fit(FRAME, TARGET)
        assert direct_model(model, TargetType.REGRESSION) is not None
        assert list(model.feature_names_in_) == COLUMNS
        assert list(model.steps[0][1].feature_names_in_) == COLUMNS
    (_, inner, _), *_ = model.steps[0][1].transformers_
    assert list(inner.feature_names_in_) == list(inner.steps[0][1].feature_names_in_) == ["a", "b"]


# pipelines that begin with a ColumnTransformer

ROWS = 80
RNG = np.random.default_rng(11)
TABLE = pd.DataFrame(
    {
        "size": RNG.lognormal(3, 2, ROWS),
        "ratio": RNG.normal(size=ROWS) / 7,
        "count": RNG.integers(0, 9, ROWS),
        "level": RNG.integers(0, 4, ROWS),
        "town": np.array(["Bonn", "Köln, am Rhein", 'the "other"', " x "])[RNG.integers(0, 4, ROWS)],
        "kind": np.array(["a", "b", "b", "b"])[RNG.integers(0, 4, ROWS)],
    }
)
TABLE.loc[::6, "ratio"] = np.nan
TABLE.loc[1::7, "town"] = None
AMOUNT = TABLE["size"].rank() / 9 + TABLE["count"] + RNG.normal(size=ROWS)
RANKS = AMOUNT.rank().astype(int) - 1
NUMBERS = ["size", "ratio", "count"]


def lenient(**options: Any) -> Any:
    return OneHotEncoder(handle_unknown="ignore", **options)


def codes(**options: Any) -> Any:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, **options)


def of_columns(*branches: tuple[Any, list[str]], **options: Any) -> Any:
    named = [(f"branch{number}", *branch) for number, branch in enumerate(branches)]
    return ColumnTransformer(named, **options)


def imputed(strategy: str, *others: Any, **options: Any) -> Any:
    imputer = SimpleImputer(strategy=strategy, **options)
    return make_pipeline(imputer, *others) if others else imputer


FEATURES: dict[str, Any] = {
    "mean, one-hot": of_columns(
        (imputed("mean", StandardScaler()), NUMBERS), (imputed("most_frequent", lenient()), ["town", "kind"])
    ),
    "median, indicator, dense": of_columns(
        (imputed("median", RobustScaler(), add_indicator=True), NUMBERS),
        (imputed("constant", lenient(sparse_output=False), fill_value="none"), ["town"]),
    ),
    "most frequent number, codes": of_columns(
        (imputed("most_frequent", MinMaxScaler()), NUMBERS), (codes(encoded_missing_value=-2), ["town", "kind"])
    ),
    "constant number, unknown is an error": of_columns(
        (imputed("constant", fill_value=-1), NUMBERS), (OneHotEncoder(), ["kind"]), (OneHotEncoder(), ["town"])
    ),
    "zeros, unknown is an error": of_columns(
        (imputed("constant", MaxAbsScaler()), NUMBERS), (OrdinalEncoder(), ["level", "count"])
    ),
    "infrequent, drop": of_columns(
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20), ["town"]),
        (OneHotEncoder(drop="first"), ["level"]),
        (OneHotEncoder(drop="if_binary", handle_unknown="ignore"), ["kind"]),
    ),
    "sparse": of_columns((imputed("mean", MaxAbsScaler()), NUMBERS), (lenient(), ["town"]), sparse_threshold=1.0),
    "only sparse": of_columns((lenient(), ["town", "kind"]), (lenient(), ["level", "count"])),
    "text and numbers in one": of_columns((imputed("most_frequent", codes()), ["town", "count"])),
    "text with indicator": of_columns(
        (imputed("most_frequent", lenient(dtype=np.float32), add_indicator=True), ["town"])
    ),
    "no imputer": of_columns((StandardScaler(), ["count", "level"]), (MinMaxScaler(), ["size"]), n_jobs=1),
    "dropped": of_columns((imputed("mean"), ["size"]), ("drop", ["ratio"]), (codes(), ["level"])),
    "rest": of_columns((imputed("mean"), NUMBERS), ("drop", ["town", "kind"]), remainder=imputed("median")),
    "passthrough": of_columns((imputed("mean"), ["size", "ratio"]), ("passthrough", ["count"])),
    "rest passes": of_columns((imputed("mean"), NUMBERS), ("drop", ["town", "kind"]), remainder="passthrough"),
}
NOT_DIRECT = ("passthrough", "rest passes")
FINALS: tuple[tuple[Any, ...], ...] = (
    (Ridge(),),
    (LogisticRegression(max_iter=9),),
    (RandomForestClassifier(n_estimators=5),),
    (MaxAbsScaler(), KNeighborsClassifier()),
    (MaxAbsScaler(), MLPClassifier(hidden_layer_sizes=(5,), max_iter=3)),
    (KNeighborsRegressor(),),
)
MORE_FINALS: tuple[tuple[Any, ...], ...] = (
    (HistGradientBoostingRegressor(max_iter=3),),
    (SVC(probability=True),),
    (RandomForestRegressor(n_estimators=5),),
)
CASES = [(name, FINALS[number % len(FINALS)], 3) for number, name in enumerate(FEATURES)]
CASES += [("median, indicator, dense", final, 2) for final in MORE_FINALS]


def variants(rows: int) -> Iterator[pd.DataFrame]:
    """The first is such as the model was fitted on."""
    frame = TABLE.iloc[9 : 9 + rows].reset_index(drop=True)
    yield frame
    yield TABLE.iloc[:rows]  # begins with a blank
    yield frame.assign(size=range(rows), ratio=7)
    yield frame.assign(count=frame["count"] + 0.5, level=frame["level"].astype(float))
    yield frame.assign(level=0.5)
    yield frame[frame.columns[::-1]].assign(more="text", other=1)
    yield frame.drop(columns="size")
    yield frame.drop(columns=["town", "kind"])
    yield frame.drop(columns="level")
    yield frame.assign(ratio=None, town=None)
    yield frame.assign(**dict.fromkeys(frame.columns))
    yield frame.assign(kind="new", town="new")
    yield frame.assign(level=77)
    yield frame.assign(count=True, kind=False)
    yield frame.assign(town=([True, None] * rows)[:rows], kind=(["a", True] * rows)[:rows])
    yield frame.assign(town="2024-01-31", kind="2024-01-31T10:00:00Z")
    yield frame.assign(size="2024-01-31")
    yield frame.assign(count=2**63)
    yield frame.assign(count=2**62 + 1, level=2**70)
    yield frame.assign(size=np.inf)
    yield frame.assign(ratio=-np.inf, kind="b")
    yield frame.assign(size=1e308, ratio=5e-324)
    yield frame.assign(size="text")
    yield frame.assign(town=3, kind=4.5)
    yield frame.assign(town=(["Bonn", 3.5] * rows)[:rows], count=([1, "x"] * rows)[:rows])


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(("name", "final", "classes"), CASES, ids=[str(number) for number in range(len(CASES))])
def test_answers_are_those_without_shortcuts(make_folder: Any, name: str, final: tuple[Any, ...], classes: int) -> None:
    numeric = not is_classifier(final[-1])
    labels = np.array(["low", "high", "other"])[RANKS * classes // ROWS]
    model = make_pipeline(clone(FEATURES[name]), *map(clone, final))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few iterations
        folder = make_folder({"model.pkl": model.fit(TABLE, AMOUNT if numeric else labels)})
    fields: dict[str, Any] = {"target_type": TargetType.REGRESSION}
    if not numeric:
        fields = {"target_type": TargetType.MULTICLASS, "class_labels": tuple(np.unique(labels))}
        if classes == 2:
            binary = {"positive_class_label": "high", "negative_class_label": "low"}
            fields = {"target_type": TargetType.BINARY, **binary}
    frames = [frame for rows in (1, 9) for frame in variants(rows)]
    answers: dict[bool, list[Reply]] = {}
    for shortcuts in (True, False):
        predictor = NativePredictor(PredictorSpec(code_dir=str(folder), shortcuts=shortcuts, **fields))
        description = predictor.load().description
        assert ("scikit-learn without frames" in description) is (shortcuts and name not in NOT_DIRECT)
        answers[shortcuts] = [as_reply(predictor.handle(csv_call(csv_of(frame)))) for frame in frames]
        predictor.close()
    for frame, ours, plain in zip(frames, answers[True], answers[False], strict=True):
        assert (ours.status, ours.body, ours.headers) == (plain.status, plain.body, plain.headers), frame
    assert answers[True][0].status == 200
    direct = direct_model(model, fields["target_type"])
    if direct is not None:
        for found in (direct.predict(table_of(frame)) for frame in (frames[0], frames[-25], frames[5])):
            assert found is not None


def as_reply(answer: Any) -> Reply:
    assert isinstance(answer, Reply)
    return answer


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
        (make_pipeline(SelectKBest(f_regression), OneHotEncoder(dtype=np.float32)), True),
        (make_pipeline(SelectKBest(weights), Ridge()), False),
        (make_pipeline(FunctionTransformer(np.abs), Ridge()), False),
        (only(make_pipeline(SimpleImputer(), StandardScaler())), True),
        (only(make_pipeline(SimpleImputer(), MyScaler())), False),
        (make_pipeline(StandardScaler(), KNeighborsRegressor(weights=weights)), False),
    ],
)
def test_parameters_with_other_code_are_recognised(model: Any, expected: bool) -> None:
    assert only_library_code(model) is expected


@pytest.mark.parametrize("model", [KNeighborsRegressor(weights=weights), KNeighborsRegressor()])
def test_a_users_function_runs_within_the_step(serve_folder: Any, model: Any) -> None:
    CALLED_IN.clear()
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    predictor = serve_folder({"model.pkl": model.fit(FRAME, TARGET)})
    with_spans = traced(predictor, provider.get_tracer("steps"), reports=True, steps=True)
    CALLED_IN.clear()
    trace_context = {"traceparent": f"00-{7:032x}-{8:016x}-01"}
    body = FRAME.head(1).to_csv(index=False).encode()
    reply = with_spans.handle(ModelCall(kind="predict", x=Payload(data=body, size=len(body)), trace=trace_context))
    assert isinstance(reply, Reply)
    assert reply.status == 200
    assert reply.span is not None
    steps = ["parse", "model", "serialize"]
    assert [span.name for span in exporter.get_finished_spans()] == steps
    assert list(reply.span.attributes) == [f"drum.{step}.duration_ms" for step in steps]
    assert (["model"] if callable(model.weights) else []) == CALLED_IN
    provider.shutdown()
