"""Chat: duck-typed answers, event streams, errors before and after the first chunk (contract, 3.10 and Q-16)."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.predictors.protocol import Reply, StreamReply, TargetType
from drum_litestar.tracebacks import format_exception
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


@pytest.mark.parametrize("result", [None, 5, {"object": "chat.completion"}, [1]])
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


PLAIN = (Path(__file__).parents[4] / "support/folders/chat_plain/custom.py").read_text()
MADE = re.compile(r"chatcmpl-[0-9a-f]{32}")


@pytest.fixture
def plain(serve_folder: Any) -> Any:
    return serve_folder({"custom.py": PLAIN})


def ask_plain(predictor: Any, do: str, **params: Any) -> Any:
    return predictor.handle(chat_call(json.dumps({"do": do, "datarobot_association_id": "AID", **params})))


def events(answer: Any) -> list[Any]:
    """The chunks of a stream: their texts, finish reasons, roles and models; what was raised in mid-stream."""
    assert isinstance(answer, StreamReply)
    lines = b"".join(answer.chunks).decode().removesuffix("\n\n").split("\n\n")
    found: list[Any] = []
    for line in lines:
        if line == "data: [DONE]":
            found.append("done")
            continue
        chunk = json.loads(line.removeprefix("data: "))
        if "error" in chunk:
            found.append(chunk["error"]["message"])
            continue
        assert chunk["datarobot_association_id"] == "AID"
        delta = chunk["choices"][0]["delta"]
        found.append((delta.get("content"), chunk["choices"][0]["finish_reason"], delta.get("role"), chunk["model"]))
    return found


def test_a_dict_is_passed_on_as_it_is(plain: Any) -> None:
    whole = (
        "message('hé', usage={'total_tokens': 3}, choices=message('hé')['choices'] + [{'index': 1, 'x': [None, {}]}])"
    )
    for do in (whole, f"later({whole})"):
        status, content_type, body, _ = summary(ask_plain(plain, do, stream=True))
        assert (status, content_type) == (200, "application/json")
        assert json.loads(body) == {
            "id": "i", "object": "chat.completion", "created": 1, "model": "mm", "usage": {"total_tokens": 3},
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hé"}, "finish_reason": "stop"},
                        {"index": 1, "x": [None, {}]}],
            "datarobot_association_id": "AID",
        }  # fmt: skip


def test_a_text_is_wrapped(plain: Any) -> None:
    status, content_type, body, _ = summary(ask_plain(plain, "'hé'", model="m1"))
    assert (status, content_type) == (200, "application/json")
    answer = json.loads(body)
    assert MADE.fullmatch(answer.pop("id"))
    assert isinstance(answer.pop("created"), int)
    assert answer == {
        "object": "chat.completion",
        "model": "m1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hé"}, "finish_reason": "stop"}],
        "datarobot_association_id": "AID",
    }
    assert json.loads(summary(ask_plain(plain, "''", model=None))[2])["model"] == ""


def test_a_text_is_streamed_to_a_client_that_asks_for_it(plain: Any) -> None:
    expected = [("hé", None, "assistant", "m1"), (None, "stop", None, "m1"), "done"]
    assert events(ask_plain(plain, "'hé'", stream=True, model="m1")) == expected


TEXT_A, TEXT_B, STOP = ("a", None, "assistant", ""), ("b", None, None, ""), (None, "stop", None, "")
DICT_A, DICT_B = ("a", None, None, "mm"), ("b", "stop", None, "mm")


@pytest.mark.parametrize("items", ["[{}]", "iter([{}])", "slowly([{}])", "later([{}])", "({} for _ in '1')"])
@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("'a', 'b'", [TEXT_A, TEXT_B, STOP]),
        ("chunk('a'), chunk('b', 'stop')", [DICT_A, DICT_B]),
        ("'a', chunk('b', 'stop')", [TEXT_A, DICT_B]),
        ("chunk('a'), 'b'", [DICT_A, ("b", None, "assistant", ""), STOP]),
    ],
)
def test_streams_of_dicts_and_texts(plain: Any, items: str, pair: str, expected: list[Any]) -> None:
    if items.startswith("("):
        answer = ask_plain(plain, f"(each for each in ({pair}))")
    else:
        answer = ask_plain(plain, items.replace("{}", pair))
    assert events(answer) == [*expected, "done"]


def test_what_is_neither(plain: Any) -> None:
    for do in ("{'a': 1}", "message('x', choices=[])", "chunk('a')", "b'text'", "[b'text']", "[{'a': 1}]"):
        reply = ask_plain(plain, do)
        assert reply.status == 500
        assert json.loads(reply.body)["message"].startswith("ERROR: Expected response to be ChatCompletion or Iterable")
    last = events(ask_plain(plain, "['a', {'b': 1}]"))[1]
    assert last == "Expected a chat completion chunk, but received <class 'dict'>"


def test_dicts_with_the_openai_packages_objects(serve_folder: Any) -> None:
    """Only the outside is a dict: objects inside keep their own way into JSON."""
    inside = "Thing(object='x', choices=[])"
    code = (
        "class Thing:\n    def __init__(self, **fields): self.__dict__.update(fields)\n"
        "def load_model(d): return 1\n"
        "def chat(params, model): return {'object': 'chat.completion', 'choices': [Thing(message=Thing(content='x'))],"
        f" 'more': {inside}}}\n"
    )
    body = json.loads(summary(ask_plain(serve_folder({"custom.py": code}), ""))[2])
    assert (body["choices"], body["more"]) == ([{"message": {"content": "x"}}], {"object": "x", "choices": []})


def test_texts_for_a_client_that_waits_for_one_answer(plain: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert events(ask_plain(plain, "['a']", stream=True))[-1] == "done"
    assert events(ask_plain(plain, "[chunk('a')]"))[-1] == "done"
    assert not caplog.messages
    for _ in range(2):
        assert events(ask_plain(plain, "['a']"))[-1] == "done"
    (message,) = caplog.messages
    assert message.startswith("The chat hook yields texts for a request without")


@pytest.mark.parametrize(
    ("body", "text"),
    [("[]", "'list' object has no attribute 'get'"), ('{"messages": 3}', "'int' object is not iterable")],
)
def test_other_json_is_logged_without_a_traceback(
    plain: Any, caplog: pytest.LogCaptureFixture, body: str, text: str
) -> None:
    assert plain.handle(chat_call(body)).body == f'{{"message":"ERROR: {text}"}}\n'.encode()
    assert caplog.messages == [f"{text} (a chat is a JSON object with a list of messages)"]
    raised = caplog.records[-1].exc_info
    assert raised is not None
    assert raised[1] is not None
    assert format_exception(raised[1]) == ""


def test_the_log_says_what_a_dict_of_the_hook_lacks(plain: Any, caplog: pytest.LogCaptureFixture) -> None:
    lacks = (
        '(a dict of chat() needs "object": "chat.completion", or "chat.completion.chunk" where it is yielded, and '
        '"choices"; this one has the object none and the keys choices)'
    )
    for do in ("{'choices': []}", "[{'choices': []}]"):
        assert ask_plain(plain, do).status == 500
        assert caplog.messages[-1].endswith(lacks)
    assert events(ask_plain(plain, "['a', {'choices': []}]"))[-1].startswith("Expected a chat completion chunk")
    assert caplog.messages[-1].endswith(lacks)
    assert ask_plain(plain, "7").status == 500
    assert caplog.messages[-1].endswith(
        "(chat() returns a text, or an object or dict with choices, or yields texts or chunks)"
    )


def test_broken_json_is_logged_without_a_traceback(plain: Any, caplog: pytest.LogCaptureFixture) -> None:
    reply = plain.handle(chat_call("{"))
    assert reply.status == 400
    raised = caplog.records[-1].exc_info
    assert raised is not None
    assert raised[1] is not None
    assert format_exception(raised[1]) == ""
