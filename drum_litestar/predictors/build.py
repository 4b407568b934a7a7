"""The predictor that a spec describes."""

from __future__ import annotations

from drum_litestar.predictors.protocol import Predictor
from drum_litestar.predictors.spec import PredictorSpec


def build_predictor(spec: PredictorSpec) -> Predictor:
    """Build the predictor of ``spec``, not yet loaded. Only the implementation that is asked for is imported."""
    if spec.kind == "drum":
        from drum_litestar.predictors.drum.drum_predictor import DrumPredictor

        return DrumPredictor(spec)
    from drum_litestar.predictors.native.native_predictor import NativePredictor

    return NativePredictor(spec)
