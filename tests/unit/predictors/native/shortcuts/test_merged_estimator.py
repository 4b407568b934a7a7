"""Merged calls have the bits of each call alone: arrays by arrays, and replies by replies."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectKBest, SelectPercentile, VarianceThreshold, f_regression
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNet,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier, XGBRegressor

from bit_equality import SIZES, compare, csv_of, names, numeric_bodies
from drum_litestar.predictors.native.calls.structured import StructuredHandler
from drum_litestar.predictors.native.shortcuts.merged_estimator import linear_model
from drum_litestar.predictors.protocol import TargetType
from native_serving import csv_call

Make = Callable[[], Any]

WIDTHS = (1, *(pytest.param(width, marks=pytest.mark.slow) for width in (2, 7, 9, 64)), 8, 300)
ROWS = 120
REGRESSION, BINARY, MULTICLASS = TargetType.REGRESSION, TargetType.BINARY, TargetType.MULTICLASS


def fitted(model: Any, features: Any, target: Any) -> Any:
    with warnings.catch_warnings(), threadpool_limits(1):  # tests run side by side
        warnings.simplefilter("ignore")  # few iterations
        return model.fit(features, target)


def features(width: int) -> pd.DataFrame:
    values = np.random.default_rng(width).normal(size=(ROWS, width))
    frame: pd.DataFrame = pd.DataFrame(values, columns=names(width))
    return frame


def numbers(frame: pd.DataFrame) -> Any:
    return 3 * frame.iloc[:, 0] + np.random.default_rng(0).normal(size=len(frame))


def codes(values: Any, classes: int) -> Any:
    """Classes of equal size, as integers."""
    return np.argsort(np.argsort(values)) * classes // len(values)


def labels(classes: int) -> Any:
    return np.array([f"k{number:02}" for number in range(classes)])


class Mine(Ridge):  # type: ignore[misc]
    """An estimator of the user's."""


class MyScaler(StandardScaler):  # type: ignore[misc]
    """A transformer of the user's."""


class MyTree(DecisionTreeRegressor):  # type: ignore[misc]
    """A tree of the user's, in none of the tables."""


def ones(distances: Any) -> Any:
    return np.ones_like(distances)


LINEAR: tuple[Make, ...] = (
    Ridge,
    LinearRegression,
    lambda: LinearRegression(fit_intercept=False),
    lambda: LinearRegression(positive=True),
    lambda: Lasso(0.01),
    lambda: ElasticNet(0.01),
    lambda: HuberRegressor(max_iter=5),
    lambda: RidgeCV(alphas=(0.1, 1.0)),
)
LINEAR_CLASSIFIERS: tuple[Make, ...] = (
    lambda: LogisticRegression(max_iter=5),
    lambda: LogisticRegression(max_iter=5, solver="newton-cg", fit_intercept=False),
    lambda: LogisticRegressionCV(Cs=(1.0, 2.0), cv=2, max_iter=3),
)
ROW_WISE: tuple[Make, ...] = (
    lambda: DecisionTreeRegressor(max_depth=8),
    lambda: ExtraTreeRegressor(max_depth=8),
    lambda: RandomForestRegressor(7),
    lambda: RandomForestRegressor(7, n_jobs=1, criterion="absolute_error", max_depth=3),
    lambda: ExtraTreesRegressor(7),
    lambda: GradientBoostingRegressor(n_estimators=4),
    lambda: GradientBoostingRegressor(n_estimators=4, loss="huber"),
    lambda: GradientBoostingRegressor(n_estimators=4, loss="absolute_error"),
    lambda: GradientBoostingRegressor(n_estimators=4, loss="quantile", init="zero"),
    lambda: HistGradientBoostingRegressor(max_iter=4),
    lambda: HistGradientBoostingRegressor(max_iter=4, loss="absolute_error"),
    lambda: HistGradientBoostingRegressor(max_iter=4, loss="quantile", quantile=0.3),
    lambda: XGBRegressor(n_estimators=9, n_jobs=1),
    lambda: XGBRegressor(n_estimators=3, objective="reg:absoluteerror", grow_policy="lossguide"),
)
ROW_WISE_CLASSIFIERS: tuple[Make, ...] = (
    lambda: DecisionTreeClassifier(max_depth=6),
    lambda: ExtraTreeClassifier(max_depth=6),
    lambda: RandomForestClassifier(7, max_depth=4),
    lambda: RandomForestClassifier(7, criterion="entropy", class_weight="balanced"),
    lambda: ExtraTreesClassifier(7, max_depth=4),
    lambda: XGBClassifier(n_estimators=4, n_jobs=1),
)

