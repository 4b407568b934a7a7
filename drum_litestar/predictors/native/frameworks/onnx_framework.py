"""ONNX models, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drum_litestar.predictors.native.frameworks.base import imported, installed
from drum_litestar.predictors.protocol import TargetType

if TYPE_CHECKING:
    import pandas as pd

_PROBABILITY_TARGETS = frozenset({TargetType.BINARY, TargetType.MULTICLASS})


class OnnxFramework:
    """Sessions get one float32 matrix. The probability output is the one with ``prob`` in its name."""

    name = "onnx"
    suffixes: tuple[str, ...] = (".onnx",)
    other_suffixes: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ("onnxruntime",)
    extra = "onnx"

    def can_load(self) -> bool:
        return installed("onnxruntime")

    def load(self, path: Path) -> Any:
        import onnxruntime

        return onnxruntime.InferenceSession(str(path), providers=onnxruntime.get_available_providers())

    def recognises(self, model: Any) -> bool:
        module = imported("onnxruntime")
        return module is not None and isinstance(model, module.InferenceSession)

    def predict(self, model: Any, frame: pd.DataFrame, target_type: TargetType) -> tuple[Any, list[Any] | None]:
        features = frame.to_numpy(dtype="float32")
        names = [output.name for output in model.get_outputs()]
        wanted = names[0]
        if len(names) > 1 and target_type in _PROBABILITY_TARGETS:
            wanted = next((name for name in names if "prob" in name), wanted)
        values = model.run([wanted], {model.get_inputs()[0].name: features})[0]
        return _columns(values), None


def _columns(values: Any) -> Any:
    """A sequence of maps (the converters' "zipmap" output) as rows of their values, in the maps' order."""
    if isinstance(values, Sequence) and values and isinstance(values[0], dict):
        return [list(row.values()) for row in values]
    return values
