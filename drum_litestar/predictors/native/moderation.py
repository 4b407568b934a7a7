"""Moderated text models (contract, 4.15): refused rather than served without their guards (section 8, Q-14)."""

from __future__ import annotations

from pathlib import Path

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.artifacts.base import installed
from drum_litestar.predictors.native.targets import TEXT_TARGETS
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec

CONFIG_FILE = "moderation_config.yaml"
PACKAGE = "datarobot_dome"


def require_moderation(spec: PredictorSpec, code_dir: Path, target_type: TargetType) -> list[str]:
    """Warnings to log. Raises ModelLoadError when the folder configures guards that would not run.

    ``DRUM_MODERATIONS_OPTIONAL`` turns the error into a warning.
    """
    if target_type not in TEXT_TARGETS or not (code_dir / CONFIG_FILE).exists():
        return []
    if installed(PACKAGE):
        problem = "the native predictor does not run them; use --predictor drum"
    else:
        problem = f"the package '{PACKAGE}' is not installed; install it with: pip install datarobot-moderations"
    if spec.moderations_optional:
        return [f"{CONFIG_FILE} configures moderations, but {problem}. Moderation is disabled."]
    raise ModelLoadError(
        f"{CONFIG_FILE} configures moderations, but {problem}. "
        "Set DRUM_MODERATIONS_OPTIONAL=true to serve without moderation."
    )
