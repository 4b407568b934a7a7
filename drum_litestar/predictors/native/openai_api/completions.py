"""Text completions: the ``completion`` hook, or the ``score`` hook over prompts, behind OpenAI's wire format.

Whether the answer is a stream is the client's choice, whatever a hook returns. DRUM does not have this.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import Any, Dict

from drum_litestar.drum_json import drum_json
from drum_litestar.predictors.native.calls.event_stream import ASSOCIATION_ID, EventStream
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.datarobot.monitoring import ChatReport
from drum_litestar.predictors.native.hooks.hook_loop import Source, SyncSource
from drum_litestar.predictors.native.hooks.request_values import RequestHeaders
from drum_litestar.predictors.native.hooks.user_errors import ModelError
from drum_litestar.predictors.native.openai_api.completion_answers import (
    REMEDY,
    Answer,
    CompletionChunks,
    assembled,
    head_of,
    of_texts,
    pieces_of,
    whole_answer,
)
from drum_litestar.predictors.native.openai_api.openai_parameters import CompletionRequest, completion_request
from drum_litestar.predictors.native.openai_api.prompts import PromptScorer
from drum_litestar.predictors.protocol import ModelCall, Reply, StreamHead, StreamReply, TargetType
from drum_litestar.predictors.steps import report_chat, step

_HOOK = "completion"
_END: Dict[str, Any] = {}


class CompletionHandler:
    """The completions of one loaded model."""

    def __init__(self, loaded: LoadedModel, scorer: PromptScorer) -> None:
        self._loaded = loaded
        self._scorer = scorer
        # Guards know `score` and `chat` alone, and must not be passed by (contract, section 8, Q-14).
        self._hooked = loaded.hooks.get(_HOOK) is not None and loaded.moderation is None
        self._takes_headers = self._hooked and loaded.hooks.takes_headers(_HOOK)

    @property
    def available(self) -> bool:
        return self._loaded.target_type is not TargetType.UNSTRUCTURED and (self._hooked or self._scorer.available)

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        """Answer one call. Raises RequestError, UnreadableBodyError, and what the hook, or its first chunk, raises."""
        request = completion_request(call.body)
        report_chat("request", _as_chat_request(request))
        association_id = request.params.get(ASSOCIATION_ID) or str(uuid.uuid4())
        head = {**head_of(request), ASSOCIATION_ID: association_id}
        if not self._hooked:
            return _reply(of_texts(self._scorer.complete(request), head), request)
        if self._loaded.monitor is None:
            return self._by_hook(request, call, head, None)
        report = self._loaded.monitor.chat(_as_chat_request(request), association_id)
        with report.failures():
            return self._by_hook(request, call, head, report)

    def _by_hook(
        self, request: CompletionRequest, call: ModelCall, head: Answer, report: ChatReport | None
    ) -> Reply | StreamReply:
        hooks, arguments = self._loaded.hooks, (request.params, self._loaded.model)
        with step("model"):
            headers = {"headers": RequestHeaders(call.headers)} if self._takes_headers else {}
            result = hooks.call(_HOOK, *arguments, **headers)
            answer = whole_answer(result, request, head)
            if answer is None:
                chunks = CompletionChunks(self._iterate(result), request, head)
                if request.stream:
                    return _stream(chunks if report is None else report.source(chunks, _text_of), head)
                with contextlib.closing(chunks):
                    answer = assembled(chunks, head)
        if report is not None:
            report.succeeded(_text_of(answer))
        return _reply(answer, request)

    def _iterate(self, result: Any) -> Source:
        if not isinstance(result, (dict, bytes)):
            with contextlib.suppress(TypeError):
                return self._loaded.hooks.iterate(result)
        raise ModelError(f"completion() returned {type(result)}", REMEDY)


def _reply(answer: Answer, request: CompletionRequest) -> Reply | StreamReply:
    if request.stream:
        return _stream(SyncSource(pieces_of(answer, request)), answer)
    report_chat("answer", {**answer, "choices": [_as_message(choice, "message") for choice in answer["choices"]]})
    return Reply(body=drum_json(answer))


def _stream(source: Any, head: Answer) -> StreamReply:
    association_id = head[ASSOCIATION_ID]

    def encode(chunk: Answer) -> str:
        report_chat("chunk", {**chunk, "choices": [_as_message(choice, "delta") for choice in chunk["choices"]]})
        whole = {**chunk, ASSOCIATION_ID: association_id}
        return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)

    try:
        first = next(source, _END)
        return StreamReply(StreamHead(), EventStream(source, encode, () if first is _END else (first,)))
    except BaseException:
        source.close()
        raise


def _text_of(answer: Answer) -> Any:
    """The text of the first choice, which monitoring reports."""
    return answer["choices"][0]["text"] if answer["choices"] else None


def _as_chat_request(request: CompletionRequest) -> Dict[str, Any]:
    """The request as the chat that traces and reports describe."""
    messages = [{"role": "user", "content": prompt if isinstance(prompt, str) else None} for prompt in request.prompts]
    return {"model": request.params.get("model"), "messages": messages}


def _as_message(choice: Answer, name: str) -> Dict[str, Any]:
    message = {"role": "assistant", "content": choice["text"]}
    return {"index": choice["index"], "finish_reason": choice["finish_reason"], name: message}
