"""The target type and the class labels that a model has by itself.

Asked where neither the options nor ``model-metadata.yaml`` name a target type and the folder is an artifact alone, as
model stores keep it. DRUM refuses such a folder. Nothing is guessed: a model that fits two target types is refused with
what to set.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

import msgspec

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.folder.files import find_custom
from drum_litestar.predictors.folder.language import PYTHON, detect_language
from drum_litestar.predictors.folder.metadata import METADATA_FILE
from drum_litestar.predictors.folder.targets import NO_TARGET_TYPE, normalise_label
from drum_litestar.predictors.native.frameworks.artifacts import locate_artifact
from drum_litestar.predictors.native.frameworks.base import imported
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec

_TWO = 2
_WAYS = (
    "Name the target type with --target-type or TARGET_TYPE, or as targetType in model-metadata.yaml. A binary one "
    "needs --positive-class-label and --negative-class-label, a multiclass one --class-labels"
)


class ModelTarget(NamedTuple):
    """What a model says of its target."""

    target_type: TargetType
    classes: Optional[Tuple[str, ...]] = None
    """In the order of the model's probabilities; binary: negative, positive."""
    single_output: bool = False
    """A binary model that gives one number for each row, the probability of the positive class."""


class Decided(NamedTuple):
    """A spec with the target type and the labels that the model decided."""

    spec: PredictorSpec
    columns: Optional[Tuple[str, ...]] = None
    """The labels of the model's probability columns, where it has a column for each."""


def model_decides(spec: PredictorSpec) -> bool:
    """Nobody names a target type, and the folder is an artifact without hooks. Raises OSError."""
    code_dir = Path(spec.code_dir)
    if spec.target_type is not None or spec.kind != "native" or (code_dir / METADATA_FILE).exists():
        return False
    try:
        if find_custom(code_dir) is not None or detect_language(code_dir, spec) != PYTHON:
            return False
        locate_artifact(code_dir)
    except ModelLoadError:
        return False
    return True


def decide(model: Any, spec: PredictorSpec) -> Decided:
    """The target type of ``model``, and its labels where ``spec`` has none.

    Raises ModelLoadError, DRUM's text with what to set, for a model that fits several target types.
    """
    found = _target_of(model)
    changes: Dict[str, Any] = {"target_type": found.target_type}
    if found.classes is None:
        return Decided(msgspec.structs.replace(spec, **changes))
    if found.target_type is TargetType.MULTICLASS:
        given = spec.class_labels
        changes["class_labels"] = given or found.classes
    else:
        pair = (spec.negative_class_label, spec.positive_class_label)
        given = None if None in pair else pair  # type: ignore[assignment]
        changes["negative_class_label"], changes["positive_class_label"] = given or found.classes
    if found.single_output:
        reversed_pair = normalise_label(changes["positive_class_label"]) == 0
        changes["single_output_is"] = "negative" if reversed_pair else "positive"
    named = not found.single_output and (given is None or _same(given, found.classes))
    return Decided(msgspec.structs.replace(spec, **changes), found.classes if named else None)


def _same(labels: Sequence[str], classes: Sequence[str]) -> bool:
    return set(map(normalise_label, labels)) == set(map(normalise_label, classes))


def _target_of(model: Any) -> ModelTarget:
    estimators, xgboost, onnx = imported("sklearn.base"), imported("xgboost"), imported("onnxruntime")
    if estimators is not None and isinstance(model, estimators.BaseEstimator):
        return _of_estimator(model, estimators)
    if xgboost is not None and isinstance(model, xgboost.Booster):
        return _of_booster(model)
    if onnx is not None and isinstance(model, onnx.InferenceSession):
        return _of_onnx(model)
    raise _undecided(f"A model of the class {type(model).__name__} does not say what it predicts.")


def _of_estimator(model: Any, estimators: Any) -> ModelTarget:
    name = type(model).__name__
    if estimators.is_regressor(model):
        if getattr(model, "n_outputs_", 1) != 1:
            raise _undecided(f"The model ({name}) is a regressor with {model.n_outputs_} outputs.")
        return ModelTarget(TargetType.REGRESSION)
    if not estimators.is_classifier(model):
        raise _undecided(f"The model ({name}) is neither a regressor nor a classifier.")
    classes = getattr(model, "classes_", None)
    if classes is None or getattr(classes, "ndim", 0) != 1:
        raise _undecided(f"The model ({name}) is a classifier, but has not one list of classes.")
    return _of_classes(tuple(map(str, classes)), f"The model ({name})")


def _of_classes(classes: tuple[str, ...], subject: str, *, single_output: bool = False) -> ModelTarget:
    if len(classes) < _TWO:
        raise _undecided(f"{subject} has {len(classes)} classes.")
    if len(classes) == _TWO:
        return ModelTarget(TargetType.BINARY, classes, single_output)
    return ModelTarget(TargetType.MULTICLASS, classes)


def _of_booster(model: Any) -> ModelTarget:
    """By its objective. A booster knows its classes by their numbers only."""
    learner = json.loads(model.save_config())["learner"]
    objective, sizes = learner["objective"]["name"], learner["learner_model_param"]
    subject = f"The XGBoost model with the objective {objective}"
    if int(sizes.get("num_target", "1")) == 1:
        if objective == "binary:logistic":
            return _of_classes(("0", "1"), subject, single_output=True)
        if objective == "multi:softprob":
            return _of_classes(tuple(map(str, range(int(sizes["num_class"])))), subject)
        if objective == "count:poisson" or (objective.startswith("reg:") and objective != "reg:quantileerror"):
            return ModelTarget(TargetType.REGRESSION)
    raise _undecided(f"{subject} fits no target type for certain.")


def _of_onnx(session: Any) -> ModelTarget:
    """A classifier that names its classes, as converters write it by default; other graphs are only numbers.

    The names are the keys of an answer: the model predicts a row of zeros.
    """
    maps = [output.name for output in session.get_outputs() if output.type.startswith("seq(map(")]
    inputs = session.get_inputs()
    if len(maps) != 1 or len(inputs) != 1 or inputs[0].type != "tensor(float)" or not _width(inputs[0].shape):
        raise _undecided("An ONNX model without a map of its classes does not say what it predicts.")
    import numpy as np

    (rows,) = session.run(maps, {inputs[0].name: np.zeros((1, _width(inputs[0].shape)), dtype="float32")})
    return _of_classes(tuple(map(str, rows[0])), "The ONNX model")


def _width(shape: Any) -> int:
    """Columns of a matrix; 0 for another shape or an open number of columns."""
    return shape[1] if len(shape) == _TWO and isinstance(shape[1], int) else 0


def _undecided(why: str) -> ModelLoadError:
    return ModelLoadError(NO_TARGET_TYPE, remedy=f"{why} {_WAYS}.")
