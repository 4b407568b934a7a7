"""Messages of OpenAI's routes.

Requests and what hooks return reach the other side with all their fields: these are the ones that the server reads, or
fills in where a hook returns a text.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Union

import msgspec
from msgspec import UNSET, UnsetType


class ChatRequest(msgspec.Struct, kw_only=True):
    """A chat. All parameters reach the hook as they were sent."""

    messages: List[Any]
    """Of a role and a content each; what else they have is up to the hook."""
    model: Optional[str] = None
    stream: Optional[bool] = None
    """Asks for events."""


class ChatAnswer(msgspec.Struct, kw_only=True):
    """The message of a chat's answer."""

    role: str
    content: Optional[str] = None


class ChatChoice(msgspec.Struct):
    """One answer."""

    index: int
    message: ChatAnswer
    finish_reason: Optional[str]


class ChatCompletion(msgspec.Struct):
    """The answer to a chat."""

    id: str
    object: str
    created: int
    model: str
    choices: List[ChatChoice]


class ChatDelta(msgspec.Struct):
    """What is new of the message."""

    role: Union[str, UnsetType, None] = UNSET
    content: Union[str, UnsetType, None] = UNSET


class ChunkChoice(msgspec.Struct):
    """The next piece of one answer."""

    index: int
    delta: ChatDelta
    finish_reason: Optional[str]


class ChatCompletionChunk(msgspec.Struct):
    """The next piece of the answer to a chat: the data of an event."""

    id: str
    object: str
    created: int
    model: str
    choices: List[ChunkChoice]


class CompletionRequest(msgspec.Struct, kw_only=True):
    """Prompts: one or a list, each as text or as tokens. All parameters reach the hook as they were sent."""

    prompt: Union[str, List[Union[str, int, List[int]]]]
    model: Any = None
    n: Optional[int] = None
    """Completions of each prompt."""
    stream: Optional[bool] = None
    """Asks for events."""


class CompletionChoice(msgspec.Struct):
    """One completion, or the next piece of it."""

    finish_reason: Optional[str]
    index: int
    logprobs: Any
    text: str


class Completion(msgspec.Struct):
    """Completions, or the next pieces of them: the data of an event."""

    id: str
    object: str
    created: int
    model: str
    choices: List[CompletionChoice]


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    """Texts: one or a list, each as text or as tokens. All parameters reach the hook as they were sent."""

    input: Union[str, List[Union[str, int, List[int]]]]
    model: Any = None
    encoding_format: Optional[str] = None
    """``float`` or ``base64``."""
    dimensions: Optional[int] = None


class Embedding(msgspec.Struct):
    """The embedding of one text: numbers, or their bytes in base64."""

    object: str
    index: int
    embedding: Union[List[float], str]


class EmbeddingList(msgspec.Struct):
    """An embedding for each text."""

    model: str
    usage: Dict[str, Any]
    object: str
    data: List[Embedding]


class ModelEntry(msgspec.Struct):
    """A language model."""

    id: str
    object: str
    created: int
    owned_by: str


class ModelList(msgspec.Struct):
    """The language models."""

    object: str
    data: List[ModelEntry]
