"""Whether a model can answer for its target type and class labels, found when it is loaded.

DRUM starts with any model, and says at the first request what is wrong with it. Where no request could be answered the
load fails here; where some are, there is a warning.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from typing import Any, List

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.folder.targets import normalise_label
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.formats.validation import normalise_name
from drum_litestar.predictors.native.frameworks.base import imported, last_step
from drum_litestar.predictors.protocol import TargetType

_ESTIMATORS = ("scikit-learn", "xgboost")
_MOST = 12
"""Classes that a message lists."""


def check_model(loaded: LoadedModel) -> List[str]:
    """Warnings about a model that predicts without hooks. Raises ModelLoadError where it could answer no request."""
    if loaded.framework is None or loaded.framework.name not in _ESTIMATORS or not _is_estimator(loaded.model):
        return []
    if loaded.target_type.is_text:
        return [
            f"A {loaded.framework.name} model cannot predict for target type {loaded.target_type.value}: every "
            "prediction will fail. Define a score hook in custom.py, or serve it with another --target-type."
        ]
    problem = _check_classes(loaded) if loaded.target_type.is_classification else _check_values(loaded)
    if problem is None:
        return []
    # A stream of the model's own needs neither its probabilities nor its classes.
    streams = loaded.hooks.get("predict_stream") is not None or callable(getattr(loaded.model, "predict_stream", None))
    if problem.fatal and not streams:
        raise ModelLoadError(f"{problem.text} No request could be answered.", remedy=problem.remedy)
    return [f"{problem.text} {problem.remedy}"]


class _Problem:
    def __init__(self, text: str, remedy: str, *, fatal: bool) -> None:
        self.text = text
        self.remedy = remedy
        self.fatal = fatal


def _is_estimator(model: Any) -> bool:
    """``model`` inherits from scikit-learn's base, which XGBoost's Booster does not."""
    module = imported("sklearn.base")
    return module is not None and isinstance(model, module.BaseEstimator)


def _check_classes(loaded: LoadedModel) -> _Problem | None:
    model, labels = loaded.model, loaded.labels or ()
    if not hasattr(model, "predict_proba"):
        return _without_probabilities(model, loaded.target_type.value)
    classes = _classes(model)
    if classes is None:
        return None
    try:
        found = {normalise_name(name): str(name) for name in classes}
    except (TypeError, ValueError):  # classes of several outputs: the first request tells
        return None
    wanted = {normalise_label(label): label for label in labels}
    if found.keys() == wanted.keys():
        return None
    unknown = [label for key, label in wanted.items() if key not in found]
    absent = [name for key, name in found.items() if key not in wanted]
    parts = [
        f"The class labels {_listed(labels)} are not the model's classes {_listed(found.values())}:",
        _suggestions(unknown, absent) if unknown else f"there is no label for {_listed(absent)}.",
    ]
    return _Problem(" ".join(parts), _label_options(loaded.target_type, list(found.values())), fatal=True)


def _without_probabilities(model: Any, word: str) -> _Problem:
    if _kind(model, "regressor"):
        text = f"The model ({_name(model)}) is a regressor, but the target type is {word}."
        return _Problem(text, "Serve it with --target-type regression, or train a classifier.", fatal=True)
    way = "with probability=True" if _name(model) in ("SVC", "NuSVC") else "inside a CalibratedClassifierCV"
    return _Problem(
        f"The model ({_name(model)}) has no class probabilities (predict_proba), which the target type {word} needs.",
        f"Train it {way}, or define a score hook in custom.py.",
        fatal=True,
    )


def _check_values(loaded: LoadedModel) -> _Problem | None:
    model, word = loaded.model, loaded.target_type.value
    if loaded.target_type is TargetType.TRANSFORM:
        return None
    if not hasattr(model, "predict"):
        return _Problem(
            f"The model ({_name(model)}) has no predict(), but the target type is {word}.",
            "A transformer is served with --target-type transform; anything else needs a score hook in custom.py.",
            fatal=True,
        )
    classes = _classes(model)
    if classes is None or not _kind(model, "classifier") or loaded.hooks.get("post_process") is not None:
        return None
    names = [str(name) for name in classes]
    numbers = [name for name in names if _is_number(name)]
    listed = _listed(names)
    text = f"The model ({_name(model)}) is a classifier with the classes {listed}, but the target type is {word}:"
    kind = TargetType.BINARY if len(names) == 2 else TargetType.MULTICLASS
    remedy = f"For class probabilities serve it with --target-type {kind.value} {_options(kind, names)}"
    if not numbers and not loaded.target_type.keeps_values:
        return _Problem(f"{text} its predictions are class labels, not numbers.", remedy, fatal=True)
    return _Problem(f"{text} answers will be class labels.", remedy, fatal=False)


def _classes(model: Any) -> Sequence[Any] | None:
    classes = getattr(model, "classes_", None)
    return None if classes is None else list(classes)


def _kind(model: Any, kind: str) -> bool:
    """scikit-learn calls ``model`` a ``kind``: "classifier" or "regressor"."""
    module = imported("sklearn.base")
    try:
        return module is not None and bool(getattr(module, f"is_{kind}")(model))
    except Exception:  # an estimator that does not keep the library's rules
        return False


def _name(model: Any) -> str:
    step = last_step(model)
    return type(model if step is None else step).__name__


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in ("True", "False")
    return True


def _listed(names: Any) -> str:
    texts = [f"'{name}'" for name in names]
    more = f" and {len(texts) - _MOST} more" if len(texts) > _MOST else ""
    return ", ".join(texts[:_MOST]) + more


def _suggestions(unknown: Sequence[str], absent: Sequence[str]) -> str:
    """Which labels the model does not have, each with the class that may be meant."""
    said = []
    for label in unknown:
        near = difflib.get_close_matches(label, absent, 1, 0.6)
        said.append(f"'{label}' is none of them" + (f"; did you mean '{near[0]}'?" if near else "."))
    return " ".join(said)


def _label_options(target_type: TargetType, names: Sequence[str]) -> str:
    return f"Start with {_options(target_type, names)}, or set the same in the environment or in model-metadata.yaml."


def _options(target_type: TargetType, names: Sequence[str]) -> str:
    if target_type is TargetType.BINARY and len(names) == 2:
        negative, positive = map(shlex.quote, names)
        return f"--positive-class-label {positive} --negative-class-label {negative}"
    if target_type is TargetType.BINARY:
        return "--target-type multiclass --class-labels " + " ".join(map(shlex.quote, names))
    return "--class-labels " + " ".join(map(shlex.quote, names))
