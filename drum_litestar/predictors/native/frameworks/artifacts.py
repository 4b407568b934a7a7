"""Loading an artifact with the framework that its suffix names, and recognising a model's framework.

Contract, 4.3 and 4.5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drum_litestar.errors import ModelLoadError
from drum_litestar.pip_command import EXTRAS, install, module_of
from drum_litestar.predictors.folder.files import PYTHON_INTRO, find_artifact
from drum_litestar.predictors.native.frameworks.base import Framework, installed
from drum_litestar.predictors.native.frameworks.keras_framework import BACKENDS, KerasFramework
from drum_litestar.predictors.native.frameworks.onnx_framework import OnnxFramework
from drum_litestar.predictors.native.frameworks.sklearn_framework import SklearnFramework
from drum_litestar.predictors.native.frameworks.torch_framework import TorchFramework
from drum_litestar.predictors.native.frameworks.xgboost_framework import XGBoostFramework
from drum_litestar.predictors.native.missing_modules import pickle_remedy

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
"""Lower-case suffixes of the artifacts that DRUM loads."""

_PICKLES = (".joblib", ".pickle")
"""Loaded like a ``.pkl``."""


def locate_artifact(code_dir: Path) -> Path:
    """The model folder's artifact. Raises ModelLoadError as :func:`find_artifact` does."""
    return find_artifact(code_dir, SUFFIXES)


def find_framework(path: Path) -> Framework:
    """The first installed framework that loads ``path``'s suffix; it is not imported.

    Raises ModelLoadError with DRUM's requirements, and a remedy that names what is missing for this file.
    """
    suffix = path.suffix.lower()
    suffix = ".pkl" if suffix in _PICKLES else suffix
    candidates = [each for each in FRAMEWORKS if suffix in (*each.suffixes, *each.other_suffixes)]
    found = next((framework for framework in candidates if framework.can_load()), None)
    if found is None:
        remedy = pickle_remedy(path) or f"{path.name} needs packages. Install with: {install(_lacking(candidates[-1]))}"
        raise ModelLoadError(_missing(candidates), remedy=remedy)
    return found


def load_artifact(path: Path) -> Any:
    """The model in ``path``. Raises ModelLoadError, also as :func:`find_framework` does."""
    framework = find_framework(path)
    try:
        return framework.load(path)
    except Exception as error:
        text = f"Could not load model from the artifact file. Exception: {error!r}"
        raise ModelLoadError(text, remedy=pickle_remedy(path, error)) from error


def recognise(model: Any) -> Framework:
    """The framework of ``model``. Raises ModelLoadError when there is none."""
    for framework in FRAMEWORKS:
        if framework.recognises(model):
            return framework
    raise ModelLoadError(
        f"{PYTHON_INTRO}Could not find any framework to handle loaded model and a score hook is not provided"
    )


def _lacking(framework: Framework) -> str:
    """The distributions that ``framework`` needs and the interpreter does not have."""
    names = [name for name in EXTRAS[framework.extra].split() if not installed(module_of(name))]
    if framework is _KERAS and not any(map(installed, BACKENDS)):
        names.append(BACKENDS[0])
    return " ".join(names) or EXTRAS[framework.extra]


def _missing(candidates: list[Framework]) -> str:
    lines = [
        "\n    The following frameworks support this model artifact\n"
        "    but could not load the model. Check if requirements are missing"
    ]
    lines += [f"Framework: {item.name}, requirements: {list(item.requirements)}" for item in candidates]
    return "\n".join(lines)