TRANSFORMERS: tuple[Make, ...] = (
    StandardScaler,
    lambda: MinMaxScaler(clip=True),
    MaxAbsScaler,
    RobustScaler,
    Binarizer,
    lambda: KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"),
    lambda: KBinsDiscretizer(4, encode="ordinal", strategy="uniform"),
    lambda: SimpleImputer(strategy="median"),
    lambda: OneHotEncoder(handle_unknown="ignore"),
    lambda: OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    lambda: SelectKBest(f_regression, k=2),
    lambda: SelectPercentile(f_regression, percentile=30),
    lambda: VarianceThreshold(0.5),
    lambda: make_union(StandardScaler(), MinMaxScaler()),
    lambda: make_union(StandardScaler(), MissingIndicator(features="all")),
    lambda: make_pipeline(StandardScaler(), FunctionTransformer(), "passthrough"),
    lambda: ColumnTransformer([("a", StandardScaler(), ["x1"]), ("b", "passthrough", ["x4", "x0"])], remainder="drop"),
    lambda: ColumnTransformer([("a", "drop", ["x1"])], remainder=MinMaxScaler()),
)


@pytest.mark.parametrize("width", WIDTHS)
def test_linear_regression(width: int) -> None:
    frame = features(width)
    for make in LINEAR:
        model = fitted(make(), frame, numbers(frame))
        found = compare(model, REGRESSION, numeric_bodies(width))
        assert found == (len(SIZES), len(SIZES), 0, "always", True), model


@pytest.mark.parametrize(
    ("width", "classes"),
    [
        pytest.param(width, classes, marks=() if (width, classes) in ((1, 12), (8, 2), (300, 3)) else pytest.mark.slow)
        for width in (1, 8, 300)
        for classes in (2, 3, 12)
    ],
)
def test_logistic_regression(width: int, classes: int) -> None:
    frame = features(width)
    target = labels(classes)[codes(numbers(frame), classes)]
    for make in LINEAR_CLASSIFIERS:
        model = fitted(make(), frame, target)
        found = compare(model, BINARY if classes == 2 else MULTICLASS, numeric_bodies(width))
        assert found == (len(SIZES), len(SIZES), 0, "always", True), model


@pytest.mark.parametrize("width", [9, *(pytest.param(width, marks=pytest.mark.slow) for width in (1, 64))])
def test_row_wise_regressors(width: int) -> None:
    frame = features(width)
    for make in ROW_WISE:
        model = fitted(make(), frame, numbers(frame))
        found = compare(model, REGRESSION, numeric_bodies(width))
        assert (found.merged, found.rule) == (len(SIZES), "always"), model


@pytest.mark.parametrize("classes", [2, 3, pytest.param(12, marks=pytest.mark.slow)])
def test_row_wise_classifiers(classes: int) -> None:
    frame = features(9)
    target = codes(numbers(frame), classes)
    for make in ROW_WISE_CLASSIFIERS:
        found = compare(fitted(make(), frame, target), MULTICLASS, numeric_bodies(9))
        assert (found.merged, found.rule) == (len(SIZES), "always"), make()


@pytest.mark.parametrize(
    ("classes", "rule"), [(2, "always"), (3, "on_request"), pytest.param(12, "on_request", marks=pytest.mark.slow)]
)
def test_boosted_classifiers(classes: int, rule: str) -> None:
    """Of more than two classes each call is predicted alone, so they must have its array."""
    frame = features(5)
    target = labels(classes)[codes(numbers(frame), classes)]
    for make in (GradientBoostingClassifier, HistGradientBoostingClassifier):
        rounds = "n_estimators" if make is GradientBoostingClassifier else "max_iter"
        model = fitted(make_pipeline(StandardScaler(), make(**{rounds: 4})), frame, target)
        found = compare(model, BINARY if classes == 2 else MULTICLASS, numeric_bodies(5))
        assert (found.merged, found.rule) == (len(SIZES), rule), model


