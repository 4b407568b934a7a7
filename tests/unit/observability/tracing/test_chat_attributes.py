"""Expected values were seen on the spans of DRUM 1.18.1 for the same requests and answers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drum_litestar.observability.tracing.chat_attributes import StreamAssembler, request_attributes, response_attributes


def test_request() -> None:
    parts = [{"type": "text", "text": "hé"}, {"type": "image_url", "image_url": {"url": "u"}}]
    messages = [
        {"role": "system", "content": "sys"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": "last"},
    ]
    assert request_attributes({"model": "gpt", "messages": messages}) == {
        "gen_ai.request.model": "gpt",
        "gen_ai.prompt.0.role": "system",
        "gen_ai.prompt.0.content": "sys",
        "gen_ai.prompt.1.role": "user",
        "gen_ai.prompt.1.content": parts,
        "gen_ai.prompt.2.role": "assistant",
        "gen_ai.prompt.2.content": None,
        "gen_ai.prompt.3.role": "user",
        "gen_ai.prompt.3.content": "last",
        "gen_ai.prompt": "last",
        "gen_ai.input.messages": '[{"role": "system", "parts": [{"type": "text", "content": "sys"}]}, '
        '{"role": "user", "parts": [{"type": "text", "content": "h\\u00e9"}, '
        '{"type": "image_url", "image_url": {"url": "u"}}]}, {"role": "assistant"}, '
        '{"role": "user", "parts": [{"type": "text", "content": "last"}]}]',
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (5, '{"role": null, "parts": [{"type": "text", "content": "5"}]}'),
        (True, '{"role": null, "parts": [{"type": "text", "content": "True"}]}'),
        ({"a": 1}, '{"role": null, "parts": [{"type": "text", "content": "{\'a\': 1}"}]}'),
        ("", '{"role": null, "parts": [{"type": "text", "content": ""}]}'),
        ([], '{"role": null}'),
        (
            ["plain", {"type": "text"}, {"type": "text", "text": 5}, 7, {"no": "type"}],
            '{"role": null, "parts": [{"type": "text"}, {"type": "text", "content": 5}, {"no": "type"}]}',
        ),
    ],
)
def test_contents_of_any_kind(content: Any, message: str) -> None:
    attributes = request_attributes({"messages": ["skipped", {"content": content}]})
    assert attributes["gen_ai.input.messages"] == f"[{message}]"
    assert attributes["gen_ai.prompt.1.content"] == content
    assert attributes["gen_ai.prompt"] == content


@pytest.mark.parametrize("messages", [[], "text", {"a": 1}])
def test_no_messages(messages: Any) -> None:
    assert request_attributes({"messages": messages}) == {"gen_ai.request.model": None}


def test_values_that_cannot_be_encoded_are_replaced() -> None:
    deep: Any = "end"
    for _ in range(30):
        deep = [deep]
    message = {"role": "\ud800", "content": {"big": 2**70, "deep": deep}}
    attributes = request_attributes({"model": -(2**64), "messages": [message]})
    assert attributes["gen_ai.request.model"] == str(-(2**64))
    assert attributes["gen_ai.prompt.0.role"] == "?"
    assert attributes["gen_ai.prompt"]["big"] == str(2**70)


def as_object(value: Any) -> Any:
    """Attributes in place of keys."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_object(item) for key, item in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


def as_openai(value: dict[str, Any]) -> Any:
    chat = pytest.importorskip("openai.types.chat")
    whole = {"id": "1", "created": 1, **value}
    if value["object"] == "chat.completion":
        return chat.ChatCompletion.model_validate(whole)
    return chat.ChatCompletionChunk.model_validate(whole)


FORMS = pytest.mark.parametrize("form", [dict, as_object, as_openai])


@FORMS
def test_response(form: Any) -> None:
    completion = {
        "object": "chat.completion",
        "model": "mm",
        "choices": [
            {"index": 1, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": None}},
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}},
        ],
    }
    assert response_attributes(form(completion)) == {
        "gen_ai.response.model": "mm",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": None,
        "gen_ai.completion.1.role": "assistant",
        "gen_ai.completion.1.content": "hi",
        "gen_ai.completion": "hi",
        "gen_ai.output.messages": '[{"role": "assistant", "finish_reason": "tool_calls"}, '
        '{"role": "assistant", "parts": [{"type": "text", "content": "hi"}], "finish_reason": "stop"}]',
    }


def chunk(model: str, *choices: dict[str, Any]) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "model": model, "choices": list(choices)}


def choice(index: int, finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish_reason}


@FORMS
def test_stream_is_assembled_per_choice(form: Any) -> None:
    assembler = StreamAssembler()
    for each in (
        chunk("mm", choice(3, content="th")),
        chunk("mm", choice(1, content="one", role="user"), choice(2)),
        chunk("m2", choice(3, content="ree"), choice(1, "stop")),
        chunk("m2"),
    ):
        assembler.add(form(each))
    assert assembler.attributes() == {
        "gen_ai.response.model": "mm",
        "gen_ai.completion.0.role": "user",
        "gen_ai.completion.0.content": "one",
        "gen_ai.completion.1.role": None,
        "gen_ai.completion.1.content": "three",
        "gen_ai.completion": "three",
        "gen_ai.output.messages": '[{"role": "user", "parts": [{"type": "text", "content": "one"}], '
        '"finish_reason": "stop"}, {"role": null, "parts": [{"type": "text", "content": "three"}]}]',
    }


def test_no_stream_and_values_that_are_not_json() -> None:
    assembler = StreamAssembler()
    assert assembler.attributes() == {}
    assembler.add({"choices": [{"index": 0, "delta": {"role": Path("x"), "content": 5}}]})
    assert assembler.attributes()["gen_ai.completion.0.role"] == "x"
    assert assembler.attributes()["gen_ai.completion"] == "5"
