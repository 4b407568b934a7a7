"""PyTorch modules, saved whole (``torch.save(model)``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from drum_litestar.predictors.native.frameworks.base import imported, installed
from drum_litestar.predictors.protocol import TargetType

if TYPE_CHECKING:
    import pandas as pd


class TorchFramework:
    """Loading runs the pickle's code, as with every artifact (contract, section 8, Q-27)."""

    name = "torch"
    suffixes: tuple[str, ...] = (".pth",)
    other_suffixes: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ("torch", "numpy", "scikit-learn", "scipy")
    extra = "torch"

    def can_load(self) -> bool:
        return installed("torch")

    def load(self, path: Path) -> Any:
        import torch

        # Explicit: since 2.6 the default refuses whole modules. A model saved on a GPU must load without one.
        device = None if torch.cuda.is_available() else "cpu"
        model = torch.load(path, map_location=device, weights_only=False)
        if isinstance(model, torch.nn.Module):
            model.eval()
        return model

    def recognises(self, model: Any) -> bool:
        module = imported("torch")
        return module is not None and isinstance(model, module.nn.Module)

    def predict(self, model: Any, frame: pd.DataFrame, target_type: TargetType) -> tuple[Any, list[Any] | None]:
        import torch

        parameter = next(model.parameters(), None)
        features = torch.from_numpy(frame.to_numpy(copy=True)).float()  # raises for text and mixed types, as DRUM does
        if parameter is not None:
            features = features.to(parameter.device)
        with torch.no_grad():
            return model(features).cpu().numpy(), None
