"""``gen_ai.*`` span attributes of a chat, from the bytes on the wire (contract, 5.6).

Reading the wire rather than the hooks' objects makes them the same for every predictor. Values are passed on as they
are, null and lists of content parts included, because DRUM does.
"""

from __future__ import annotations

import json
from typing import Any

from drum_litestar.observability.tracing.attributes import Attributes, sendable


def request_attributes(body: bytes) -> Attributes:
    """Attributes of a chat request; empty when ``body`` is not what DRUM could have read."""
    params = _json_object(body)
    if params is None or not _iterable(params.get("messages", ())):
        return {}
    attributes: Attributes = {"gen_ai.request.model": params.get("model")}
    messages = []
    for index, message in enumerate(params.get("messages", ())):
        if not isinstance(message, dict):
            continue
        role, content = message.get("role"), message.get("content")
        attributes[f"gen_ai.prompt.{index}.role"] = role
        attributes[f"gen_ai.prompt.{index}.content"] = content
        attributes["gen_ai.prompt"] = content
        messages.append(_message(role, content))
    if messages:
        attributes["gen_ai.input.messages"] = json.dumps(messages)
    return _clean(attributes)


def response_attributes(body: bytes) -> Attributes:
    """Attributes of a complete answer; empty when ``body`` is not a chat completion."""
    completion = _json_object(body)
    if completion is None or completion.get("object") != "chat.completion":
        return {}
    choices = [choice for choice in _list(completion.get("choices")) if isinstance(choice, dict)]
    return _completion_attributes(
        completion.get("model"),
        [(_dict(choice.get("message")), choice.get("finish_reason")) for choice in choices],
    )


class StreamAssembler:
    """Assembles the answer of a streamed chat from its events."""

    def __init__(self) -> None:
        self.model: Any = None
        self.error: str | None = None
        """Message of an error event that the stream ended with (contract, section 8, Q-16)."""
        self._choices: dict[int, dict[str, Any]] = {}
        self._pending = b""

    def feed(self, chunk: bytes) -> None:
        """Add bytes of the event stream, cut anywhere."""
        *events, self._pending = (self._pending + chunk).split(b"\n\n")
        for event in events:
            lines = [
                line[6:] if line.startswith(b"data: ") else line[5:]
                for line in event.split(b"\n")
                if line.startswith(b"data:")
            ]
            data = _json_object(b"\n".join(lines))
            if data is not None:
                self._add(data)

    def attributes(self) -> Attributes:
        """Return the attributes of the answer so far, its choices in the order of their indexes."""
        return _completion_attributes(
            self.model, [(choice, choice.get("finish_reason")) for _, choice in sorted(self._choices.items())]
        )

    def _add(self, data: dict[str, Any]) -> None:
        if "error" in data:
            error = data["error"]
            self.error = str(error.get("message", error) if isinstance(error, dict) else error)
            return
        if self.model is None:
            self.model = data.get("model")
        for choice in _list(data.get("choices")):
            if not isinstance(choice, dict) or not isinstance(choice.get("index"), int):
                continue
            delta = _dict(choice.get("delta"))
            added = {
                "role": delta.get("role"),
                "content": delta.get("content"),
                "finish_reason": choice.get("finish_reason"),
            }
            if not any(added.values()):
                continue
            whole = self._choices.setdefault(choice["index"], {})
            if added["content"]:
                whole["content"] = (whole.get("content") or "") + str(added["content"])
            whole.update({key: value for key, value in added.items() if value and key != "content"})


def _completion_attributes(model: Any, choices: list[tuple[dict[str, Any], Any]]) -> Attributes:
    attributes: Attributes = {"gen_ai.response.model": model}
    messages = []
    for index, (message, finish_reason) in enumerate(choices):
        role, content = message.get("role"), message.get("content")
        attributes[f"gen_ai.completion.{index}.role"] = role
        attributes[f"gen_ai.completion.{index}.content"] = content
        attributes["gen_ai.completion"] = content
        messages.append(_message(role, content))
        if finish_reason is not None:
            messages[-1]["finish_reason"] = finish_reason
    if messages:
        attributes["gen_ai.output.messages"] = json.dumps(messages)
    return _clean(attributes)


def _message(role: Any, content: Any) -> dict[str, Any]:
    parts: list[Any]
    if content is None:
        parts = []
    elif isinstance(content, list):
        parts = [_part(part) for part in content if isinstance(part, dict)]
    else:
        parts = [{"type": "text", "content": str(content)}]
    return {"role": role, "parts": parts} if parts else {"role": role}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's text part calls its text ``text``, OpenTelemetry's ``content``; other parts stay as they are."""
    if part.get("type") != "text":
        return part
    return {"type": "text", "content": part["text"]} if "text" in part else {"type": "text"}


def _json_object(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _clean(attributes: Attributes) -> Attributes:
    return {key: sendable(value) for key, value in attributes.items()}


def _iterable(value: Any) -> bool:
    return isinstance(value, (list, tuple, dict, str))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
