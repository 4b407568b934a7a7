"""Target type and labels: contract, 1.5, 4.7, 4.8 and section 8, Q-2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.folder.targets import (
    normalise_label,
    read_labels_file,
    require_target_name,
    resolve_labels,
    resolve_target_type,
)
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec

PAIR = {"positive_class_label": "yes", "negative_class_label": "no"}


def spec(**fields: Any) -> PredictorSpec:
    return PredictorSpec(code_dir="unused", **fields)


def inference(**section: Any) -> dict[str, Any]:
    return {"inferenceModel": section}


@pytest.mark.parametrize(
    ("labels", "normal"),
    [
        (["1", "1.0", "yes", "YES", "True", " t ", "on", "1e0"], 1.0),
        (["0", "no", "OFF", "False", "none", "0.0"], 0.0),
        (["2", "2.00"], 2.0),
        (["Setosa", "SETOSA"], "setosa"),
        (["f"], "f"),
        (["nan"], "nan"),
        ([" a "], " a "),
    ],
)
def test_labels_normalise(labels: list[str], normal: float | str) -> None:
    assert {normalise_label(label) for label in labels} == {normal}


@pytest.mark.parametrize("labels", [("1", "yes"), ("a", "A"), ("x", "X"), ("0", "b", "no")])
def test_indistinguishable_labels_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ModelLoadError, match="cannot be told apart"):
        resolve_labels(spec(class_labels=labels), TargetType.MULTICLASS, None)


@pytest.mark.parametrize("labels", [("x", "x"), ("a", "b", "c", "b"), ("yes", "no", "yes")])
def test_a_label_given_twice(labels: tuple[str, ...]) -> None:
    with pytest.raises(ModelLoadError, match=r"^Class label '(x|b|yes)' is given twice\. Remove one of them\.$"):
        resolve_labels(spec(class_labels=labels), TargetType.MULTICLASS, None)


def test_target_type_needs_a_source() -> None:
    with pytest.raises(ModelLoadError, match=r"^Target type is missing"):
        resolve_target_type(spec(), None)
    assert resolve_target_type(spec(target_type=TargetType.ANOMALY), None) is TargetType.ANOMALY
    assert resolve_target_type(spec(), {"targetType": "geopoint"}) is TargetType.GEO_POINT


def test_target_type_sources_must_agree() -> None:
    with pytest.raises(ModelLoadError, match="doesn't match target type from model config file") as caught:
        resolve_target_type(spec(target_type=TargetType.BINARY), {"targetType": "regression"})
    assert caught.value.remedy == (
        "--target-type (or TARGET_TYPE) is binary, targetType in model-metadata.yaml is regression."
    )
    with pytest.raises(ModelLoadError, match=r"^'foo' is not a valid TargetType\n.*one of binary, regr") as caught:
        resolve_target_type(spec(), {"targetType": "foo"})
    assert caught.value.reason == "'foo' is not a valid TargetType", "DRUM's text, for the error server"
    assert f"targetType in {Path(spec().code_dir) / 'model-metadata.yaml'} " in caught.value.remedy
    assert caught.value.__suppress_context__


def test_binary_labels() -> None:
    metadata = inference(positiveClassLabel="yes", negativeClassLabel="no")
    binary = TargetType.BINARY
    assert resolve_labels(spec(**PAIR), binary, None) == ("yes", "no")
    assert resolve_labels(spec(), binary, metadata) == ("yes", "no")
    assert resolve_labels(spec(positive_class_label="half"), binary, metadata) == ("yes", "no")
    with pytest.raises(ModelLoadError, match=r"^Positive/negative class labels are missing"):
        resolve_labels(spec(positive_class_label="half"), binary, None)
    swapped = inference(positiveClassLabel="no", negativeClassLabel="yes")
    with pytest.raises(ModelLoadError, match=r"^Positive/negative class labels provided with"):
        resolve_labels(spec(**PAIR), binary, swapped)


@pytest.mark.parametrize("target", [TargetType.MULTICLASS, TargetType.MULTILABEL])
def test_list_labels(target: TargetType) -> None:
    metadata = inference(classLabels=["a", "b", "c"])
    assert resolve_labels(spec(), target, metadata) == ("a", "b", "c")
    assert resolve_labels(spec(class_labels=("c", "b", "a")), target, metadata) == ("c", "b", "a")
    with pytest.raises(ModelLoadError, match=r"^Class labels are missing"):
        resolve_labels(spec(), target, None)
    with pytest.raises(ModelLoadError, match=r"^Class labels provided with"):
        resolve_labels(spec(class_labels=("a", "b")), target, metadata)


def test_other_targets_discard_labels() -> None:
    assert resolve_labels(spec(class_labels=("a", "A"), **PAIR), TargetType.REGRESSION, None) is None


def test_labels_file(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes(b"a\r\n\r\n  cat \nd\xc3\xa9j\xc3\xa0")
    assert read_labels_file(file) == ["a", "  cat ", "déjà"]


@pytest.mark.parametrize(
    "target", [TargetType.TEXT_GENERATION, TargetType.VECTOR_DATABASE, TargetType.AGENTIC_WORKFLOW]
)
def test_text_targets_need_a_name(target: TargetType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET_NAME", "")
    with pytest.raises(ModelLoadError, match=r"^Unexpected empty target name"):
        require_target_name(spec(), target)
    require_target_name(spec(target_name="answer"), target)
    require_target_name(spec(), TargetType.GEO_POINT)
