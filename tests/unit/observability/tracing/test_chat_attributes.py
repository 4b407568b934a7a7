"""Expected values were seen on the spans of DRUM 1.18.1 for the same requests and answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drum_litestar.observability.tracing.chat_attributes import StreamAssembler, request_attributes, response_attributes


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_request() -> None:
    parts = [{"type": "text", "text": "hé"}, {"type": "image_url", "image_url": {"url": "u"}}]
    messages = [
        {"role": "system", "content": "sys"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": "last"},
    ]
    assert request_attributes(dumped({"model": "gpt", "messages": messages})) == {
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
    attributes = request_attributes(dumped({"messages": ["skipped", {"content": content}]}))
    assert attributes["gen_ai.input.messages"] == f"[{message}]"
    assert attributes["gen_ai.prompt.1.content"] == content
    assert attributes["gen_ai.prompt"] == content


@pytest.mark.parametrize("body", [b"", b"no json", b"[1]", b'{"messages": 5}', b'{"messages": null}', b"[" * 100_000])
def test_bodies_that_drum_cannot_read(body: bytes) -> None:
    assert request_attributes(body) == {}


@pytest.mark.parametrize("messages", [[], "text", {"a": 1}])
def test_no_messages(messages: Any) -> None:
    assert request_attributes(dumped({"messages": messages})) == {"gen_ai.request.model": None}


def test_values_that_cannot_be_encoded_are_replaced() -> None:
    deep: Any = "end"
    for _ in range(30):
        deep = [deep]
    message = {"role": "\ud800", "content": {"big": 2**70, "deep": deep}}
    attributes = request_attributes(dumped({"model": -(2**64), "messages": [message]}))
    assert attributes["gen_ai.request.model"] == str(-(2**64))
    assert attributes["gen_ai.prompt.0.role"] == "?"
    assert attributes["gen_ai.prompt"]["big"] == str(2**70)


def test_response() -> None:
    completion = {
        "object": "chat.completion",
        "model": "mm",
        "choices": [
            {"index": 1, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": None}},
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}},
        ],
    }
    assert response_attributes(dumped(completion)) == {
        "gen_ai.response.model": "mm",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": None,
        "gen_ai.completion.1.role": "assistant",
        "gen_ai.completion.1.content": "hi",
        "gen_ai.completion": "hi",
        "gen_ai.output.messages": '[{"role": "assistant", "finish_reason": "tool_calls"}, '
        '{"role": "assistant", "parts": [{"type": "text", "content": "hi"}], "finish_reason": "stop"}]',
    }
    assert response_attributes(b'{"message":"ERROR: boom"}') == {}


def event(model: str, *choices: dict[str, Any]) -> bytes:
    return b"data: " + dumped({"object": "chat.completion.chunk", "model": model, "choices": choices}) + b"\n\n"


def choice(index: int, finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish_reason}


@pytest.mark.parametrize("cut", [1, 7, 10_000])
def test_stream_is_assembled_per_choice(cut: int) -> None:
    stream = b"".join(
        (
            event("mm", choice(3, content="th")),
            event("mm", choice(1, content="one", role="user"), choice(2)),
            event("m2", choice(3, content="ree"), choice(1, "stop")),
            event("m2"),
            b"data: [DONE]\n\n",
        )
    )
    assembler = StreamAssembler()
    for start in range(0, len(stream), cut):
        assembler.feed(stream[start : start + cut])
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


def test_empty_streams_and_error_events() -> None:
    assembler = StreamAssembler()
    assembler.feed(b"data: [DONE]\n\n")
    assert assembler.attributes() == {"gen_ai.response.model": None}
    assembler.feed(b'data: {"error": {"message": "mid"}}\n\n')
    assert assembler.error == "mid"
