"""The loaded model folder: everything that the request half of the native predictor works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drum_litestar.predictors.folder.deployment_config import DeploymentConfig
from drum_litestar.predictors.native.datarobot.moderation import Moderation
from drum_litestar.predictors.native.datarobot.monitoring import Monitor
from drum_litestar.predictors.native.frameworks.base import Framework
from drum_litestar.predictors.native.hooks.custom_module import Hooks
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec


@dataclass
class LoadedModel:
    """A model folder that can answer requests. Made by :func:`load_model_folder`."""

    spec: PredictorSpec
    code_dir: Path
    target_type: TargetType
    labels: tuple[str, ...] | None
    """Binary: (positive, negative); multiclass and multilabel: configured order; else None."""
    metadata: dict[str, Any] | None
    """``model-metadata.yaml`` as ``/info/`` echoes it; None without such a file."""
    language: str
    hooks: Hooks
    model: Any
    """What ``load_model``, the artifact or ``CustomTask.load`` gave."""
    framework: Framework | None = None
    """The framework that recognised ``model``; None where hooks predict (contract, 4.3 step 3)."""
    deployment_config: DeploymentConfig | None = None
    monitor: Monitor | None = None
    """Reports to MLOps, when asked for (contract, 4.13)."""
    moderation: Moderation | None = None
    """Guards around ``score`` and ``chat``, when configured (contract, 4.15)."""
    warnings: list[str] = field(default_factory=list)
    """To be logged once."""


def load_model_folder(spec: PredictorSpec) -> LoadedModel:
    """Load the folder of ``spec``. Raises ModelLoadError with the contract's texts, and for nothing else."""
    from drum_litestar.predictors.native.startup import load

    return load(spec)
