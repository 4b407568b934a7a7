"""The target type and labels that an artifact alone decides, and the artifacts that DRUM does not load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import xgboost
from skl2onnx import to_onnx
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.native_predictor import NativePredictor
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply, TargetType

LoadFolder = Callable[..., LoadedModel]
ServeFolder = Callable[..., NativePredictor]

FRAME = pd.DataFrame({"a": [1.0, 2, 3, 4, 5, 6], "b": [2.0, 1, 4, 3, 6, 5]})
MATRIX = FRAME.to_numpy(dtype="float32")
NUMBERS = np.array([1.0, 2, 3, 4, 5, 7])
CODES = np.array([0, 0, 0, 1, 1, 1])
WORDS = np.array(["no", "no", "no", "yes", "yes", "yes"])
THREE = np.array([2, 2, 0, 0, 1, 1])
MISSING = (
    "Target type is missing. It must be provided in --target-type argument, TARGET_TYPE env var or model config file."
)


def booster(objective: str, target: Any = CODES, **parameters: Any) -> xgboost.Booster:
    data = xgboost.DMatrix(FRAME, label=target)
    settings = {"objective": objective, "nthread": 1, "min_child_weight": 0, **parameters}
    return xgboost.train(settings, data, num_boost_round=3)


def saved(model: xgboost.Booster, tmp_path: Path, name: str) -> bytes:
    """Newer releases write only the two formats with names of their own."""
    path = tmp_path / ("saved.json" if name.endswith(".json") else "saved.ubj")
    model.save_model(path)
    return path.read_bytes()


def onnx(model: Any, *, zipmap: bool = True) -> bytes:
    return bytes(to_onnx(model, MATRIX[:1], options={id(model): {"zipmap": zipmap}}).SerializeToString())


def answer(predictor: NativePredictor) -> list[Any]:
    reply = predictor.handle(ModelCall(kind="predict", body=Payload(data=FRAME.to_csv(index=False).encode())))
    assert isinstance(reply, Reply)
    rows: list[Any] = json.loads(bytes(reply.body))["predictions"]
    return rows


@pytest.mark.parametrize(
    ("model", "target", "labels"),
    [
        (LinearRegression().fit(FRAME, NUMBERS), TargetType.REGRESSION, None),
        (make_pipeline(StandardScaler(), LinearRegression()).fit(FRAME, NUMBERS), TargetType.REGRESSION, None),
        (xgboost.XGBRegressor(n_estimators=2).fit(FRAME, NUMBERS), TargetType.REGRESSION, None),
        (LogisticRegression().fit(FRAME, WORDS), TargetType.BINARY, ("yes", "no")),
        (make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, CODES), TargetType.BINARY, ("1", "0")),
        (LogisticRegression().fit(FRAME, CODES == 1), TargetType.BINARY, ("True", "False")),
        (xgboost.XGBClassifier(n_estimators=2).fit(FRAME, CODES), TargetType.BINARY, ("1", "0")),
        (LogisticRegression().fit(FRAME, THREE), TargetType.MULTICLASS, ("0", "1", "2")),
        (
            GridSearchCV(KNeighborsClassifier(1), {"n_neighbors": [1]}, cv=2).fit(FRAME, THREE),
            TargetType.MULTICLASS,
            ("0", "1", "2"),
        ),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "predict") else None,
)
def test_an_estimator_decides(
    load_folder: LoadFolder, model: Any, target: TargetType, labels: tuple[str, ...] | None
) -> None:
    loaded = load_folder({"model.pkl": model}, None)
    assert (loaded.target_type, loaded.labels, loaded.warnings) == (target, labels, [])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (RandomForestRegressor(n_estimators=2).fit(FRAME, FRAME), "is a regressor with 2 outputs"),
        (IsolationForest(n_estimators=2).fit(FRAME), "(IsolationForest) is neither a regressor nor a classifier"),
        (KMeans(2, n_init=1).fit(FRAME), "(KMeans) is neither a regressor nor a classifier"),
        (StandardScaler().fit(FRAME), "(StandardScaler) is neither"),
        (KNeighborsClassifier(1).fit(FRAME, [1] * 6), "has 1 classes"),
        (
            MultiOutputClassifier(LogisticRegression()).fit(FRAME, np.column_stack([CODES, 1 - CODES])),
            "has not one list of classes",
        ),
        (booster("multi:softmax", THREE, num_class=3), "objective multi:softmax fits no target type for certain"),
        (booster("rank:pairwise"), "objective rank:pairwise fits no target type"),
        (booster("reg:squarederror", FRAME.to_numpy()), "objective reg:squarederror fits no target type"),
        ({"a": 1}, "A model of the class dict does not say what it predicts"),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_what_is_not_certain_is_refused(load_folder: LoadFolder, model: Any, words: str) -> None:
    """DRUM's text, and what to set."""
    with pytest.raises(ModelLoadError) as caught:
        load_folder({"model.pkl": model}, None)
    assert caught.value.reason == MISSING
    assert words in caught.value.remedy
    assert "--target-type or TARGET_TYPE, or as targetType in model-metadata.yaml" in caught.value.remedy


