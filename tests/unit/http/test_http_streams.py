"""Streamed answers: chunk by chunk, until the client disconnects or the worker dies."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from drum_litestar.errors import WorkerDiedError
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.predictors.protocol import ModelCall, Reply, StreamHead
from http_serving import (
    CSV,
    Mirror,
    card,
    mirror,
    post,
    read_all,
    read_until,
    serving,
)
from http_stack import Stack, pending

CHAT_JSON = "Content-Type: application/json"
EVENTS = [b'data: {"a":1}\n\n', b'data: {"b":"\xc3\xa9"}\n\n', b"data: [DONE]\n\n"]


def test_streams_arrive_chunk_by_chunk() -> None:
    with mirror(card(chat=True)) as (server, predictor):
        predictor.script[b"{}"] = predictor.stream(*EVENTS, wait=True)
        with server.send(post("/chat/completions", b"{}", CHAT_JSON)) as connection:
            received = read_until(connection, EVENTS[0])  # before the second one exists
            head = received.partition(b"\r\n\r\n")[0].lower()
            assert b"content-type: text/event-stream; charset=utf-8" in head
            assert b"transfer-encoding: chunked" in head
            assert b"content-length" not in head
            predictor.go_on.set()
            rest = read_all(connection)
        assert EVENTS[1] in rest
        assert rest.endswith(EVENTS[2] + b"\r\n0\r\n\r\n")
        assert pending(server) == 0


@pytest.mark.parametrize("with_disconnect", [True, False])
def test_a_client_that_disconnects_stops_the_generator(with_disconnect: bool) -> None:
    stack = Stack(with_disconnect=with_disconnect)
    with mirror(card(chat=True), wrap=stack) as (server, predictor):
        predictor.script[b"{}"] = predictor.stream(*EVENTS, wait=True)
        with server.send(post("/chat/completions", b"{}", CHAT_JSON)) as connection:
            read_until(connection, EVENTS[0])
        if with_disconnect:
            assert stack.leave is not None
            server.loop.call_soon_threadsafe(stack.leave)
        stack.wait_ended()
        assert not stack.errors
        predictor.go_on.set()
        assert predictor.chunks_ended.wait(60)


class DyingStream:
    """A stream whose worker dies after the first chunk."""

    def __init__(self, error: Exception, content_type: str) -> None:
        self.head = StreamHead(content_type=content_type)
        self.error = error
        self.closed = 0

    async def __aiter__(self) -> Any:
        yield b"data: 1\n\n"
        raise self.error

    async def aclose(self) -> None:
        self.closed += 1


class DyingExecutor(InlineExecutor):
    """Answers every call with one prepared stream."""

    def __init__(self, stream: DyingStream) -> None:
        super().__init__(lambda: Mirror(card(chat=True)))
        self.stream = stream

    async def submit(self, call: ModelCall, *, ticket: Any, deadline: float | None = None) -> Any:
        return self.stream


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (WorkerDiedError("The model worker died (SIGKILL)"), 503, "The model worker died (SIGKILL)"),
        (ValueError("secret"), 500, "Internal server error"),
    ],
)
def test_an_event_stream_that_breaks_ends_with_an_error_event(error: Exception, code: int, message: str) -> None:
    stream = DyingStream(error, "text/event-stream; charset=utf-8")
    with serving(DyingExecutor(stream)) as server:
        answer = server.client.post("/chat/completions", json={})
    first, last = answer.text.split("\n\n")[:2]
    assert answer.text == f"{first}\n\n{last}\n\n"
    assert first == "data: 1"
    assert json.loads(last.removeprefix("data: ")) == {
        "error": {"code": code, "message": message, "type": "server_error"}
    }
    assert stream.closed == 1


def test_any_other_stream_that_breaks_is_cut() -> None:
    stream = DyingStream(WorkerDiedError("died"), "application/json")
    with serving(DyingExecutor(stream)) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            server.client.post("/predictionsStream", content=CSV)
        assert stream.closed == 1
        assert server.client.get("/livez").status_code == 200


def test_predictions_stream_of_a_model_that_does_not_stream() -> None:
    with mirror() as (server, predictor):
        predictor.script[CSV] = Reply(body=b'{"predictions":[1.0]}', headers=(("A", "b"),))
        answer = server.client.post("/predictionsStream/", content=CSV)
        assert (answer.status_code, answer.content) == (200, b'{"predictions":[1.0]}')
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-streaming"] == "true"
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.headers["a"] == "b"
        predictor.script[CSV] = Reply(status=500, body=b'{"message":"ERROR: boo"}\n')
        answer = server.client.post("/predictionsStream/", content=CSV)
        assert (answer.status_code, answer.headers["content-length"]) == (500, str(len(answer.content)))
        assert "x-streaming" not in answer.headers


def test_predictions_stream_of_a_model_that_streams() -> None:
    with mirror() as (server, predictor):
        predictor.script[CSV] = predictor.stream(b"[1,", b"2]", content_type="application/json")
        answer = server.client.post("/predictionsStream", content=CSV)
        assert (answer.content, answer.headers["x-streaming"]) == (b"[1,2]", "true")
        assert answer.headers["content-type"] == "application/json"
