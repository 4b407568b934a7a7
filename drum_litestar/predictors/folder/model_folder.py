"""What is known of a model from its folder and the options, before any of its code runs.

Both predictors begin with it, and so does ``drum-litestar check``, so nothing heavy is imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from drum_litestar.predictors.folder.deployment_config import DeploymentConfig, read_deployment_config
from drum_litestar.predictors.folder.language import detect_language
from drum_litestar.predictors.folder.metadata import read_metadata
from drum_litestar.predictors.folder.targets import require_target_name, resolve_labels, resolve_target_type
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec


class Folder(NamedTuple):
    """What was read. The fields are described at ``LoadedModel``, which has the same."""

    metadata: dict[str, Any] | None
    target_type: TargetType
    labels: tuple[str, ...] | None
    language: str
    deployment_config: DeploymentConfig | None


def read_folder(spec: PredictorSpec) -> Folder:
    """Read the folder of ``spec``. Raises ModelLoadError when it is invalid, or contradicts the options."""
    code_dir = Path(spec.code_dir)
    metadata = read_metadata(code_dir) if spec.metadata is msgspec.UNSET else spec.metadata
    target_type = resolve_target_type(spec, metadata)
    labels = resolve_labels(spec, target_type, metadata)
    language = detect_language(code_dir, spec)
    require_target_name(spec, target_type)
    deployment_config = read_deployment_config(spec.deployment_config) if spec.deployment_config else None
    return Folder(metadata, target_type, labels, language, deployment_config)
