"""Models that cannot answer for their target type or labels, found at load; every model is trained here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.protocol import TargetType

LoadFolder = Callable[..., LoadedModel]

FRAME = pd.DataFrame({"a": [1.0, 2, 3, 4, 5, 6], "b": [2.0, 1, 4, 3, 6, 5]})
FATES = np.array(["died", "died", "died", "survived", "survived", "survived"])
CODES = np.array([0, 0, 0, 1, 1, 1])
BINARY = TargetType.BINARY


def classifier(target: Any) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, target)


def pair(positive: str, negative: str) -> dict[str, str]:
    return {"positive_class_label": positive, "negative_class_label": negative}


def refused(load_folder: LoadFolder, *args: Any, **fields: Any) -> ModelLoadError:
    with pytest.raises(ModelLoadError) as caught:
        load_folder(*args, **fields)
    return caught.value


def test_a_misspelt_label(load_folder: LoadFolder) -> None:
    error = refused(load_folder, {"m.pkl": classifier(FATES)}, BINARY, **pair("survivd", "died"))
    assert error.reason == (
        "The class labels 'survivd', 'died' are not the model's classes 'died', 'survived': 'survivd' is none of them; "
        "did you mean 'survived'? No request could be answered."
    )
    assert error.remedy == (
        "Start with --positive-class-label survived --negative-class-label died, or set the same in the environment or "
        "in model-metadata.yaml."
    )
    assert "np." not in str(error)


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        (FATES, ("SURVIVED", "Died")),
        (CODES, ("1", "0")),
        (CODES, ("1.0", "no")),
        (CODES == 1, ("yes", "no")),
    ],
)
def test_labels_that_match_loosely_are_served(load_folder: LoadFolder, target: Any, labels: tuple[str, str]) -> None:
    """As at a request: contract, 4.7 and Q-2."""
    assert load_folder({"m.pkl": classifier(target)}, BINARY, **pair(*labels)).warnings == []


@pytest.mark.parametrize(
    ("target", "labels", "text", "options"),
    [
        (TargetType.MULTICLASS, {"class_labels": ("a", "b")}, "no label for 'c'", "--class-labels a b c"),
        (BINARY, pair("a", "b"), "no label for 'c'", "--target-type multiclass --class-labels a b c"),
    ],
)
def test_labels_of_another_number(
    load_folder: LoadFolder, target: TargetType, labels: dict[str, Any], text: str, options: str
) -> None:
    error = refused(load_folder, {"m.pkl": classifier(np.array(list("aabbcc")))}, target, **labels)
    assert text in error.reason
    assert options in error.remedy


def test_many_classes_are_not_all_listed(load_folder: LoadFolder) -> None:
    frame = pd.DataFrame({"a": np.arange(60.0), "b": 1.0})
    model = GaussianNB().fit(frame, [f"class {number % 30}" for number in range(60)])
    error = refused(load_folder, {"m.pkl": model}, TargetType.MULTICLASS, class_labels=("x", "y"))
    assert "and 18 more" in error.reason


@pytest.mark.parametrize("labels", [("0", "1"), ("a", "b")])
def test_multilabel(load_folder: LoadFolder, labels: tuple[str, str]) -> None:
    """The classes of one-versus-rest are the columns' numbers, also for DRUM."""
    model = OneVsRestClassifier(LogisticRegression()).fit(FRAME, np.stack([CODES, 1 - CODES], axis=1))
    given = ({"m.pkl": model}, TargetType.MULTILABEL)
    if labels == ("0", "1"):
        assert load_folder(*given, class_labels=labels).warnings == []
    else:
        assert "are not the model's classes '0', '1'" in refused(load_folder, *given, class_labels=labels).reason


@pytest.mark.parametrize(
    ("model", "text", "remedy"),
    [
        (LinearRegression(), "(LinearRegression) is a regressor, but the target type is binary", "regression"),
        (SVC(), "(SVC) has no class probabilities (predict_proba)", "probability=True"),
    ],
)
def test_no_probabilities(load_folder: LoadFolder, model: Any, text: str, remedy: str) -> None:
    fitted = make_pipeline(StandardScaler(), model).fit(FRAME, CODES)
    error = refused(load_folder, {"m.pkl": fitted}, BINARY, **pair("1", "0"))
    assert text in error.reason
    assert remedy in error.remedy


def test_a_classifier_as_regression(load_folder: LoadFolder) -> None:
    error = refused(load_folder, {"m.pkl": classifier(FATES)})
    assert "is a classifier with the classes 'died', 'survived', but the target type is regression" in error.reason
    assert "--target-type binary --positive-class-label survived --negative-class-label died" in error.remedy
    assert "np." not in str(error)


@pytest.mark.parametrize("target", [TargetType.REGRESSION, TargetType.ANOMALY, TargetType.GEO_POINT])
def test_a_classifier_of_numbers_is_served_with_a_warning(load_folder: LoadFolder, target: TargetType) -> None:
    (warning,) = load_folder({"m.pkl": classifier(CODES)}, target).warnings
    assert f"but the target type is {target.value}: answers will be class labels" in warning


def test_a_hook_may_make_numbers_of_classes(load_folder: LoadFolder) -> None:
    files = {"m.pkl": classifier(FATES), "custom.py": "def post_process(data, model): return data\n"}
    assert load_folder(files).warnings == []


def test_hooks_that_predict_are_not_judged(load_folder: LoadFolder) -> None:
    files = {"m.pkl": classifier(FATES), "custom.py": "def score(data, model, **kwargs): return data\n"}
    assert load_folder(files, BINARY, **pair("other", "names")).warnings == []


def test_a_stream_of_the_models_own_makes_it_a_warning(load_folder: LoadFolder) -> None:
    files = {"m.pkl": classifier(FATES), "custom.py": "def predict_stream(data, model): yield 'x'\n"}
    (warning,) = load_folder(files, BINARY, **pair("survivd", "died")).warnings
    assert "did you mean 'survived'?" in warning


def test_no_predict(load_folder: LoadFolder) -> None:
    error = refused(load_folder, {"m.pkl": StandardScaler().fit(FRAME)})
    assert "(StandardScaler) has no predict()" in error.reason
    assert "--target-type transform" in error.remedy


def test_a_text_target_needs_a_hook(load_folder: LoadFolder) -> None:
    model = LinearRegression().fit(FRAME, CODES)
    (warning,) = load_folder({"m.pkl": model}, TargetType.TEXT_GENERATION, target_name="answer").warnings
    assert "cannot predict for target type textgeneration" in warning


def test_detectors_are_no_classifiers(load_folder: LoadFolder) -> None:
    model = IsolationForest(n_estimators=5, random_state=0).fit(FRAME)
    assert load_folder({"m.pkl": model}, TargetType.ANOMALY).warnings == []
