"""XGBoost: native boosters, and pipelines that end in one of its scikit-learn wrappers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from drum_litestar.predictors.native.frameworks.base import (
    imported,
    installed,
    last_step,
    load_pickle,
    predict_estimator,
    require_estimator_target,
)
from drum_litestar.predictors.protocol import TargetType

if TYPE_CHECKING:
    import pandas as pd


_DRUM_NAME = "XGBoostPredictor"


class XGBoostFramework:
    """A bare ``XGBClassifier`` counts as scikit-learn, as in DRUM (contract, 3.12)."""

    name = "xgboost"
    suffixes: tuple[str, ...] = (".pkl",)
    other_suffixes: tuple[str, ...] = (".bst", ".ubj", ".json")
    requirements: tuple[str, ...] = ("xgboost", "scikit-learn", "scipy", "numpy")
    extra = "xgboost"

    def can_load(self) -> bool:
        return installed("xgboost")

    def load(self, path: Path) -> Any:
        if path.suffix.lower() not in self.other_suffixes:
            return load_pickle(path)
        import xgboost

        return xgboost.Booster(model_file=str(path))

    def recognises(self, model: Any) -> bool:
        module = imported("xgboost")
        if module is None:
            return False
        return isinstance(model, module.Booster) or isinstance(
            last_step(model), (module.XGBClassifier, module.XGBRegressor)
        )

    def predict(self, model: Any, frame: pd.DataFrame, target_type: TargetType) -> tuple[Any, list[Any] | None]:
        import xgboost

        if not isinstance(model, xgboost.Booster):
            return predict_estimator(model, frame, target_type, _DRUM_NAME)
        require_estimator_target(target_type, _DRUM_NAME)
        return model.predict(xgboost.DMatrix(frame)), None
