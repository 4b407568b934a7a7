"""The loaded model: what every kind of call is answered with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drum_litestar.predictors.folder.deployment_config import DeploymentConfig
from drum_litestar.predictors.folder.model_folder import Folder
from drum_litestar.predictors.native.datarobot.deployment_settings import PROMPT_COLUMN
from drum_litestar.predictors.native.datarobot.moderation import Moderation
from drum_litestar.predictors.native.datarobot.monitoring import Monitor
from drum_litestar.predictors.native.formats.columnar import ColumnarReader
from drum_litestar.predictors.native.frameworks.base import Framework
from drum_litestar.predictors.native.hooks.custom_module import Hooks
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvParser
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec


@dataclass
class LoadedModel:
    """A model folder that can answer requests, with native code or through DRUM's predictor."""

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
    """The result of ``load_model``, of loading the artifact, or of ``CustomTask.load``."""
    framework: Framework | None = None
    """The framework of ``model``; None when hooks predict (contract, 4.3 step 3)."""
    columns: tuple[str, ...] | None = None
    """Labels of the model's probability columns, where it said them because nobody named its target type."""
    deployment_config: DeploymentConfig | None = None
    monitor: Monitor | None = None
    """Reports to MLOps, when enabled (contract, 4.13)."""
    moderation: Moderation | None = None
    """Guards around ``score`` and ``chat``, when configured (contract, 4.15)."""
    parse_csv: CsvParser | None = None
    """Reads CSV bodies in memory, unless shortcuts are off or pandas' parser cannot be had."""
    columnar: ColumnarReader | None = None
    """Reads Arrow and Parquet; None for DRUM's predictors, which do not."""
    warnings: list[str] = field(default_factory=list)
    """Logged once, by the HTTP process."""

    @classmethod
    def from_folder(cls, spec: PredictorSpec, folder: Folder, hooks: Hooks, model: Any, **loaded: Any) -> LoadedModel:
        """``model`` and ``hooks`` of the folder that ``spec`` names; ``loaded``: the fields below ``model``."""
        return cls(spec=spec, code_dir=Path(spec.code_dir), hooks=hooks, model=model, **folder._asdict(), **loaded)

    @property
    def prompt_column(self) -> str:
        """The column of the data that holds the prompts of a text generation model."""
        return self.spec.prompt_column or PROMPT_COLUMN
