"""Chat: duck-typed answers, event streams, errors before and after the first chunk (contract, 3.10 and Q-16)."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from drum_litestar.predictors.protocol import Reply, StreamReply, TargetType
from native_serving import chat_call, payload, summary

HOOK = """
import asyncio
from datarobot_drum import CustomHTTPError

class Thing:
    def __init__(self, **fields):
        self.__dict__.update(fields)

class Sealed:
    __slots__ = ()
    object = "chat.completion.chunk"
    def to_dict(self):
        return {"id": "sealed"}

closed = []

def load_model(code_dir):
    return closed

def chunk(text):
    return Thing(id="c", object="chat.completion.chunk", choices=[Thing(index=0, delta=Thing(content=text))])

def parts(texts, error=None):
    try:
        for text in texts:
            yield chunk(text)
        if error:
            raise error
    finally:
        closed.append("sync")

async def async_parts(texts, error=None):
    try:
        for text in texts:
            await asyncio.sleep(0)
            yield chunk(text)
        if error:
            raise error
    finally:
        closed.append("async")

async def slow():
    await asyncio.sleep(0)
    return parts(["x"])

def chat(params, model):
    what = params["what"]
    if what == "complete":
        message = Thing(role="assistant", content="h\\u00e9")
        return Thing(id="a", object="chat.completion", choices=[Thing(index=0, message=message)])
    if what == "sync":
        return parts(["a", "\\u00e9\\u2028z"])
    if what == "async":
        return async_parts(["a", "b"])
    if what == "awaited":
        return slow()
    if what == "empty":
        return []
    if what == "sealed":
        return [Sealed()]
    if what == "first":
        return parts([], ValueError("first"))
    if what == "first_http":
        return async_parts([], CustomHTTPError("slow down", 429))
    if what == "middle":
        return parts(["a"], ValueError("middle"))
    if what == "middle_http":
        return async_parts(["a"], CustomHTTPError("slow down", 429))
    if what == "foreign":
        return iter([chunk("a"), 5])
    if what == "many":
        return parts(["t"] * 1000)
    return what
"""


@pytest.fixture
def predictor(serve_folder: Any) -> Any:
    return serve_folder({"custom.py": HOOK}, TargetType.TEXT_GENERATION, target_name="t")


def ask(predictor: Any, what: Any) -> Reply | StreamReply:
    answer: Reply | StreamReply = predictor.handle(
        chat_call(json.dumps({"what": what, "datarobot_association_id": "AID"}))
    )
    return answer


def event(text: str) -> bytes:
    body = {
        "id": "c",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": text}}],
        "datarobot_association_id": "AID",
    }
    return b"data: " + json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


def error_event(message: str, code: int) -> bytes:
    body = {"error": {"message": message, "type": "server_error", "param": None, "code": code}}
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def test_a_complete_answer_of_a_plain_object(predictor: Any) -> None:
    status, content_type, body, _ = summary(ask(predictor, "complete"))
    assert (status, content_type) == (200, "application/json")
    assert body == (
        b'{"choices":[{"index":0,"message":{"content":"h\\u00e9","role":"assistant"}}],'
        b'"datarobot_association_id":"AID","id":"a","object":"chat.completion"}\n'
    )


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("sync", event("a") + event("\u00e9\u2028z") + DONE),
        ("async", event("a") + event("b") + DONE),
        ("awaited", event("x") + DONE),
        ("empty", DONE),
        ("sealed", b'data: {"id":"sealed","datarobot_association_id":"AID"}\n\n' + DONE),
        ("middle", event("a") + error_event("middle", 500)),
        ("middle_http", event("a") + error_event("slow down", 429)),
        ("foreign", event("a") + error_event("Expected a chat completion chunk, but received <class 'int'>", 500)),
    ],
)
def test_streams(predictor: Any, what: str, expected: bytes) -> None:
    assert summary(ask(predictor, what)) == (200, "text/event-stream; charset=utf-8", expected, {})


def test_an_error_before_the_first_chunk_keeps_its_status(predictor: Any) -> None:
    assert summary(ask(predictor, "first"))[:3] == (500, "application/json", b'{"message":"ERROR: first"}\n')
    status, _, body, headers = summary(ask(predictor, "first_http"))
    assert (status, body) == (429, b'{"message":"slow down"}\n')
    assert headers == {"X-Drum-User-Http-Error": "true"}


@pytest.mark.parametrize("result", [None, 5, "text", {"object": "chat.completion"}, [1]])
def test_other_results(predictor: Any, result: Any) -> None:
    reply = ask(predictor, result)
    assert isinstance(reply, Reply)
    assert json.loads(reply.body)["message"] == (
        "ERROR: Expected response to be ChatCompletion or Iterable[ChatCompletionChunk]. "
        f"response type: {type(result)}.response(str): {result}"
    )


@pytest.mark.parametrize(("what", "kind"), [("sync", "sync"), ("async", "async")])
def test_closing_the_stream_runs_the_generators_finally(predictor: Any, what: str, kind: str) -> None:
    closed = predictor._loaded.model
    answer = ask(predictor, what)
    assert isinstance(answer, StreamReply)
    assert next(answer.chunks) == event("a")
    answer.close()
    assert closed == [kind]
    answer.close()
    assert list(answer.chunks) == [], "nothing more after the end"


def test_closing_from_another_thread(predictor: Any) -> None:
    answer = ask(predictor, "many")
    assert isinstance(answer, StreamReply)
    next(answer.chunks)
    closer = threading.Thread(target=answer.close)
    closer.start()
    rest = list(answer.chunks)
    closer.join()
    assert len(rest) <= 1000
    assert predictor._loaded.model == ["sync"]


@pytest.mark.parametrize(
    ("body", "mimetype", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"a": "\xe9"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", None, 415),
        (b"[]", "application/json", 500),
        (b'{"messages": 5}', "application/json", 500),
        (b'{"what": "empty"}', "Application/Vnd.X+JSON", 200),
    ],
)
def test_request_bodies(predictor: Any, body: bytes, mimetype: str | None, status: int) -> None:
    call = chat_call(b"")
    answer = predictor.handle(type(call)(kind="chat", body=payload(body, mimetype=mimetype)))
    assert summary(answer)[0] == status


def test_no_chat_hook_is_404_whatever_the_body(serve_folder: Any) -> None:
    code = "def load_model(d): return 1\ndef score(data, model, **kw): return data\n"
    predictor = serve_folder({"custom.py": code})
    reply = predictor.handle(chat_call("{"))
    assert reply.status == 404
    assert json.loads(reply.body)["message"].endswith("but chat is not supported.")


def test_an_association_id_is_made_up(predictor: Any) -> None:
    body = json.loads(summary(predictor.handle(chat_call('{"what": "complete"}')))[2])
    assert len(body["datarobot_association_id"]) == 36
