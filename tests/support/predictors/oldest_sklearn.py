"""Direct and merged predictions in an environment with another scikit-learn: ``python oldest_sklearn.py``.

Prints a line for each model. Exits with an AssertionError where a bit differs, or a model is not predicted as expected.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from bit_equality import SIZES, compare, csv_of, names, numeric_bodies
from drum_litestar.predictors.protocol import TargetType

ROWS = 90
NUMBERS = ["size", "ratio", "count"]


class Case(NamedTuple):
    model: Any
    target: TargetType
    bodies: list[bytes]
    rule: str


def table() -> pd.DataFrame:
    rng = np.random.RandomState(8)
    frame: pd.DataFrame = pd.DataFrame(
        {
            "size": np.exp(rng.normal(size=ROWS)),
            "ratio": rng.normal(size=ROWS) / 7,
            "count": rng.randint(0, 9, ROWS),
            "town": np.array(["Bonn", "Köln, am Rhein", 'the "other"', " x "])[rng.randint(0, 4, ROWS)],
            "kind": np.array(["a", "b"])[rng.randint(0, 2, ROWS)],
        }
    )
    frame.loc[::6, "ratio"] = np.nan
    frame.loc[1::7, "town"] = np.nan
    return frame


def mixed_columns(sparse_threshold: float) -> Any:
    town = OneHotEncoder(handle_unknown="ignore")
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), NUMBERS),
            ("town", make_pipeline(SimpleImputer(strategy="most_frequent"), town), ["town"]),
            ("kind", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["kind"]),
        ],
        sparse_threshold=sparse_threshold,
    )


def mixed_bodies(frame: pd.DataFrame) -> list[bytes]:
    frames = [frame.iloc[row : row + 1] for row in range(16)]
    frames += [frame.iloc[:2], frame.iloc[3:8], frame.iloc[20:60]]
    frames += [frame[:1].assign(town="new"), frame[:2].assign(ratio=None, town=None), frame[:3].assign(size=7)]
    frames += [frame[:1].drop(columns="size"), frame[:1].assign(size="text"), frame[:1].assign(size=np.inf)]
    return [csv_of(each) for each in frames]


def cases() -> Iterator[Case]:
    frame = table()
    amount = frame["size"] + frame["count"] + frame.index / 9
    classes = np.array(["low", "medium", "high"])[amount.rank().astype(int) * 3 // (ROWS + 1)]
    regression, multiclass = TargetType.REGRESSION, TargetType.MULTICLASS
    for threshold in (0.0, 1.0):
        columns = mixed_columns(threshold)
        bodies = mixed_bodies(frame)
        yield Case(make_pipeline(columns, Ridge()).fit(frame, amount), regression, bodies, "always")
        for estimator, rule in (
            (LogisticRegression(max_iter=9), "always"),
            (LogisticRegression(max_iter=9, multi_class="ovr"), "always"),
            (RandomForestClassifier(n_estimators=5), "always"),
            (KNeighborsClassifier(), "on_request"),
        ):
            model = make_pipeline(mixed_columns(threshold), estimator).fit(frame, classes)
            yield Case(model, multiclass, bodies, rule)
    features = pd.DataFrame(np.random.RandomState(2).normal(size=(ROWS, 9)), columns=names(9))
    values = features["x0"] * 3 + np.arange(ROWS) / 9
    for estimator in (
        Ridge(),
        LinearRegression(),
        DecisionTreeRegressor(),
        GradientBoostingRegressor(n_estimators=4),
        HistGradientBoostingRegressor(max_iter=4),
        make_pipeline(MinMaxScaler(), Ridge()),
    ):
        yield Case(estimator.fit(features, values), regression, numeric_bodies(9), "always")
    classes = np.arange(ROWS) % 12
    for estimator, rule in (
        (LogisticRegression(solver="liblinear"), "always"),
        (LogisticRegression(max_iter=9), "always"),
        (RandomForestClassifier(n_estimators=5), "always"),
        (make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=4)), "on_request"),
    ):
        yield Case(estimator.fit(features, classes), multiclass, numeric_bodies(9), rule)


def main() -> None:
    print("scikit-learn", sklearn.__version__, "pandas", pd.__version__)
    for model, target, bodies, rule in cases():
        found = compare(model, target, bodies)
        print(type(model).__name__, found)
        assert found.rule == rule, model
        assert found.merged >= min(len(bodies) - 6, len(SIZES)), model


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