@pytest.mark.parametrize("number", range(len(TRANSFORMERS)))
def test_row_wise_transformers(number: int) -> None:
    """Before a linear model, and before one that predicts each call alone."""
    frame = features(9)
    for estimator, rule in ((Ridge(), "always"), (KNeighborsRegressor(), "on_request")):
        model = fitted(make_pipeline(TRANSFORMERS[number](), estimator), frame, numbers(frame))
        found = compare(model, REGRESSION, numeric_bodies(9))
        assert (found.merged, found.rule) == (len(SIZES), rule), model


def test_row_wise_estimators_of_sparse_matrices() -> None:
    frame = features(9)
    makes: tuple[Make, ...] = (
        lambda: DecisionTreeRegressor(max_depth=6),
        lambda: ExtraTreesRegressor(7),
        lambda: GradientBoostingRegressor(n_estimators=4),
        lambda: XGBRegressor(n_estimators=4, n_jobs=1),
    )
    for make in makes:
        transformer = KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf")
        model = fitted(make_pipeline(transformer, make()), frame, numbers(frame))
        found = compare(model, REGRESSION, numeric_bodies(9))
        assert (found.merged, found.rule) == (len(SIZES), "always"), model


def test_trees_take_blanks_and_categories() -> None:
    frame = features(4).assign(x1=np.arange(ROWS) % 5).mask(np.arange(4 * ROWS).reshape(ROWS, 4) % 7 == 0)
    bodies = [csv_of(frame.iloc[start : start + rows]) for start, rows in enumerate(SIZES)]
    for model in (
        HistGradientBoostingRegressor(max_iter=4, categorical_features=["x1"]),
        RandomForestRegressor(7),
        XGBRegressor(n_estimators=4, n_jobs=1),
    ):
        found = compare(fitted(model, frame, np.arange(ROWS) % 11), REGRESSION, bodies)
        assert (found.refused, found.rule) == (0, "always")
        without_blanks = sum(b",," not in body and b",\n" not in body and b"\n," not in body for body in bodies)
        assert 1 < without_blanks < len(SIZES)
        assert found.merged == (without_blanks if isinstance(model, RandomForestRegressor) else len(SIZES))


QUICK: tuple[Make, ...] = (BayesianRidge, SGDRegressor, lambda: make_pipeline(StandardScaler(), BayesianRidge()))
SLOW: tuple[Make, ...] = (
    KNeighborsRegressor,
    SVR,
    lambda: make_pipeline(StandardScaler(), SVR()),
    lambda: make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(20, 9), max_iter=3)),
    lambda: make_pipeline(OneHotEncoder(handle_unknown="ignore"), MLPRegressor(hidden_layer_sizes=(20,), max_iter=3)),
    lambda: make_pipeline(StandardScaler(), GradientBoostingRegressor(n_estimators=3, init=Ridge())),
    lambda: make_pipeline(StandardScaler(), XGBRegressor(n_estimators=3, booster="gblinear")),
)
QUICK_CLASSIFIERS: tuple[Make, ...] = (
    GaussianNB,
    lambda: SGDClassifier(loss="log_loss"),
    lambda: make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()),
)
SLOW_CLASSIFIERS: tuple[Make, ...] = (
    KNeighborsClassifier,
    lambda: make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression(solver="liblinear"))),
    lambda: make_pipeline(StandardScaler(), MLPClassifier(hidden_layer_sizes=(9,), max_iter=3)),
)


@pytest.mark.parametrize(("models", "rule"), [(QUICK, "always"), (SLOW, "on_request")])
def test_regressors_that_predict_each_call_alone(models: tuple[Make, ...], rule: str) -> None:
    """From an array with the memory layout of a single call's."""
    frame = features(9)
    for make in models:
        model = fitted(make(), frame, numbers(frame))
        found = compare(model, REGRESSION, numeric_bodies(9))
        assert (found.merged, found.rule) == (len(SIZES), rule), model


@pytest.mark.parametrize("classes", [pytest.param(2, marks=pytest.mark.slow), 12])
@pytest.mark.parametrize(("models", "rule"), [(QUICK_CLASSIFIERS, "always"), (SLOW_CLASSIFIERS, "on_request")])
def test_classifiers_that_predict_each_call_alone(models: tuple[Make, ...], rule: str, classes: int) -> None:
    frame = features(9)
    target = labels(classes)[codes(numbers(frame), classes)]
    bodies = [csv_of(frame.iloc[start : start + rows]) for start, rows in enumerate(SIZES)]
    for make in models:
        found = compare(fitted(make(), frame, target), MULTICLASS, bodies)
        assert (found.merged, found.rule) == (len(SIZES), rule), make()


