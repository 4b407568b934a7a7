"""Operations of OpenAI's routes."""

from __future__ import annotations

from typing import Final

import msgspec

from drum_litestar.http.openapi.operation import (
    Content,
    Operation,
    Schema,
    Subject,
    answers,
    events_of,
    json_of,
    passes,
)
from drum_litestar.http.openapi.request_examples import CHAT as CHAT_EXAMPLE
from drum_litestar.http.openapi.request_examples import COMPLETION as COMPLETION_EXAMPLE
from drum_litestar.http.openapi.request_examples import EMBEDDING as EMBEDDING_EXAMPLE
from drum_litestar.http.openapi.row_operations import BINARY
from drum_litestar.media_types import JSON
from drum_litestar.messages.error_messages import ErrorMessage, ErrorText, ParameterError
from drum_litestar.messages.openai_messages import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    Completion,
    CompletionRequest,
    EmbeddingList,
    EmbeddingRequest,
    ModelList,
)
from drum_litestar.predictors.rules import check_chat, check_completion, check_embed, check_models


def _whole_or_events(whole: type[msgspec.Struct], chunk: type[msgspec.Struct]) -> Content:
    """``chunk``: the data of an event."""
    return {**json_of(whole), **events_of(chunk)}


def _forwarded(_: Subject) -> Content:
    return {"*/*": {"schema": {}}}


_NOT_JSON: Final[dict[int, Schema]] = {415: ErrorMessage, 400: {"anyOf": [ErrorText, ParameterError]}}

CHAT: Final = Operation(
    body=lambda _: json_of(ChatRequest, CHAT_EXAMPLE),
    answer=lambda _: _whole_or_events(ChatCompletion, ChatCompletionChunk),
    offered=passes(check_chat),
    errors=_NOT_JSON,
    description='With `"stream": true` the answer is a stream of events.',
)
COMPLETION: Final = Operation(
    body=lambda _: json_of(CompletionRequest, COMPLETION_EXAMPLE),
    answer=lambda _: _whole_or_events(Completion, Completion),
    offered=passes(check_completion),
    errors=_NOT_JSON,
    description='With `"stream": true` the answer is a stream of events.',
)
EMBED: Final = Operation(
    body=lambda _: json_of(EmbeddingRequest, EMBEDDING_EXAMPLE),
    answer=answers(EmbeddingList),
    offered=passes(check_embed),
    errors=_NOT_JSON,
)
MODELS: Final = Operation(answer=answers(ModelList), offered=passes(check_models))
DIRECT_ACCESS: Final = Operation(
    body=lambda _: {JSON: {"schema": {}}, "application/octet-stream": {"schema": BINARY}},
    body_is_required=False,
    answer=_forwarded,
    offered=lambda subject: subject.card.direct_access is not None and subject.options.direct_access is not None,
    errors={502: ErrorMessage, 504: ErrorMessage},
    description="The request and the answer are those of the LLM server.",
)