def test_a_classifier_without_probabilities(load_folder: LoadFolder) -> None:
    with pytest.raises(ModelLoadError, match=r"LinearSVC\) has no class probabilities"):
        load_folder({"model.pkl": LinearSVC().fit(FRAME, CODES)}, None)


def test_labels_that_are_given_are_kept(load_folder: LoadFolder) -> None:
    pair = {"positive_class_label": "no", "negative_class_label": "yes"}
    loaded = load_folder({"model.pkl": LogisticRegression().fit(FRAME, WORDS)}, None, **pair)
    assert (loaded.target_type, loaded.labels) == (TargetType.BINARY, ("no", "yes"))


def test_labels_of_several_classes_that_are_given_are_kept(load_folder: LoadFolder) -> None:
    loaded = load_folder({"m.pkl": LogisticRegression().fit(FRAME, THREE)}, None, class_labels=("2", "1", "0"))
    assert loaded.labels == ("2", "1", "0")


@pytest.mark.parametrize("file", ["custom.py", "model-metadata.yaml"])
def test_a_folder_that_says_more_is_not_asked(load_folder: LoadFolder, file: str) -> None:
    """Hooks may answer anything, so DRUM's rule stays; the metadata has the word wherever it is there."""
    text = {"custom.py": "", "model-metadata.yaml": "name: n\ntype: inference\ntargetType: anomaly\n"}[file]
    files = {"model.pkl": LinearRegression().fit(FRAME, NUMBERS), file: text}
    if file == "custom.py":
        with pytest.raises(ModelLoadError) as caught:
            load_folder(files, None)
        assert str(caught.value) == MISSING
    else:
        assert load_folder(files, None).target_type is TargetType.ANOMALY


def test_an_artifact_that_cannot_be_loaded_has_its_own_error(load_folder: LoadFolder) -> None:
    with pytest.raises(ModelLoadError, match="Could not load model from the artifact file"):
        load_folder({"model.pkl": b"not a pickle"}, None)


# XGBoost's own formats


@pytest.mark.parametrize("name", ["model.bst", "model.UBJ", "model.json"])
@pytest.mark.parametrize(
    ("objective", "target", "parameters", "decided", "labels"),
    [
        ("reg:squarederror", NUMBERS, {}, TargetType.REGRESSION, None),
        ("count:poisson", NUMBERS, {}, TargetType.REGRESSION, None),
        ("binary:logistic", CODES, {}, TargetType.BINARY, ("1", "0")),
        ("multi:softprob", THREE, {"num_class": 3}, TargetType.MULTICLASS, ("0", "1", "2")),
    ],
)
@pytest.mark.filterwarnings("ignore:.*Unknown file format:UserWarning")
def test_a_booster_decides(
    serve_folder: ServeFolder,
    tmp_path: Path,
    name: str,
    objective: str,
    target: Any,
    parameters: dict[str, Any],
    decided: TargetType,
    labels: tuple[str, ...] | None,
) -> None:
    model = booster(objective, target, **parameters)
    predictor = serve_folder({name: saved(model, tmp_path, name)}, None)
    rows = answer(predictor)
    own = model.predict(xgboost.DMatrix(FRAME))
    if labels is None:
        np.testing.assert_allclose(rows, own, rtol=1e-5)
    elif len(labels) == 2:
        np.testing.assert_allclose([row["1"] for row in rows], own, rtol=1e-5)
    else:
        np.testing.assert_allclose([[row[label] for label in labels] for row in rows], own, rtol=1e-5)


def test_a_pickled_booster_decides(load_folder: LoadFolder) -> None:
    """Its one output is known to be the positive class, which DRUM could not know (contract, Q-1)."""
    loaded = load_folder({"model.pkl": booster("binary:logistic")}, None)
    assert (loaded.labels, loaded.spec.single_output_is, loaded.warnings) == (("1", "0"), "positive", [])


