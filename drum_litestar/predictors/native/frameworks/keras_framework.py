"""Keras models in HDF5 files, on whichever backend is installed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drum_litestar.predictors.native.frameworks.base import imported, installed, last_step
from drum_litestar.predictors.protocol import TargetType

if TYPE_CHECKING:
    import pandas as pd

BACKENDS = ("tensorflow", "torch", "jax")


class KerasFramework:
    """A Keras model, or a scikit-learn pipeline that ends in one."""

    name = "keras"
    suffixes: tuple[str, ...] = (".h5",)
    other_suffixes: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ("scipy", "numpy", "h5py", "tensorflow>=2.2.1")
    extra = "keras"

    def can_load(self) -> bool:
        return installed("keras") and installed("h5py") and any(installed(backend) for backend in BACKENDS)

    def load(self, path: Path) -> Any:
        _choose_backend()
        import keras

        return keras.models.load_model(str(path), compile=False)

    def recognises(self, model: Any) -> bool:
        module = imported("keras")
        return module is not None and (isinstance(model, module.Model) or isinstance(last_step(model), module.Model))

    def predict(self, model: Any, frame: pd.DataFrame, target_type: TargetType) -> tuple[Any, list[Any] | None]:
        if last_step(model) is not None:
            return model.predict(frame), None
        return model.predict(frame, verbose=0), None  # no progress bar on stdout


def _choose_backend() -> None:
    """Set ``KERAS_BACKEND`` to an installed backend where TensorFlow, Keras' default, is absent."""
    if imported("keras") is None and "KERAS_BACKEND" not in os.environ and not installed("tensorflow"):
        backend = next((name for name in BACKENDS if installed(name)), None)
        if backend is not None:
            os.environ["KERAS_BACKEND"] = backend
