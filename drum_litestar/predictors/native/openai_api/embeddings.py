"""Embeddings: the ``embed`` hook behind OpenAI's wire format. DRUM does not have this."""

from __future__ import annotations

import contextlib
from typing import Any, Iterable, List

import msgspec

from drum_litestar.errors import InvalidParameterError
from drum_litestar.messages.openai_messages import Embedding
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.hooks.request_values import RequestHeaders
from drum_litestar.predictors.native.openai_api.openai_parameters import count, json_object, model_name, texts, tokens
from drum_litestar.predictors.native.openai_api.vectors import Embeddings, embeddings_of, to_base64
from drum_litestar.predictors.protocol import ModelCall, Reply, TargetType
from drum_litestar.predictors.steps import report_chat, step

_HOOK = "embed"
_FLOAT, _BASE64 = "float", "base64"


class EmbeddingHandler:
    """The embeddings of one loaded model."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        hooked = loaded.hooks.get(_HOOK) is not None
        self._takes_headers = hooked and loaded.hooks.takes_headers(_HOOK)

    @property
    def available(self) -> bool:
        loaded = self._loaded
        return loaded.target_type is not TargetType.UNSTRUCTURED and loaded.hooks.get(_HOOK) is not None

    def handle(self, call: ModelCall) -> Reply:
        """Answer one call. Raises RequestError, UnreadableBodyError, ModelError and what the hook raises."""
        params = json_object(call.body)
        inputs = texts(params, "input")
        encoding = params.get("encoding_format") or _FLOAT
        if encoding not in (_FLOAT, _BASE64):
            raise InvalidParameterError("encoding_format must be float or base64", "encoding_format")
        dimensions = count(params, "dimensions")
        report_chat("request", {"model": params.get("model")})
        headers = {"headers": RequestHeaders(call.headers)} if self._takes_headers else {}
        with step("model"):
            result = self._loaded.hooks.call(_HOOK, params, self._loaded.model, **headers)
            found = embeddings_of(result, len(inputs), self._iterated)
        length = len(found.vectors[0])
        if dimensions not in (None, length):
            raise InvalidParameterError(
                f"this model's embeddings have {length} dimensions, whatever is asked for", "dimensions"
            )
        used = tokens(inputs)
        around = {"model": model_name(params), "usage": {"prompt_tokens": used, "total_tokens": used}, **found.around}
        with step("serialize"):
            return Reply(body=_encode(found, around, encoding))

    def _iterated(self, result: Any) -> List[Any]:
        with contextlib.closing(self._loaded.hooks.iterate(result)) as source:
            return list(source)


def _encode(found: Embeddings, around: Any, encoding: str) -> bytes:
    """The answer in JSON by msgspec: thousands of numbers take the standard library's encoder seconds."""
    values: Iterable[Any] = (to_base64(each) if encoding == _BASE64 else each.tolist() for each in found.vectors)
    data = [Embedding("embedding", index, value) for index, value in enumerate(values)]
    return msgspec.json.encode({**around, "object": "list", "data": data}) + b"\n"
