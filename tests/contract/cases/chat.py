"""Chat: checks, complete answers, streams, failures (contract, 3.10, 3.11; section 8, Q-7, Q-16, Q-23)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from contract.cases.routes import capabilities
from support.cases import Case, Check, any_json, drum_json, error, error_like, message
from support.wire import Answer, Request, csv, get, post, post_json

CHAT = "/v1/chat/completions"
AID = "AID"
BROKEN = drum_json({"error": "The browser (or proxy) sent a request that this server could not understand."})
EXPECTED = "ERROR: Expected response to be ChatCompletion or Iterable[ChatCompletionChunk]. response type: "
SSE = {"content-type": "text/event-stream; charset=utf-8"}
DONE = "data: [DONE]\n\n"
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def ask(expression: str, target: str = CHAT, **params: Any) -> Request:
    return post_json(target, {"messages": [], "do": expression, "datarobot_association_id": AID, **params})


def whole(content: str = "é", **fields: Any) -> dict[str, Any]:
    choice = {"finish_reason": "stop", "index": 0, "message": {"content": content, "role": "assistant"}}
    return {
        "choices": [choice],
        "created": 1700000000,
        "datarobot_association_id": AID,
        "id": "id1",
        "model": "mm",
        "object": "chat.completion",
        **fields,
    }


def event(content: str, finish: str = "null") -> str:
    text = json.dumps(content, ensure_ascii=False)
    return (
        f'data: {{"id":"id1","choices":[{{"delta":{{"content":{text},"role":"assistant"}},"index":0,'
        f'"finish_reason":{finish}}}],"created":1700000000,"model":"mm","object":"chat.completion.chunk",'
        f'"datarobot_association_id":"{AID}"}}\n\n'
    )


def new_id(answer: Answer, path: Path) -> None:
    assert UUID4.fullmatch(answer.json()["datarobot_association_id"])


def said(text: str) -> Check:
    def check(answer: Answer, path: Path) -> None:
        assert answer.json()["choices"][0]["message"] == {"content": text, "role": "assistant"}

    return check


def chunks_of(*texts: str | None) -> Check:
    """A stream of these pieces; None is a chunk without one."""

    def check(answer: Answer, path: Path) -> None:
        *events, done = answer.body.decode().removesuffix("\n\n").split("\n\n")
        chunks = [json.loads(event.removeprefix("data: ")) for event in events]
        assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks] == list(texts)
        assert {chunk["datarobot_association_id"] for chunk in chunks} == {AID}
        assert done == "data: [DONE]"

    return check


def error_event(*before: str) -> Check:
    """Events, then one error event, no ``[DONE]`` (contract, section 8, Q-16)."""

    def check(answer: Answer, path: Path) -> None:
        head = "".join(before)
        text = answer.body.decode()
        assert text.startswith(head)
        rest = text[len(head) :]
        assert rest.startswith("data: ")
        assert rest.endswith("\n\n")
        assert set(json.loads(rest.removeprefix("data: "))) == {"error"}
        assert "[DONE]" not in text

    return check


def mentions(text: str) -> Check:
    def check(answer: Answer, path: Path) -> None:
        assert text in answer.json()["message"]

    return check


STREAM = event("He") + event("llö") + event("", '"stop"') + DONE

TEXT = [
    Case("complete", ask("complete()"), body=drum_json(whole()), headers={"content-type": "application/json"}),
    Case("complete, short path", ask("complete('x')", "/chat/completions"), body=drum_json(whole("x"))),
    Case("complete, with slash", ask("complete()", CHAT + "/"), body=drum_json(whole()), differs="Trailing slash"),
    Case("association id made", post_json(CHAT, {"do": "complete()"}), body=new_id),
    Case("association id of another type", ask("complete()", datarobot_association_id=17),
         body=drum_json(whole(datarobot_association_id=17))),
    Case("falsy association id", ask("complete()", datarobot_association_id=""), body=new_id),
    Case("empty object reaches the hook", post_json(CHAT, {}), body=new_id),
    Case("stream", ask("chunks('He', 'llö')", stream=True), body=STREAM.encode(), headers=SSE),
    Case("stream as a list", ask("[chunk('a')]"), body=(event("a") + DONE).encode(), headers=SSE),
    Case("stream whatever 'stream' says", ask("chunks('He', 'llö')", stream=False), body=STREAM.encode(), headers=SSE),
    Case("complete whatever 'stream' says", ask("complete()", stream=True), body=drum_json(whole())),
    Case("empty stream", ask("iter([])"), body=DONE.encode(), headers=SSE),
    Case("line breaks inside a chunk", ask("[chunk('a\\nb')]"), body=(event("a\nb") + DONE).encode(), headers=SSE),
    Case("long stream", ask("chunks(*map(str, range(200)))"),
         body=("".join(event(str(n)) for n in range(200)) + event("", '"stop"') + DONE).encode(), headers=SSE),
    Case("params are as sent", ask("fail(ValueError(sorted(params)))", extra=1), 500,
         error("['datarobot_association_id', 'do', 'extra', 'messages']")),
    Case("headers, any case", ask("fail(ValueError(headers['x-own']))").with_headers(("X-Own", "7")), 500, error("7")),
    Case("model reaches the hook", ask("fail(ValueError(model))"), 500, error("the model")),
    Case("not json", post(CHAT, b"{", "application/json"), 400, BROKEN),
    Case("empty body", post(CHAT, b"", "application/json"), 400, BROKEN),
    Case("invalid UTF-8", post(CHAT, b'{"a":"\xff"}', "application/json"), 400, BROKEN),
    Case("suffix +json", post(CHAT, b'{"do":"complete()"}', "application/x+json"), body=new_id),
    Case("json with charset", post(CHAT, b'{"do":"complete()"}', "application/json; charset=utf-8"), body=new_id),
    Case("other media type", post(CHAT, b"{}", "text/plain"), 415, any_json, differs="Q-7"),
    Case("no media type", post(CHAT, b"{}", None), 415, any_json, differs="Q-7"),
    Case("a list", post_json(CHAT, []), 500, error("'list' object has no attribute 'get'")),
    Case("a string", post_json(CHAT, "x"), 500, error("'str' object has no attribute 'get'")),
    Case("messages not iterable", post_json(CHAT, {"messages": 3}), 500, error("'int' object is not iterable")),
    Case("hook raises", ask("fail(ValueError('boo'))"), 500, error("boo")),
    Case("hook raises a user error", ask("http_error('slow down', 429)"), 429, message("slow down"),
         {"x-drum-user-http-error": "true"}),
    Case("hook returns a dict", ask("{'a': 1}"), 500, error_like(
        re.escape(EXPECTED) + r"<class 'dict'>\.response\(str\): \{'a': 1\}")),
    Case("hook returns a completion as a dict", ask("complete('x').to_dict()"), body=drum_json(whole("x")),
         differs="Chat hooks"),
    Case("hook yields chunks as dicts", ask("(chunk(text).to_dict() for text in 'ab')"), body=chunks_of("a", "b"),
         headers=SSE, differs="Chat hooks"),
    Case("hook returns a string", ask("'text'"), body=said("text"), differs="Chat hooks"),
    Case("hook yields strings", ask("iter(['a', 'b'])"), body=chunks_of("a", "b", None), headers=SSE,
         differs="Chat hooks"),
    Case("hook returns None", ask("None"), 500, message(EXPECTED + "<class 'NoneType'>.response(str): None")),
    Case("hook returns a number", ask("3"), 500, message(EXPECTED + "<class 'int'>.response(str): 3")),
    Case("no choices", ask("complete(choices=[])"), 500, error("list index out of range")),
    Case("user error before the first chunk", ask("failing(__import__('datarobot_drum').CustomHTTPError('wait', 429))"),
         429, message("wait"), {"x-drum-user-http-error": "true"}, differs="Q-16"),
    Case("error before the first chunk", ask("failing(ValueError('early'))"), 500, mentions("early"), differs="Q-16"),
    Case("error in mid-stream", ask("failing(ValueError('late'), 'a', 'b')"),
         body=error_event(event("a"), event("b")), headers=SSE, differs="Q-16"),
    Case("models", get("/v1/models"), body=drum_json({"data": [
        {"created": 1700000000, "id": "m1", "object": "model", "owned_by": "us"},
        {"created": 1700000000, "id": "é/2", "object": "model", "owned_by": "us"}], "object": "list"})),
    Case("capabilities", get("/capabilities/"), body=capabilities(chat=True)),
    Case("predict without score", csv(b"a\n1\n"), 500, error(
        "Failure when making predictions. Exception: "
        "AttributeError(\"'NoneType' object has no attribute 'predict'\")")),
]  # fmt: skip


def words(*contents: str) -> Check:
    """The contents of a stream's events, in order, then the end."""

    def check(answer: Answer, path: Path) -> None:
        *events, last, rest = answer.body.decode().split("\n\n")
        assert (last, rest) == ("data: [DONE]", "")
        found = [json.loads(each.removeprefix("data: "))["choices"][0]["delta"]["content"] for each in events]
        assert found == list(contents)

    return check


CASES = {
    "chat_text": TEXT,
    "chat_agent": [
        Case("complete", ask("complete()"), body=drum_json(whole())),
        Case("stream", ask("chunks('He', 'llö')"), body=STREAM.encode(), headers=SSE),
    ],
    "chat_regression": [
        Case("chat beside predictions", ask(""), body=drum_json(whole("Pipeline"))),
        Case("info has no predictor", get("/capabilities/"), body=capabilities(chat=True)),
    ],
    "async_text": [
        Case("an asynchronous generator", post_json(CHAT, {"messages": [{"role": "user", "content": "a bé c"}]}),
             body=words("a", "bé", "c"), headers=SSE),
    ],
}  # fmt: skip
