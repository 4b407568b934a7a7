"""Interface of the built-in frameworks, and what several of them share (contract, 4.5)."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from drum_litestar.predictors.native.frameworks.pickle_contents import is_joblib
from drum_litestar.predictors.protocol import TargetType

if TYPE_CHECKING:
    import pandas as pd

_NUMERIC = frozenset({TargetType.REGRESSION, TargetType.ANOMALY, TargetType.GEO_POINT})


class Framework(Protocol):
    """One machine-learning library. Stateless; imports the library only when it is needed."""

    name: str
    """As ``/info/`` reports it."""
    suffixes: tuple[str, ...]
    """Lower-case artifact suffixes that it loads, those of DRUM."""
    other_suffixes: tuple[str, ...]
    """Suffixes of the library's own that DRUM does not load."""
    requirements: tuple[str, ...]
    """Packages that DRUM's message for a missing library lists."""
    extra: str
    """Our extra that installs the library."""

    def can_load(self) -> bool:
        """The library is installed. Does not import it."""

    def load(self, path: Path) -> Any:
        """The model in the artifact file. Raises what the library raises."""

    def recognises(self, model: Any) -> bool:
        """``model`` is an object of this library. Does not import it: while nothing has, no such object exists."""

    def predict(self, model: Any, frame: pd.DataFrame, target_type: TargetType) -> tuple[Any, list[Any] | None]:
        """Raw predictions of ``frame`` (array-like, 1-D or 2-D) and the label names of the model, or None."""


class DrumCommonException(Exception):  # noqa: N818 - the name is DRUM's
    """A framework cannot serve a target type. Clients see this class's name in the error text (contract, 4.5)."""


def installed(package: str) -> bool:
    """``package`` can be imported. Does not import it."""
    return package in sys.modules or importlib.util.find_spec(package) is not None


def imported(module: str) -> ModuleType | None:
    """``module`` if it has been imported already, else None."""
    return sys.modules.get(module)


def load_pickle(path: Path) -> Any:
    """The object in a pickle file; latin-1 so that Python 2 pickles with NumPy arrays load too.

    A file of ``joblib.dump``, which DRUM cannot load, is loaded by joblib where that is installed.
    """
    try:
        with path.open("rb") as file:
            return pickle.load(file, encoding="latin1")
    except Exception:
        if not (is_joblib(path) and installed("joblib")):
            raise
    import joblib

    return joblib.load(path)


def last_step(model: Any) -> Any:
    """The final estimator of a scikit-learn Pipeline; None for any other object."""
    module = imported("sklearn.pipeline")
    if module is None or not isinstance(model, module.Pipeline) or not model.steps:
        return None
    return model.steps[-1][1]


def predict_estimator(model: Any, frame: Any, target_type: TargetType, drum_name: str) -> tuple[Any, list[Any] | None]:
    """Predict as scikit-learn estimators do: probabilities for classification, values for numeric targets.

    ``frame``: rows by columns, of a type that the estimator takes.

    Raises DrumCommonException for other target types (see :func:`require_estimator_target`).
    """
    require_estimator_target(target_type, drum_name)
    labels = getattr(model, "classes_", None)
    values = model.predict_proba(frame) if target_type.is_classification else model.predict(frame)
    return values, None if labels is None else list(labels)


def require_estimator_target(target_type: TargetType, drum_name: str) -> None:
    """Raises DrumCommonException, naming DRUM's class ``drum_name``, for target types that need a hook."""
    if not target_type.is_classification and target_type not in _NUMERIC:
        raise DrumCommonException(f"Target type '{target_type.value}' is not supported by '{drum_name}' predictor")
