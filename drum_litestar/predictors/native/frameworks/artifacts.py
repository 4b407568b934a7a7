"""Loading an artifact with the framework that its suffix names, and recognising a model's framework.

Contract, 4.3 and 4.5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drum_litestar.errors import MissingExtraError, ModelLoadError
from drum_litestar.predictors.folder.files import PYTHON_INTRO
from drum_litestar.predictors.native.frameworks.base import Framework
from drum_litestar.predictors.native.frameworks.keras_framework import KerasFramework
from drum_litestar.predictors.native.frameworks.onnx_framework import OnnxFramework
from drum_litestar.predictors.native.frameworks.sklearn_framework import SklearnFramework
from drum_litestar.predictors.native.frameworks.torch_framework import TorchFramework
from drum_litestar.predictors.native.frameworks.xgboost_framework import XGBoostFramework

_KERAS, _XGBOOST, _TORCH, _SKLEARN, _ONNX = (
    KerasFramework(),
    XGBoostFramework(),
    TorchFramework(),
    SklearnFramework(),
    OnnxFramework(),
)
FRAMEWORKS: tuple[Framework, ...] = (_KERAS, _XGBOOST, _TORCH, _SKLEARN, _ONNX)
"""In order of precedence, for suffixes and for objects."""

SUFFIXES = sorted({suffix for framework in FRAMEWORKS for suffix in framework.suffixes})
"""Lower-case suffixes of the artifacts that some framework loads."""


def find_framework(path: Path) -> Framework:
    """The first installed framework that loads ``path``'s suffix; it is not imported.

    Raises ModelLoadError that names DRUM's requirements and our pip command.
    """
    candidates = [framework for framework in FRAMEWORKS if path.suffix.lower() in framework.suffixes]
    found = next((framework for framework in candidates if framework.can_load()), None)
    if found is None:
        raise ModelLoadError(_missing(candidates))
    return found


def load_artifact(path: Path) -> Any:
    """The model in ``path``. Raises ModelLoadError, also as :func:`find_framework` does."""
    framework = find_framework(path)
    try:
        return framework.load(path)
    except Exception as error:
        text = f"Could not load model from the artifact file. Exception: {error!r}"
        raise ModelLoadError(text + _hint(error)) from error


def recognise(model: Any) -> Framework:
    """The framework of ``model``. Raises ModelLoadError when there is none."""
    for framework in FRAMEWORKS:
        if framework.recognises(model):
            return framework
    raise ModelLoadError(
        f"{PYTHON_INTRO}Could not find any framework to handle loaded model and a score hook is not provided"
    )


def _missing(candidates: list[Framework]) -> str:
    lines = [
        "\n    The following frameworks support this model artifact\n"
        "    but could not load the model. Check if requirements are missing"
    ]
    lines += [f"Framework: {item.name}, requirements: {list(item.requirements)}" for item in candidates]
    lines.append(str(MissingExtraError("This artifact", candidates[-1].extra)))
    return "\n".join(lines)


def _hint(error: Exception) -> str:
    """The pip command, when a pickle needs a framework that is not installed."""
    module = (error.name or "").split(".", 1)[0] if isinstance(error, ModuleNotFoundError) else ""
    extra = {"sklearn": "sklearn", "xgboost": "xgboost", "torch": "torch", "keras": "keras"}.get(module)
    return f"\n{MissingExtraError('This artifact', extra, module)}" if extra else ""
