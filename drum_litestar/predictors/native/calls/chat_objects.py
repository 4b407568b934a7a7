"""Dicts and texts of ``chat`` hooks as objects with OpenAI's attributes. DRUM takes the objects alone; this is ours.

::

    return {"object": "chat.completion", "choices": [...], ...}       the answer, as it is
    return "text"                                                     the message of an answer, or of a stream of one
    yield {"object": "chat.completion.chunk", "choices": [...], ...}  a chunk, as it is
    yield "text"                                                      the next piece of the message
"""

from __future__ import annotations

import time
import uuid
from types import SimpleNamespace
from typing import Any, Dict, Iterator

import msgspec

from drum_litestar.messages.openai_messages import (
    ChatAnswer,
    ChatChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatDelta,
    ChunkChoice,
)
from drum_litestar.predictors.native.hooks.hook_loop import Source

COMPLETION_OBJECT = "chat.completion"
CHUNK_OBJECT = "chat.completion.chunk"


def as_completion(result: Any, params: Dict[str, Any]) -> Any:
    """``result`` as an object, if it is a dict with a completion's message, or a text that the client does not want
    streamed; else ``result`` itself."""
    if isinstance(result, str) and not params.get("stream"):
        choice = ChatChoice(0, ChatAnswer(role="assistant", content=result), "stop")
        return _object(msgspec.to_builtins(ChatCompletion(**_head(COMPLETION_OBJECT, params), choices=[choice])))
    if isinstance(result, dict) and result.get("object") == COMPLETION_OBJECT and result.get("choices"):
        return _object(result)
    return result


class ChunkSource(Iterator[Any]):
    """The items of ``source`` as chunks. A message of texts ends with a chunk that says so."""

    def __init__(self, source: Source, params: Dict[str, Any]) -> None:
        self._source = source
        self._head = _head(CHUNK_OBJECT, params)
        self._begun = False
        self._open = False
        """The last item was a text."""

    @property
    def of_texts(self) -> bool:
        """There has been a text among the items."""
        return self._begun

    def __next__(self) -> Any:
        try:
            item = next(self._source)
        except StopIteration:
            if not self._open:
                raise
            self._open = False
            return self._chunk(ChatDelta(), "stop")
        self._open = isinstance(item, str)
        if self._open:
            role = msgspec.UNSET if self._begun else "assistant"
            self._begun = True
            return self._chunk(ChatDelta(role, item), None)
        return _object(item) if isinstance(item, dict) and item.get("object") == CHUNK_OBJECT else item

    def close(self) -> None:
        self._source.close()

    def _chunk(self, delta: ChatDelta, finish_reason: str | None) -> Any:
        chunk = ChatCompletionChunk(**self._head, choices=[ChunkChoice(0, delta, finish_reason)])
        return _object(msgspec.to_builtins(chunk))


def _head(kind: str, params: Dict[str, Any]) -> Dict[str, Any]:
    model = params.get("model")
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model if isinstance(model, str) else "",
    }


def _object(value: Any) -> Any:
    if isinstance(value, dict):
        made = SimpleNamespace()
        made.__dict__.update({name: _object(item) for name, item in value.items()})
        return made
    return [_object(item) for item in value] if isinstance(value, list) else value
