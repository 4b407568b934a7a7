"""scikit-learn artifacts, trained when asked for."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from support.data import class_target, continuous_target, table
from support.zoo.registry import folder

SKLEARN = ("sklearn",)
ROWS = 120


def dump(model: Any, path: Path) -> None:
    (path / "model.pkl").write_bytes(pickle.dumps(model))


def scaled(estimator: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), estimator)


def classifier(labels: list[Any]) -> Any:
    from sklearn.linear_model import LogisticRegression

    frame = table(ROWS)
    return scaled(LogisticRegression()).fit(frame, class_target(frame, labels))


@folder("regression", "regression", needs=SKLEARN)
def regression(path: Path) -> None:
    from sklearn.linear_model import Ridge

    frame = table(ROWS)
    dump(scaled(Ridge()).fit(frame, continuous_target(frame)), path)


@folder("regression_two", "regression", needs=SKLEARN)
def regression_two(path: Path) -> None:
    """Two columns without names: takes CSV and Matrix Market alike."""
    from sklearn.linear_model import Ridge

    frame = table(ROWS, ("a", "b"))
    dump(Ridge().fit(frame.to_numpy(), continuous_target(frame)), path)


YES_NO = ("--positive-class-label", "yes", "--negative-class-label", "no")


@folder("binary", "binary", *YES_NO, needs=SKLEARN)
def binary(path: Path) -> None:
    dump(classifier(["no", "yes"]), path)


@folder("binary_bool", "binary", *YES_NO, needs=SKLEARN)
def binary_bool(path: Path) -> None:
    """The model's classes are booleans and match ``yes`` and ``no`` loosely (contract, Q-2)."""
    dump(classifier([False, True]), path)


@folder("binary_numbers", "binary", "--positive-class-label", "1", "--negative-class-label", "0.0", needs=SKLEARN)
def binary_numbers(path: Path) -> None:
    dump(classifier([0, 1]), path)


@folder("multiclass", "multiclass", "--class-labels", "c", "a", "b", needs=SKLEARN)
def multiclass(path: Path) -> None:
    dump(classifier(["a", "b", "c"]), path)


@folder("multiclass_file", "multiclass", "--class-labels-file", "{dir}/labels.txt", needs=SKLEARN)
def multiclass_file(path: Path) -> None:
    """Labels with a slash, padding and letters beyond ASCII, in a file with CRLF and blank lines."""
    labels = ["été", "a/b", "  cat "]
    (path / "labels.txt").write_bytes("été\r\n\r\na/b\r\n  cat \r\n".encode())
    dump(classifier(labels), path)


@folder("multilabel", "multilabel", "--class-labels", "0", "1", "2", needs=SKLEARN)
def multilabel(path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    frame = table(ROWS)
    targets = (frame.to_numpy()[:, :3] > 0).astype(int)
    dump(OneVsRestClassifier(LogisticRegression()).fit(frame, targets), path)


@folder("anomaly", "anomaly", needs=SKLEARN)
def anomaly(path: Path) -> None:
    from sklearn.ensemble import IsolationForest

    dump(IsolationForest(n_estimators=10, random_state=1).fit(table(ROWS)), path)


@folder("geopoint", "geopoint", needs=SKLEARN)
def geopoint(path: Path) -> None:
    from sklearn.dummy import DummyRegressor

    frame = table(ROWS)
    dump(DummyRegressor().fit(frame, continuous_target(frame)), path)


@folder("text_artifact", "textgeneration", env={"TARGET_NAME": "completion"}, needs=SKLEARN)
def text_artifact(path: Path) -> None:
    """A text target on an artifact alone: it loads, and cannot predict (contract, 4.5)."""
    regression(path)


def deployment_config(path: Path, **target: Any) -> None:
    import json

    (path / "deployment.json").write_text(json.dumps({"target": target}))


PREDICTION_SERVER = ("--deployment-config", "{dir}/deployment.json")


@folder("prediction_server_regression", "regression", *PREDICTION_SERVER, needs=SKLEARN)
def prediction_server_regression(path: Path) -> None:
    regression(path)
    deployment_config(path, name='Grüße/"x"', class_mapping=None, prediction_threshold=None)


@folder("prediction_server_anomaly", "anomaly", *PREDICTION_SERVER, needs=SKLEARN)
def prediction_server_anomaly(path: Path) -> None:
    anomaly(path)
    deployment_config(path, name="ignored", class_mapping=None, prediction_threshold=None)


@folder("prediction_server_binary", "binary", *YES_NO, *PREDICTION_SERVER, needs=SKLEARN)
def prediction_server_binary(path: Path) -> None:
    binary(path)
    deployment_config(path, name="answer", class_mapping=[["yes", 1], ["no", 0]], prediction_threshold=0.25)


@folder(
    "prediction_server_multiclass", "multiclass", "--class-labels", "c", "a", "b", *PREDICTION_SERVER, needs=SKLEARN
)
def prediction_server_multiclass(path: Path) -> None:
    multiclass(path)
    deployment_config(path, name="kind", class_mapping=[["b", 1], ["c", 2], ["a", 0]], prediction_threshold=0.5)


@folder(
    "prediction_server_multilabel", "multilabel", "--class-labels", "0", "1", "2", *PREDICTION_SERVER, needs=SKLEARN
)
def prediction_server_multilabel(path: Path) -> None:
    multilabel(path)
    deployment_config(path, name="tags", class_mapping=[["0", 0], ["1", 1], ["2", 2]], prediction_threshold=0.6)


@folder("prediction_server_no_mapping", "regression", *PREDICTION_SERVER, needs=SKLEARN)
def prediction_server_no_mapping(path: Path) -> None:
    regression(path)
    deployment_config(path, name="target")


def expected_values(path: Path, frame: Any) -> Any:
    """What the artifact itself says of ``frame``: probabilities where it has them, else predictions."""
    model = pickle.loads((path / "model.pkl").read_bytes())
    named = getattr(model, "feature_names_in_", None)
    data = frame if named is not None else np.asarray(frame)
    return model.predict_proba(data) if hasattr(model, "predict_proba") else model.predict(data)


@folder("mixed", "binary", *YES_NO, needs=SKLEARN)
def mixed(path: Path) -> None:
    """Numbers with blanks, categories, and a column of text that the model does not use."""
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = table(ROWS, ("age", "fare"))
    frame = numbers.assign(
        name="Doe, J.", sex=np.where(numbers["age"] > 0, "male", "female"), port=np.resize(["S", "C", "Q", None], ROWS)
    )
    frame.loc[::7, "age"] = np.nan
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "fare"]),
            (
                "words",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
                ["sex", "port"],
            ),
        ]
    )
    target = pd.Series(np.where(numbers["fare"] > 0, "yes", "no"))
    dump(make_pipeline(columns, LogisticRegression()).fit(frame, target), path)


@folder("sklearn_missing", "regression", needs=SKLEARN)
def sklearn_missing(path: Path) -> None:
    """Fitted on an array: columns without names; takes missing values."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    frame = table(ROWS)
    model = HistGradientBoostingRegressor(max_iter=5, random_state=0)
    dump(model.fit(frame.to_numpy(), continuous_target(frame)), path)
