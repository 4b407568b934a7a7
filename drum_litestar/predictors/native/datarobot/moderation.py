"""Moderation of text models through ``datarobot_dome`` (contract, 4.15). It is never skipped silently (Q-14)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from drum_litestar.errors import ModelLoadError
from drum_litestar.pip_command import install
from drum_litestar.predictors.folder.files import MODERATION_FILE
from drum_litestar.predictors.native.frameworks.base import installed
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec

PACKAGE = "datarobot_dome"
_COMPLETION = "completion"


class Moderation:
    """The guards around the ``score`` and ``chat`` hooks."""

    def __init__(self, pipeline: Any, target_name: str) -> None:
        """``pipeline``: the result of ``moderation_pipeline_factory``."""
        self._pipeline = pipeline
        self._target_name = target_name

    def score(self, data: Any, model: Any, hook: Callable[..., Any], **kwargs: Any) -> Any:
        """Call ``hook(data, model, **kwargs)`` through the guards. Their columns become extra output."""
        result = self._pipeline.score(data, model, hook, **kwargs)
        import pandas as pd  # here, because `drum-litestar check` imports this module without pandas

        if isinstance(result, pd.DataFrame) and self._target_name not in result and _COMPLETION in result:
            return result.rename(columns={_COMPLETION: self._target_name})
        return result

    def chat(self, params: dict[str, Any], model: Any, hook: Callable[..., Any], association_id: Any, **kw: Any) -> Any:
        """Call ``hook(params, model, **kw)`` through the guards. Returns a completion or an iterable of chunks."""
        return self._pipeline.chat(params, model, hook, association_id, **kw)


def unguarded_hooks(names: Sequence[str]) -> list[str]:
    """Warnings about hooks among ``names`` that guards cannot stand around."""
    notes = {
        "completion": "custom.py: completion() is not called, because moderations guard score() and chat() alone: "
        "/v1/completions asks score(), if there is one.",
        "embed": "custom.py: embed() is called without the moderations, which guard score() and chat() alone.",
    }
    return [text for name, text in notes.items() if name in names]


def start_moderation(
    spec: PredictorSpec, code_dir: Path, target_type: TargetType, target_name: str
) -> tuple[Moderation | None, list[str]]:
    """Create the folder's moderation. To be called before ``custom.py`` is imported. Returns also warnings to log.

    Raises ModelLoadError when the folder configures guards that cannot run; ``DRUM_MODERATIONS_OPTIONAL`` turns that
    into a warning.
    """
    if not target_type.is_text or not (code_dir / MODERATION_FILE).exists():
        return None, []
    try:
        if not installed(PACKAGE):
            raise ModelLoadError(
                f"the package '{PACKAGE}' is not installed; install it with: {install('datarobot-moderations')}"
            )
        pipeline = _pipeline(code_dir, target_type)
    except Exception as error:
        problem = f"{MODERATION_FILE} configures moderations, but {str(error) or repr(error)}."
        if spec.moderations_optional:
            return None, [f"{problem} Moderation is disabled."]
        raise ModelLoadError(f"{problem} Set DRUM_MODERATIONS_OPTIONAL=true to serve without moderation.") from error
    return None if pipeline is None else Moderation(pipeline, target_name), []


def _pipeline(code_dir: Path, target_type: TargetType) -> Any:
    module = importlib.import_module(f"{PACKAGE}.drum_integration")
    return module.moderation_pipeline_factory(target_type.value, model_dir=str(code_dir))
