"""scikit-learn estimators and pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from drum_litestar.predictors.native.frameworks.base import imported, installed, load_pickle, predict_estimator
from drum_litestar.predictors.protocol import TargetType

if TYPE_CHECKING:
    import pandas as pd


class SklearnFramework:
    """Anything that inherits from ``BaseEstimator``, XGBoost's scikit-learn wrappers included."""

    name = "scikit-learn"
    suffixes: tuple[str, ...] = (".pkl",)
    other_suffixes: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ("scikit-learn", "scipy", "numpy")
    extra = "sklearn"

    def can_load(self) -> bool:
        return installed("sklearn")

    def load(self, path: Path) -> Any:
        return load_pickle(path)

    def recognises(self, model: Any) -> bool:
        module = imported("sklearn.base")
        return module is not None and isinstance(model, module.BaseEstimator)

    def predict(self, model: Any, frame: pd.DataFrame, target_type: TargetType) -> tuple[Any, list[Any] | None]:
        return predict_estimator(model, frame, target_type, "SKLearnPredictor")