@pytest.mark.parametrize(
    "model",
    [
        Mine(),
        MyTree(),
        make_pipeline(MyScaler(), Ridge()),
        make_pipeline(StandardScaler(), Mine()),
        make_pipeline(make_union(StandardScaler(), MyScaler()), Ridge()),
        make_pipeline(ColumnTransformer([("a", MyScaler(), ["x0"])]), Ridge()),
        KNeighborsRegressor(weights=ones),
        make_pipeline(StandardScaler(), KNeighborsRegressor(weights=ones)),
        make_pipeline(FunctionTransformer(np.abs), Ridge()),
        make_pipeline(PCA(2), Ridge()),
        make_pipeline(StandardScaler(), PCA(2), DecisionTreeRegressor(max_depth=2)),
        make_pipeline(StandardScaler().set_output(transform="pandas"), Ridge()),
        make_pipeline(StandardScaler(), Ridge()).set_output(transform="pandas"),
        IsolationForest(n_estimators=3),
        make_pipeline(Ridge()),
    ],
)
def test_models_that_are_not_merged(model: Any) -> None:
    """User code, and transformers that treat rows together or are not known."""
    frame = features(3)
    found = compare(fitted(model, frame, numbers(frame)), REGRESSION, numeric_bodies(3))
    assert (found.merged, found.rule) == (0, "never")


def test_support_vectors_without_probabilities_are_not_merged() -> None:
    frame = features(3)
    model = SVC().fit(frame, labels(2)[codes(numbers(frame), 2)])
    assert compare(model, BINARY, numeric_bodies(3)) == (0, 0, len(SIZES), "never", False)


def test_forests_with_threads_are_not_row_wise() -> None:
    """The sums of their trees' votes differ from call to call; here all votes are whole numbers."""
    frame = features(3)
    target = codes(numbers(frame), 3).astype(float)
    model = make_pipeline(StandardScaler(), RandomForestRegressor(8, n_jobs=2)).fit(frame, target)
    found = compare(model, REGRESSION, numeric_bodies(3))
    assert found.rule == "on_request"


def test_several_outputs_are_refused_as_alone() -> None:
    frame = features(4)
    target = np.stack([numbers(frame), -numbers(frame)], axis=1)
    for model in (Ridge(), RidgeCV(), LinearRegression(), DecisionTreeRegressor(max_depth=3)):
        found = compare(model.fit(frame, target), REGRESSION, numeric_bodies(4))
        assert found.merged == len(SIZES)


def test_coefficients_in_other_forms() -> None:
    """Single precision, sparse, and memory column by column."""
    frame = features(9)
    target = labels(3)[codes(numbers(frame), 3)]
    for change in (
        lambda model: setattr(model, "coef_", model.coef_.astype(np.float32)),
        lambda model: setattr(model, "coef_", np.asfortranarray(model.coef_)),
        lambda model: setattr(model, "coef_", np.repeat(model.coef_, 2, axis=1)[:, ::2]),
        lambda model: model.sparsify(),
    ):
        model = LogisticRegression().fit(frame, target)
        change(model)
        found = compare(model, MULTICLASS, numeric_bodies(9))
        assert (found.merged, found.rule) == (len(SIZES), "always")


def test_a_linear_model_refuses_what_the_estimator_must_check() -> None:
    frame = features(3)
    linear = linear_model(Ridge().fit(frame, numbers(frame)), REGRESSION)
    assert linear is not None
    rows = np.ones((2, 3))
    assert linear.predict(rows, REGRESSION) is not None
    for bad in (np.nan, np.inf):
        assert linear.predict(np.where(np.eye(2, 3) > 0, bad, rows), REGRESSION) is None
    assert linear.predict(rows.astype(int), REGRESSION) is None
    assert linear.predict(rows.astype(np.float32), REGRESSION) is None
    assert linear_model(Ridge(), REGRESSION) is None  # not fitted
    assert linear_model(Mine().fit(frame, numbers(frame)), REGRESSION) is None


# replies

