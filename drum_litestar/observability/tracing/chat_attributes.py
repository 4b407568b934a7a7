"""``gen_ai.*`` span attributes of a chat (contract, 5.6), from the request's parameters and the hook's objects.

These are openai's, or have the same attributes or keys. Values are passed on as they are, null and lists of content
parts included, because DRUM does.
"""

from __future__ import annotations

import json
from typing import Any

from drum_litestar.observability.tracing.attributes import Attributes, sendable


def request_attributes(params: dict[str, Any]) -> Attributes:
    """Attributes of a chat request."""
    attributes: Attributes = {"gen_ai.request.model": sendable(params.get("model"))}
    messages = []
    for index, message in enumerate(params.get("messages", ())):
        if isinstance(message, dict):
            messages.append(_add_message(attributes, "gen_ai.prompt", index, message))
    if messages:
        attributes["gen_ai.input.messages"] = json.dumps(messages)
    return attributes


def response_attributes(completion: Any) -> Attributes:
    """Attributes of a complete answer."""
    choices = [(_get(choice, "message"), _get(choice, "finish_reason")) for choice in _get(completion, "choices")]
    return _completion_attributes(_get(completion, "model"), choices)


class StreamAssembler:
    """Assembles the answer of a streamed chat from its chunks."""

    def __init__(self) -> None:
        self._model: Any = None
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: Any) -> None:
        if self._model is None:
            self._model = _get(chunk, "model")
        for choice in _get(chunk, "choices") or ():
            delta = _get(choice, "delta")
            content, added = _get(delta, "content"), {"role": _get(delta, "role")}
            added["finish_reason"] = _get(choice, "finish_reason")
            if not (content or any(added.values())):
                continue
            whole = self._choices.setdefault(_get(choice, "index"), {})
            if content:
                whole["content"] = (whole.get("content") or "") + str(content)
            whole.update({key: value for key, value in added.items() if value})

    def attributes(self) -> Attributes:
        """Return the attributes of the answer so far, its choices in the order of their indexes; empty when there were
        no chunks of a chat."""
        if self._model is None and not self._choices:
            return {}
        choices = [(choice, choice.get("finish_reason")) for _, choice in sorted(self._choices.items())]
        return _completion_attributes(self._model, choices)


def _completion_attributes(model: Any, choices: list[tuple[Any, Any]]) -> Attributes:
    attributes: Attributes = {"gen_ai.response.model": sendable(model)}
    messages = []
    for index, (message, finish_reason) in enumerate(choices):
        messages.append(_add_message(attributes, "gen_ai.completion", index, message))
        if finish_reason is not None:
            messages[-1]["finish_reason"] = sendable(finish_reason)
    if messages:
        attributes["gen_ai.output.messages"] = json.dumps(messages)
    return attributes


def _add_message(attributes: Attributes, prefix: str, index: int, message: Any) -> dict[str, Any]:
    """Add a message's attributes. Returns it in the form of OpenTelemetry's conventions."""
    role, content = sendable(_get(message, "role")), sendable(_get(message, "content"))
    attributes[f"{prefix}.{index}.role"] = role
    attributes[f"{prefix}.{index}.content"] = attributes[prefix] = content
    if isinstance(content, list):
        parts = [_part(part) for part in content if isinstance(part, dict)]
    else:
        parts = [] if content is None else [{"type": "text", "content": str(content)}]
    return {"role": role, "parts": parts} if parts else {"role": role}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's text part calls its text ``text``, OpenTelemetry's ``content``; other parts stay as they are."""
    if part.get("type") != "text":
        return part
    return {"type": "text", "content": part["text"]} if "text" in part else {"type": "text"}


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)
