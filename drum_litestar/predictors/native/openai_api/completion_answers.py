"""What a ``completion`` hook may return or yield, as OpenAI's completions in dicts of JSON values.

::

    return "text"                                a completion
    return ["text", "text"]                      one for each prompt, or each of the `n` that were asked for
    return {"choices": [{"text": "text"}]}       completions; what is missing around them is filled in
    yield "text"                                 the next piece of the only completion
    yield {"choices": [{"index": 1, "text": "text"}]}

A dict may also be an object with these attributes, such as the openai package's ``Completion``.
"""

from __future__ import annotations

import time
import uuid
from typing import Any, Dict, Iterator, List, Optional

import msgspec

from drum_litestar.messages.openai_messages import CompletionChoice
from drum_litestar.predictors.native.calls.event_stream import as_dict, plain
from drum_litestar.predictors.native.hooks.hook_loop import Source
from drum_litestar.predictors.native.hooks.user_errors import ModelError
from drum_litestar.predictors.native.openai_api.openai_parameters import CompletionRequest, model_name

OBJECT = "text_completion"
Answer = Dict[str, Any]

REMEDY = (
    "completion() returns a text, a list with one text for each completion asked for, or a dict or object with "
    '"choices", each with a "text"; or it yields texts or such dicts'
)


def head_of(request: CompletionRequest) -> Answer:
    """The fields around the choices, for what a hook leaves out."""
    return {
        "id": f"cmpl-{uuid.uuid4().hex}",
        "object": OBJECT,
        "created": int(time.time()),
        "model": model_name(request.params),
    }


def whole_answer(result: Any, request: CompletionRequest, head: Answer) -> Optional[Answer]:
    """``result`` as an answer; None if it yields one. Raises ModelError."""
    if isinstance(result, str):
        result = [result]
    elif hasattr(result, "tolist"):
        result = result.tolist()
    if isinstance(result, (list, tuple)) and all(isinstance(each, str) for each in result):
        if len(result) != request.choices:
            raise ModelError(
                f"completion() returned {len(result)} texts, but {request.choices} completions were asked for", REMEDY
            )
        return of_texts(result, head)
    return as_answer(result, head, "stop")


def of_texts(texts: Any, head: Answer) -> Answer:
    """An answer with one choice for each of ``texts``."""
    return {**head, "choices": [_choice(text, index, "stop") for index, text in enumerate(texts)]}


def as_answer(value: Any, head: Answer, finish_reason: Optional[str]) -> Optional[Answer]:
    """``value`` if it is a dict or object with choices, with ``head`` and ``finish_reason`` for what it lacks; else
    None. Raises ModelError for choices of another shape."""
    found = value if isinstance(value, dict) else as_dict(value) if hasattr(value, "choices") else {}
    choices = plain(found.get("choices"))
    if not isinstance(choices, list):
        return None
    for index, choice in enumerate(choices):
        if not isinstance(choice, dict) or not isinstance(choice.get("text"), str):
            raise ModelError("completion() gave a choice without text", REMEDY)
        choices[index] = {**_choice("", index, finish_reason), **choice}
    return {**head, **plain(found), "choices": choices}


def _choice(text: str, index: int, finish_reason: Optional[str]) -> Answer:
    choice: Answer = msgspec.to_builtins(CompletionChoice(finish_reason, index, None, text))
    return choice


class CompletionChunks(Iterator[Answer]):
    """The items of ``source`` as chunks. A completion of texts ends with a chunk that says so."""

    def __init__(self, source: Source, request: CompletionRequest, head: Answer) -> None:
        self._source = source
        self._choices = request.choices
        self._head = head
        self._open = False
        """The last item was a text."""

    def __next__(self) -> Answer:
        try:
            item = next(self._source)
        except StopIteration:
            if not self._open:
                raise
            self._open = False
            return {**self._head, "choices": [_choice("", 0, "stop")]}
        self._open = isinstance(item, str)
        if not self._open:
            chunk = as_answer(item, self._head, None)
            if chunk is None:
                raise ModelError(f"completion() yielded {type(item)}", REMEDY)
            return chunk
        if self._choices > 1:
            raise ModelError(
                f"completion() yields texts, but {self._choices} completions were asked for",
                'completion() must yield {"choices": [{"index": ..., "text": ...}]}, or return a list of texts',
            )
        return {**self._head, "choices": [_choice(item, 0, None)]}

    def close(self) -> None:
        self._source.close()


def assembled(chunks: Iterator[Answer], head: Answer) -> Answer:
    """The answer that ``chunks`` are the pieces of, for a client that does not ask for a stream."""
    answer: Optional[Answer] = None
    pieces: Dict[Any, List[Answer]] = {}
    for chunk in chunks:
        answer = {**chunk, **(answer or {}), **({"usage": chunk["usage"]} if chunk.get("usage") else {})}
        for choice in chunk["choices"]:
            pieces.setdefault(choice["index"], []).append(choice)
    choices = [
        {**parts[-1], "text": "".join(part["text"] for part in parts), "finish_reason": _reason(parts)}
        for _, parts in sorted(pieces.items())
    ]
    return {**(answer or head), "choices": choices or [_choice("", 0, "stop")]}


def _reason(parts: List[Answer]) -> Any:
    return next((part["finish_reason"] for part in reversed(parts) if part["finish_reason"]), "stop")


def pieces_of(answer: Answer, request: CompletionRequest) -> Iterator[Answer]:
    """``answer`` as chunks, one for each choice, for a client that asks for a stream."""
    usage = answer.get("usage")
    around = {name: value for name, value in answer.items() if name != "usage"}
    for choice in answer["choices"]:
        yield {**around, "choices": [choice]}
    if usage is not None and request.with_usage:
        yield {**around, "choices": [], "usage": usage}