TABLE_ROWS = 90
RNG = np.random.default_rng(8)
TABLE = pd.DataFrame(
    {
        "size": RNG.lognormal(3, 2, TABLE_ROWS),
        "count": RNG.integers(0, 9, TABLE_ROWS),
        "ratio": RNG.normal(size=TABLE_ROWS) / 7,
        "town": np.array(["Bonn", "Köln, am Rhein", 'the "other"', " x "])[RNG.integers(0, 4, TABLE_ROWS)],
        "kind": np.array(["a", "b"])[RNG.integers(0, 2, TABLE_ROWS)],
        "unused": np.array(["2024-01-01", "", "t"])[RNG.integers(0, 3, TABLE_ROWS)],
    }
)
TABLE.loc[::6, "ratio"] = np.nan
TABLE.loc[1::7, "town"] = None
AMOUNT = TABLE["size"].rank() / 9 + TABLE["count"] + RNG.normal(size=TABLE_ROWS)


def mixed_columns(*, sparse: bool = False) -> Any:
    town = OneHotEncoder(handle_unknown="ignore")
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["size", "ratio", "count"]),
            ("town", make_pipeline(SimpleImputer(strategy="most_frequent"), town), ["town"]),
            ("kind", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["kind"]),
        ],
        sparse_threshold=1.0 if sparse else 0.0,
    )


def table_calls() -> list[Any]:
    """One row each, then several, with other columns, types, blanks, categories, and two that fail."""
    frames = [TABLE.iloc[row : row + 1] for row in range(24)]
    frames += [TABLE.iloc[start : start + rows] for start, rows in ((0, 2), (3, 5), (9, 1), (20, 40))]
    frames += [TABLE[:1].assign(town="unknown"), TABLE[:3].assign(size=7), TABLE[::-1][:2][TABLE.columns[::-1]]]
    frames += [TABLE[:1].drop(columns="size"), TABLE[:1].assign(size="text"), TABLE[:2].assign(ratio=None, town=None)]
    return [csv_call(csv_of(frame)) for frame in frames]


FINALS: dict[str, tuple[Make, TargetType]] = {
    "ridge": (lambda: make_pipeline(mixed_columns(), Ridge()), REGRESSION),
    "ridge, sparse": (lambda: make_pipeline(mixed_columns(sparse=True), Ridge()), REGRESSION),
    "more steps": (
        lambda: make_pipeline(
            mixed_columns(), VarianceThreshold(), MinMaxScaler(), SelectKBest(k=4), LinearRegression()
        ),
        REGRESSION,
    ),
    "forest": (lambda: make_pipeline(mixed_columns(), RandomForestRegressor(9)), REGRESSION),
    "xgboost": (lambda: make_pipeline(mixed_columns(), XGBRegressor(n_estimators=5, n_jobs=1)), REGRESSION),
    "xgboost, sparse": (
        lambda: make_pipeline(mixed_columns(sparse=True), XGBClassifier(n_estimators=2, n_jobs=1)),
        MULTICLASS,
    ),
    "logistic": (lambda: make_pipeline(mixed_columns(), LogisticRegression(max_iter=9)), MULTICLASS),
    "logistic, sparse": (
        lambda: make_pipeline(mixed_columns(sparse=True), LogisticRegression(max_iter=9)),
        MULTICLASS,
    ),
    "passthrough": (
        lambda: make_pipeline(
            ColumnTransformer([("a", "passthrough", ["size", "count"])]), LogisticRegression(max_iter=9)
        ),
        MULTICLASS,
    ),
    "neighbors": (lambda: make_pipeline(mixed_columns(), KNeighborsClassifier()), MULTICLASS),
}


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        (name, classes)
        for name, (_, target) in FINALS.items()
        for classes in ((1,) if target is REGRESSION else (3, 12))
    ],
)
def test_replies_equal_those_of_single_calls(
    serve_folder: Any, monkeypatch: pytest.MonkeyPatch, name: str, classes: int
) -> None:
    make, target_type = FINALS[name]
    if target_type is REGRESSION:
        predictor = serve_folder({"model.pkl": fitted(make(), TABLE, AMOUNT)})
    else:
        numbered = codes(AMOUNT, classes)
        target = numbered if "xgboost" in name else labels(classes)[numbered]
        class_labels = tuple(map(str, np.unique(target)))
        files = {"model.pkl": fitted(make(), TABLE, target)}
        predictor = serve_folder(files, target_type, class_labels=class_labels)
    calls = table_calls()
    singles = [predictor.handle(call) for call in calls]
    assert sum(reply.status == 200 for reply in singles) >= len(calls) - 3
    assert predictor.load().batching == ("on_request" if name == "neighbors" else "always")
    predicted: list[Any] = []
    predict = StructuredHandler.predict

    def note(self: Any, rows: Any, source: Any, lengths: Any = None) -> Any:
        predicted.append(lengths)
        return predict(self, rows, source, lengths)

    monkeypatch.setattr(StructuredHandler, "predict", note)
    for chosen in (range(24), range(24, len(calls)), range(len(calls)), range(0, len(calls), 3)):
        predicted.clear()
        replies = predictor.handle_batch([calls[number] for number in chosen])
        assert replies is not None
        for reply, number in zip(replies, chosen, strict=True):
            assert (reply.status, reply.body, reply.headers) == (
                singles[number].status,
                singles[number].body,
                singles[number].headers,
            )

        if chosen == range(24):  # all were merged, in as many groups as there are types of columns
            assert None not in predicted
            assert sum(map(len, predicted)) == 24
            assert len(predicted) <= 5


