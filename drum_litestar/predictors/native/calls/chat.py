"""Chat completions: the ``chat`` hook behind OpenAI's wire format (contract, 3.10).

The openai package is never imported: answers and chunks are recognised by their ``object`` attribute, or key.
"""

from __future__ import annotations

import functools
import logging
import threading
import uuid
from typing import Any

from drum_litestar.drum_json import drum_json
from drum_litestar.predictors.native.calls.chat_objects import (
    CHUNK_OBJECT,
    COMPLETION_OBJECT,
    ChunkSource,
    as_completion,
)
from drum_litestar.predictors.native.calls.event_stream import (
    ASSOCIATION_ID,
    EventStream,
    as_dict,
    chunk_json,
    set_association_id,
)
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.datarobot.monitoring import ChatReport
from drum_litestar.predictors.native.formats.inputs import ClientDataError
from drum_litestar.predictors.native.hooks.request_values import RequestHeaders
from drum_litestar.predictors.native.hooks.user_errors import ModelError
from drum_litestar.predictors.native.openai_api.openai_parameters import json_body
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply, StreamHead, StreamReply, TargetType
from drum_litestar.predictors.steps import report_chat, step

logger = logging.getLogger("drum")

_HOOK = "chat"
_END = object()


class ChatHandler:
    """The chat pipeline of one loaded model."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._hook = loaded.hooks.get(_HOOK)
        self._takes_headers = self._hook is not None and loaded.hooks.takes_headers(_HOOK)
        self._stream_warning = threading.Lock()

    @property
    def available(self) -> bool:
        return self._hook is not None and self._loaded.target_type is not TargetType.UNSTRUCTURED

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        """Answer one chat call. Raises what the hook, or its first chunk, raises (contract, section 8, Q-16)."""
        params = _read_params(call.body)
        report_chat("request", params)
        association_id = params.get(ASSOCIATION_ID) or str(uuid.uuid4())
        if self._loaded.monitor is None:
            return self._answer(params, call, association_id, None)
        report = self._loaded.monitor.chat(params, association_id)
        with report.failures():
            return self._answer(params, call, association_id, report)

    def _answer(
        self, params: dict[str, Any], call: ModelCall, association_id: Any, report: ChatReport | None
    ) -> Reply | StreamReply:
        with step("model"):
            result = self._call_hook(params, call, association_id)
        result = as_completion(result, params)
        if getattr(result, "object", None) != COMPLETION_OBJECT:
            return self._stream(result, params, association_id, report)
        reply = _complete(result, association_id)
        report_chat("answer", result)
        if report is not None:
            report.succeeded(result.choices[0].message.content)
        return reply

    def _call_hook(self, params: dict[str, Any], call: ModelCall, association_id: Any) -> Any:
        model, moderation = self._loaded.model, self._loaded.moderation
        hook = functools.partial(self._loaded.hooks.call, _HOOK)
        headers = {"headers": RequestHeaders(call.headers)}
        if moderation is not None:  # always passes the headers to the hook (contract, 4.15)
            return moderation.chat(params, model, hook, association_id, **headers)
        return hook(params, model, **headers) if self._takes_headers else hook(params, model)

    def _stream(
        self, result: Any, params: dict[str, Any], association_id: Any, report: ChatReport | None
    ) -> StreamReply:
        if isinstance(result, dict):
            raise _unexpected(result)
        try:
            items = [result] if isinstance(result, str) else result
            chunks_of_hook = ChunkSource(self._loaded.hooks.iterate(items), params)
            source: Any = chunks_of_hook if report is None else report.source(chunks_of_hook)
        except TypeError:
            raise _unexpected(result) from None
        try:
            first = next(source, _END)
            if first is not _END and getattr(first, "object", None) != CHUNK_OBJECT:
                raise _unexpected(result, first)
            encode = functools.partial(_encode_chunk, association_id)
            chunks = EventStream(source, encode, () if first is _END else (first,))
        except BaseException:
            source.close()
            raise
        # Never released: one warning for each worker.
        if chunks_of_hook.of_texts and not params.get("stream") and self._stream_warning.acquire(blocking=False):
            logger.warning(
                'The chat hook yields texts for a request without "stream": true, so its client gets a stream that it '
                "did not ask for: return one text there. This is reported once."
            )
        return StreamReply(StreamHead(), chunks)


def _read_params(body: Payload | None) -> dict[str, Any]:
    params = json_body(body)
    try:
        messages = params.get("messages", ())  # only an object has `get`: DRUM's text is that of the AttributeError
        iter(messages)
    except (AttributeError, TypeError) as error:
        raise ClientDataError(str(error), "a chat is a JSON object with a list of messages") from None
    return params  # type: ignore[no-any-return]


def _complete(completion: Any, association_id: Any) -> Reply:
    _ = completion.choices[0].message.content  # DRUM reports it, and answers 500 where there is none
    extra = set_association_id(completion, association_id)
    return Reply(body=drum_json({**as_dict(completion), **extra}))


def _encode_chunk(association_id: Any, chunk: Any) -> str:
    if getattr(chunk, "object", None) != CHUNK_OBJECT:
        raise ModelError(f"Expected a chat completion chunk, but received {type(chunk)}", _remedy(chunk))
    report_chat("chunk", chunk)
    return chunk_json(chunk, set_association_id(chunk, association_id))


def _unexpected(result: Any, *first: Any) -> ModelError:
    """``first``: what is wrong with ``result`` is its first item."""
    return ModelError(
        "Expected response to be ChatCompletion or Iterable[ChatCompletionChunk]. "
        f"response type: {type(result)}.response(str): {result}",
        _remedy(*(first or (result,))),
    )


def _remedy(result: Any) -> str:
    """What to change in a ``chat`` hook that has given ``result``."""
    if not isinstance(result, dict):
        return "chat() returns a text, or an object or dict with choices, or yields texts or chunks"
    found = repr(result["object"]) if "object" in result else "none"
    return (
        f'a dict of chat() needs "object": "{COMPLETION_OBJECT}", or "{CHUNK_OBJECT}" where it is yielded, and '
        f'"choices"; this one has the object {found} and the keys {", ".join(map(str, result)) or "of nothing"}'
    )
