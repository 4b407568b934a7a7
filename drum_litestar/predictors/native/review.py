"""Review of a model folder for the native predictor, without loading it.

``drum-litestar check`` uses it, so neither pandas nor a framework nor the model's code is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from drum_litestar.predictors.folder.files import find_custom
from drum_litestar.predictors.native.datarobot.moderation import PACKAGE, start_moderation
from drum_litestar.predictors.native.frameworks.artifacts import find_framework, locate_artifact
from drum_litestar.predictors.native.frameworks.base import installed
from drum_litestar.predictors.native.hooks.custom_module import Hooks, require_hooks
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec


def review_model(spec: PredictorSpec, target_type: Optional[TargetType]) -> list[str]:
    """Warnings about the folder; no ``target_type`` where the model decides. Raises ModelLoadError for what would make
    the load fail.

    Only a folder without ``custom.py`` is reviewed for hooks and artifact: the file would have to be imported.
    Moderation whose package is installed is not started.
    """
    code_dir = Path(spec.code_dir)
    if find_custom(code_dir) is None:
        if target_type is not None:
            require_hooks(target_type, Hooks())
        find_framework(locate_artifact(code_dir))
    return [] if target_type is None or installed(PACKAGE) else start_moderation(spec, code_dir, target_type, "")[1]
