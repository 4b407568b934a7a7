"""Completion of prompts by the ``score`` hook, for text generation models without a ``completion`` hook."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Sequence, Tuple

import pandas as pd

from drum_litestar.errors import InvalidParameterError
from drum_litestar.media_types import CSV
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.calls.structured import Predictions, StructuredHandler
from drum_litestar.predictors.native.formats.inputs import StructuredInput
from drum_litestar.predictors.native.hooks.user_errors import ModelError
from drum_litestar.predictors.native.openai_api.openai_parameters import CompletionRequest, Params
from drum_litestar.predictors.protocol import Payload
from drum_litestar.predictors.steps import step

_NEUTRAL: Dict[str, Tuple[Any, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "n": (1,),
    "suffix": ("",),
}
"""Parameters that would change what an answer is, and values besides null that ask for nothing."""


class PromptScorer:
    """Asks one loaded model for completions as ``/predict/`` does."""

    def __init__(self, loaded: LoadedModel, structured: StructuredHandler) -> None:
        self._loaded = loaded
        self._structured = structured
        self._column = loaded.prompt_column

    @property
    def available(self) -> bool:
        """The model generates text, and predicts."""
        loaded = self._loaded
        predicts = loaded.hooks.get("score") is not None or loaded.hooks.custom_task is not None
        return loaded.target_type.generates_text and predicts

    def complete(self, request: CompletionRequest) -> List[str]:
        """A text for each prompt. Raises InvalidParameterError for what a ``score`` hook cannot do, and what
        :meth:`StructuredHandler.predict` raises."""
        prompts, stops = _prompts(request), _stops(request.params)
        try:
            frame = pd.DataFrame({self._column: prompts})
            body = frame.to_csv(index=False).encode()
        except UnicodeEncodeError:
            raise InvalidParameterError("prompt has characters that are not Unicode text", "prompt") from None
        payload = Payload(data=body, size=len(body), mimetype=CSV)
        found = self._predictions(frame, StructuredInput(payload, CSV, None, None))
        answers = found.validated.column().tolist()
        if len(answers) != len(prompts):
            raise ModelError(
                f"The model returned {len(answers)} predictions for {len(prompts)} prompts",
                "score() must return one row for each row of data",
            )
        return [_until(stops, _text(answer)) for answer in answers]

    def _predictions(self, frame: pd.DataFrame, source: StructuredInput) -> Predictions:
        """The predictions for ``frame``, whose CSV is in ``source`` for hooks that read it themselves."""
        own_reader = self._loaded.hooks.get("read_input_data") is not None
        with step("parse"):
            rows = self._structured.read(source) if own_reader else frame
        monitor = self._loaded.monitor
        features = None if monitor is None else monitor.keep(rows)
        began = time.perf_counter()
        with step("model"):
            predictions = self._structured.predict(rows, source)
        if monitor is not None:
            monitor.predicted(features, predictions.validated, False, time.perf_counter() - began)
        return predictions


def _prompts(request: CompletionRequest) -> List[str]:
    for name, neutral in _NEUTRAL.items():
        value = request.params.get(name)
        if value is not None and not any(type(value) is type(each) and value == each for each in neutral):
            raise InvalidParameterError(
                f"{name} is not supported by this model: its score hook gives one text for each prompt, "
                "and only a completion hook could do more",
                name,
            )
    found = [prompt for prompt in request.prompts if isinstance(prompt, str)]
    if len(found) != len(request.prompts):
        raise InvalidParameterError("this model takes prompts as text, not as tokens", "prompt")
    return found


def _stops(params: Params) -> Sequence[str]:
    value = params.get("stop")
    stops = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(stops, list) or not all(isinstance(each, str) and each for each in stops):
        raise InvalidParameterError("stop must be a text or a list of texts, none of them empty", "stop")
    return stops


def _until(stops: Sequence[str], text: str) -> str:
    """``text`` up to the first of ``stops``."""
    return text[: min((place for place in map(text.find, stops) if place >= 0), default=len(text))]


def _text(answer: Any) -> str:
    return answer if isinstance(answer, str) else "" if answer is None or answer != answer else str(answer)