SIMPLE = features(2)
SCALED = make_pipeline(StandardScaler(), Ridge()).fit(SIMPLE, numbers(SIMPLE))
BARE = Ridge().fit(SIMPLE, numbers(SIMPLE))
LOAD = """
import pickle, pathlib
def load_model(code_dir):
    return pickle.loads((pathlib.Path(code_dir) / "model.bin").read_bytes())
"""
SCORE = "import pandas as pd\ndef load_model(d): return 1\ndef score(data, model, **kw): return data.iloc[:, :1]\n"
TRANSFORM = "def transform(data, model): return data * 2\n"


@pytest.mark.parametrize(
    ("files", "target", "rule"),
    [
        ({"model.pkl": BARE}, REGRESSION, "always"),
        ({"model.pkl": SCALED}, REGRESSION, "always"),
        ({"model.pkl": SCALED}, TargetType.ANOMALY, "always"),
        ({"model.pkl": KNeighborsRegressor().fit(SIMPLE, numbers(SIMPLE))}, REGRESSION, "on_request"),
        ({"model.pkl": KNeighborsRegressor(weights=ones).fit(SIMPLE, numbers(SIMPLE))}, REGRESSION, "never"),
        ({"custom.py": SCORE}, REGRESSION, "on_request"),
        ({"custom.py": SCORE}, TargetType.TEXT_GENERATION, "never"),
        ({"custom.py": TRANSFORM, "model.pkl": SCALED}, REGRESSION, "on_request"),
        ({"custom.py": TRANSFORM, "model.pkl": BARE}, REGRESSION, "never"),
        ({"custom.py": LOAD, "model.bin": SCALED}, REGRESSION, "on_request"),
        ({"custom.py": LOAD, "model.bin": BARE}, REGRESSION, "never"),
        ({"custom.py": "def post_process(p, model): return p\n", "model.pkl": SCALED}, REGRESSION, "on_request"),
        ({"custom.py": SCORE + "def read_input_data(data): return data\n"}, REGRESSION, "never"),
        ({"custom.py": "def load_model(d): return 1\ndef chat(r, model): return ''\n"}, REGRESSION, "never"),
        ({"custom.py": "def load_model(d): return 1\n" + TRANSFORM}, TargetType.TRANSFORM, "never"),
        (
            {"custom.py": "def load_model(d): return 1\ndef score_unstructured(m, d, **kw): return ''\n"},
            TargetType.UNSTRUCTURED,
            "never",
        ),
    ],
)
def test_when_calls_are_merged(serve_folder: Any, files: dict[str, Any], target: TargetType, rule: str) -> None:
    predictor = serve_folder(files, target, target_name="text")
    assert predictor.load().batching == rule
    assert predictor.batching is (rule != "never")


def test_without_shortcuts_nothing_is_merged(serve_folder: Any) -> None:
    assert serve_folder({"model.pkl": SCALED}, shortcuts=False).load().batching == "never"


def test_frames_of_a_transform_hook_are_merged(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": TRANSFORM, "model.pkl": SCALED})
    calls = [csv_call(body) for body in numeric_bodies(2)]
    singles = [predictor.handle(call) for call in calls]
    replies = predictor.handle_batch(calls)
    assert [reply.body for reply in replies] == [reply.body for reply in singles]
    assert {reply.status for reply in replies} == {200}
