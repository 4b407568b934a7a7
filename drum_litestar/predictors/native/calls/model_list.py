"""``/models``: the language models that a text generation model offers (contract, 3.11)."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from drum_litestar.drum_json import drum_json
from drum_litestar.messages.openai_messages import ModelEntry
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.protocol import ModelCall, Reply, TargetType

_HOOK = "get_supported_llm_models"
_CREATED = 1735689600
"""DRUM's fixed date of a model named by ``LLM_ID``: 2025-01-01."""


class ModelListHandler:
    """Answers ``/models`` for one loaded model."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded

    @property
    def available(self) -> bool:
        return self._loaded.target_type is TargetType.TEXT_GENERATION

    def handle(self, _: ModelCall) -> Reply:
        """The list of models. Raises what the hook raises."""
        return Reply(body=drum_json({"object": "list", "data": self._models()}))

    def _models(self) -> list[dict[str, Any]]:
        hooks = self._loaded.hooks
        if hooks.get(_HOOK) is not None:
            # Of the hooks beside asynchronous ones this one alone may be synchronous, and must not stop the others.
            offered = hooks.iterate(hooks.loop.away(functools.partial(hooks.call, _HOOK, self._loaded.model)))
            try:
                return [item.to_dict() for item in offered if getattr(item, "object", None) == "model"]
            finally:
                offered.close()
        name = self._loaded.spec.llm_id
        if name is None:
            return []
        return [msgspec.to_builtins(ModelEntry(name, "model", _CREATED, "DataRobot"))]