@pytest.mark.parametrize(("positive", "negative"), [("1", "0"), ("0", "1"), ("good", "bad"), ("no", "yes")])
def test_the_labels_of_a_booster_may_be_given(serve_folder: ServeFolder, positive: str, negative: str) -> None:
    """Words that are numbers are its class numbers; others are taken as they are."""
    model = booster("binary:logistic")
    predictor = serve_folder({"model.pkl": model}, None, positive_class_label=positive, negative_class_label=negative)
    first = positive if positive in ("1", "good") else negative
    np.testing.assert_allclose(
        [row[first] for row in answer(predictor)], model.predict(xgboost.DMatrix(FRAME)), rtol=1e-5
    )


def test_a_booster_with_a_target_type_keeps_the_rule_of_drum(load_folder: LoadFolder) -> None:
    pair = {"positive_class_label": "1", "negative_class_label": "0"}
    loaded = load_folder({"model.pkl": booster("binary:logistic")}, TargetType.BINARY, **pair)
    assert loaded.spec.single_output_is == "negative"


# ONNX


def test_an_onnx_classifier_with_names_decides(load_folder: LoadFolder) -> None:
    loaded = load_folder({"model.onnx": onnx(LogisticRegression().fit(MATRIX, WORDS))}, None)
    assert (loaded.target_type, loaded.labels) == (TargetType.BINARY, ("yes", "no"))


def test_the_columns_of_an_onnx_classifier_are_its_classes(serve_folder: ServeFolder) -> None:
    model = LogisticRegression().fit(MATRIX, WORDS)
    predictor = serve_folder({"model.onnx": onnx(model)}, None)
    rows = answer(predictor)
    np.testing.assert_allclose([row["yes"] for row in rows], model.predict_proba(MATRIX)[:, 1], atol=1e-6)


@pytest.mark.parametrize("classifier", [True, False])
def test_an_onnx_model_of_numbers_does_not(load_folder: LoadFolder, classifier: bool) -> None:
    matrix = onnx(LogisticRegression().fit(MATRIX, CODES), zipmap=False)
    content = matrix if classifier else to_onnx(LinearRegression().fit(MATRIX, NUMBERS), MATRIX[:1]).SerializeToString()
    with pytest.raises(ModelLoadError, match="does not say what it predicts"):
        load_folder({"model.onnx": bytes(content)}, None)


# Where the artifact is


@pytest.mark.parametrize("name", ["model.joblib", "model.pickle", "deep/er/model.joblib", "1/model.pkl"])
def test_places_and_suffixes(load_folder: LoadFolder, tmp_path: Path, name: str) -> None:
    joblib.dump(LinearRegression().fit(FRAME, NUMBERS), tmp_path / "a")
    loaded = load_folder({name: (tmp_path / "a").read_bytes(), "notes.json": "{}", "README.md": ""}, None)
    assert loaded.target_type is TargetType.REGRESSION


def test_a_volume_of_kubernetes_has_its_files_twice(load_folder: LoadFolder) -> None:
    content = {"model.pkl": LinearRegression().fit(FRAME, NUMBERS)}
    loaded = load_folder({f"sub/{name}": value for name, value in content.items()} | {"..data/model.pkl": b"x"}, None)
    assert loaded.target_type is TargetType.REGRESSION


@pytest.mark.parametrize(
    "files",
    [
        {"a/m.pkl": b"", "b/m.pkl": b""},
        {"notes.json": '{"learners": 1}', "custom.py": ""},
        {"a/x.txt": ""},
        {"custom.py": "", "a/m.pkl": b""},
    ],
)
def test_none_and_several_are_refused_as_by_drum(load_folder: LoadFolder, files: dict[str, Any]) -> None:
    with pytest.raises(ModelLoadError, match=r"Could not find model artifact file|Can not detect language"):
        load_folder(files, TargetType.REGRESSION)


def test_several_of_the_other_suffixes(load_folder: LoadFolder) -> None:
    with pytest.raises(ModelLoadError, match="Multiple serialized model files found"):
        load_folder({"a.joblib": b"", "b.bst": b""}, TargetType.REGRESSION)


def test_a_json_file_that_is_no_booster_is_no_model(load_folder: LoadFolder) -> None:
    with pytest.raises(ModelLoadError, match="Can not detect language"):
        load_folder({"model.json": "{}"}, TargetType.REGRESSION)
