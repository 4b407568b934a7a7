"""What the OpenAPI document says of one route, besides what its row says anyway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from drum_litestar.errors import RequestError
from drum_litestar.http.app_options import AppOptions
from drum_litestar.media_types import EVENT_STREAM, JSON
from drum_litestar.predictors.protocol import ModelCard

Schema: TypeAlias = type[msgspec.Struct] | Mapping[str, Any]
"""A Struct stands for its schema, at any depth."""
Content: TypeAlias = dict[str, dict[str, Any]]
"""Media types, and what OpenAPI calls a media type object of each."""
Rule: TypeAlias = Callable[[ModelCard], None]

TEXT: Final[Schema] = {"type": "string"}


class Subject(NamedTuple):
    """What is described: a loaded model, and the server's options."""

    card: ModelCard
    options: AppOptions


def _always(_: Subject) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One route's requests and answers."""

    answer: Callable[[Subject], Content]
    """Content of the answer with status 200."""
    body: Callable[[Subject], Content] | None = None
    """Content of a POST's body; None where there is none."""
    body_is_required: bool = True
    offered: Callable[[Subject], bool] = _always
    """Whether this server answers the route with anything but an error."""
    errors: Mapping[int, Schema] = field(default_factory=dict)
    """Statuses that only this route has, or in another form than the others, with the schemas of their bodies."""
    parameters: tuple[Mapping[str, Any], ...] = ()
    """Of query and headers."""
    description: str = ""
    post_end: str = ""
    """What a POST has at the end of the last segment of its path, after the part that varies."""


def passes(*rules: Rule) -> Callable[[Subject], bool]:
    """Whether a model passes all ``rules``, which raise RequestError."""

    def offered(subject: Subject) -> bool:
        try:
            for rule in rules:
                rule(subject.card)
        except RequestError:
            return False
        return True

    return offered


def json_of(schema: Schema, example: Any = None) -> Content:
    """Content that is JSON alone."""
    return {JSON: {"schema": schema} if example is None else {"schema": schema, "example": example}}


def answers(schema: Schema) -> Callable[[Subject], Content]:
    """An answer that is JSON, and the same for every model."""
    return lambda _: json_of(schema)


def events_of(schema: Schema) -> Content:
    """Content that is a stream of events, each with JSON as its data; the last one may say that it is the last."""
    data = [{"contentMediaType": JSON, "contentSchema": schema}, {"const": "[DONE]"}]
    event = {"type": "object", "required": ["data"], "properties": {"data": {"type": "string", "anyOf": data}}}
    return {EVENT_STREAM: {"schema": {"title": "Event", **event}}}
