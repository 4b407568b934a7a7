"""Deadlines, disconnects, streams, and the release of a request's resources."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import UnprocessableError, UpstreamError
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.predictors.protocol import ModelCall, Reply, StreamHead
from drum_litestar.request_state import request_state
from drum_litestar.settings.groups.limits import UploadSettings
from http_serving import (
    CSV,
    FORM,
    Mirror,
    X,
    card,
    form,
    mirror,
    options,
    post,
    read_all,
    serving,
)
from http_stack import Stack, pending, spool_files


@pytest.mark.parametrize(
    "body", [post("/predict", CSV, length=100), post("/predict", form((X, CSV))[:30], FORM, length=300)]
)
def test_an_upload_past_the_deadline_is_504(body: bytes) -> None:
    stack = Stack(timeout=0.2)
    with mirror(wrap=stack) as (server, _):
        answer = server.exchange(body)
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert answer.endswith(b'{"message":"Request timeout after 0.2s","request_id":"rid"}\n')
        stack.wait_ended()
        assert not stack.errors
        assert pending(server) == 0
        assert server.client.post("/predict", content=CSV).status_code == 200


def test_computing_past_the_deadline_is_504_with_the_same_text() -> None:
    with mirror(wrap=Stack(timeout=0.2)) as (server, predictor):
        predictor.script[b"wait"] = predictor.wait
        answer = server.client.post("/predict", content=b"wait")
        assert (answer.status_code, answer.json()) == (
            504,
            {"message": "Request timeout after 0.2s", "request_id": "rid"},
        )
        predictor.go_on.set()


@pytest.mark.parametrize("sent", [b"", b"x" * 10, b"x" * 3_000_000])
@pytest.mark.parametrize("kind", ["raw", "form"])
def test_a_client_that_disconnects_while_uploading_gets_no_answer_and_leaves_no_file(
    tmp_path: Path, sent: bytes, kind: str
) -> None:
    stack = Stack(timeout=60)
    uploads = UploadSettings(spool_threshold=1000, spool_dir=str(tmp_path))
    with mirror(settings=options(uploads=uploads), wrap=stack) as (server, _):
        body = sent if kind == "raw" else form((X, sent), end=False)[:-2] if sent else b""
        headers = [FORM] if kind == "form" else []
        with server.send(post("/predict", body, *headers, length=4_000_000)):
            pass
        stack.wait_ended()
        assert not stack.errors
        assert stack.started == []
        assert pending(server) == 0
        assert spool_files(tmp_path) == []
        assert server.client.post("/predict", content=CSV).status_code == 200


@pytest.mark.parametrize("with_disconnect", [True, False])
def test_a_client_that_leaves_the_queue(with_disconnect: bool) -> None:
    stack = Stack(with_disconnect=with_disconnect)
    with mirror(wrap=stack) as (server, predictor):
        predictor.script[b"wait"] = predictor.wait
        with server.send(post("/predict", b"wait")) as busy:
            assert predictor.entered.acquire(timeout=60)
            with server.send(post("/predict", CSV)):
                while pending(server) < 2:
                    pass
            if with_disconnect:
                while stack.leave is None:
                    pass
                server.loop.call_soon_threadsafe(stack.leave)
            stack.wait_ended()
            assert pending(server) == 1
            assert not stack.errors
            predictor.go_on.set()
            assert read_all(busy).endswith(b"waited")


def test_a_request_takes_one_ticket_and_gives_it_back() -> None:
    taken: list[Any] = []

    class Counting(InlineExecutor):
        def admit(self) -> Any:
            ticket = super().admit()
            taken.append(ticket)
            return ticket

    with serving(Counting(lambda: Mirror(card(models=True)))) as server:
        for method, path in (("POST", "/predict"), ("GET", "/models")):
            assert server.client.request(method, path, content=CSV).status_code == 200
            assert taken.pop() is not None
            assert not taken
            assert pending(server) == 0


def test_a_full_queue_is_refused_before_the_body_is_read() -> None:
    with mirror(queue_depth=0) as (server, predictor):
        predictor.script[b"wait"] = predictor.wait
        with server.send(post("/predict", b"wait")):
            assert predictor.entered.acquire(timeout=60)
            with server.send(post("/predict", b"", length=1000)) as refused:
                answer = read_all(refused)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nretry-after: 5\r\n" in answer
            assert answer.endswith(b' (DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH)","retry_after":5}\n')
            predictor.go_on.set()


def test_each_call_is_observed() -> None:
    seen: list[tuple[str, int]] = []
    stack = Stack()

    def observe(kind: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        seen.append((kind, status))

    with mirror(settings=options(on_observe=observe), wrap=stack) as (server, predictor):
        predictor.script[CSV] = Reply(status=500)
        server.client.post("/predict", content=b"a\n1\n")
        server.client.post("/predict", content=CSV)
        server.client.post("/predict", content=b"")
        server.client.post("/transform", content=CSV)  # refused without a call
        for _ in range(4):
            stack.wait_ended()
        with server.send(post("/predict", b"", length=10)):
            pass
        stack.wait_ended()
    assert seen == [("predict", 200), ("predict", 500), ("predict", 422), ("predict", 499)]


class Span:
    """Records what the controllers report to a request's span."""

    def __init__(self) -> None:
        self.carrier = {"traceparent": "00-aa-bb-01"}
        self.answers: list[Any] = []
        self.failures: list[str] = []
        self.answered = self.answers.append
        self.fail = self.failures.append

    def wrap(self, app: Any) -> Any:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                request_state(scope).span = self
            await app(scope, receive, send)

        return wrapped


def test_the_span_of_the_request_is_in_the_call_and_gets_the_answer() -> None:
    span = Span()
    with mirror(card(chat=True), wrap=span.wrap) as (server, predictor):
        headers = {"traceparent": "00-cc-dd-01"}
        assert server.client.post("/predict", content=CSV, headers=headers).json()["trace"] == span.carrier
        assert isinstance(span.answers.pop(), Reply)
        predictor.script[b"{}"] = predictor.stream(b"data: [DONE]\n\n")
        server.client.post("/chat/completions", content=b"{}", headers={"Content-Type": "application/json"})
        assert isinstance(span.answers.pop(), StreamHead)
        server.client.get("/nim/x")
        assert span.failures == ["This endpoint is only supported by OpenAI based predictors"]


@pytest.mark.parametrize(
    ("outcome", "failures"),
    [
        (Reply(status=99), ["unusable response status: 99"]),
        (KeyError("key"), ["KeyError: 'key'"]),
        (UpstreamError("no LLM server"), ["no LLM server"]),
        (UnprocessableError("no data"), []),
        (Reply(), []),
    ],
)
def test_the_span_of_the_request_tells_of_errors_of_this_process(
    outcome: Reply | Exception, failures: list[str]
) -> None:
    class Scripted(InlineExecutor):
        async def submit(self, call: ModelCall, *, ticket: Any, deadline: float | None = None) -> Any:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

    span = Span()
    with serving(Scripted(lambda: Mirror(card())), wrap=span.wrap) as server:
        server.client.post("/predict", content=CSV)
    assert span.failures == failures


def test_our_own_bugs_are_500_with_the_request_id(caplog: pytest.LogCaptureFixture) -> None:
    class Buggy(InlineExecutor):
        async def submit(self, call: ModelCall, *, ticket: Any, deadline: float | None = None) -> Any:
            raise KeyError("secret")

    with serving(Buggy(lambda: Mirror(card())), wrap=Stack()) as server, caplog.at_level(logging.ERROR):
        answer = server.client.post("/predict", content=CSV)
        assert answer.content == b'{"message":"Internal server error","request_id":"rid"}\n'
        assert answer.status_code == 500
        assert pending(server) == 0
    assert "KeyError: 'secret'" in caplog.text


def test_a_full_disk_is_500_and_leaves_no_file(tmp_path: Path) -> None:
    missing = tmp_path / "gone"
    uploads = UploadSettings(spool_threshold=10, spool_dir=str(missing))
    with mirror(settings=options(uploads=uploads)) as (server, _):
        answer = server.client.post("/predict", content=b"x" * 100)
        assert (answer.status_code, answer.json()["message"]) == (500, "Internal server error")
        missing.mkdir()
        assert server.client.post("/predict", content=b"x" * 100).status_code == 200
        assert spool_files(missing) == []


def test_shutdown_lets_a_running_call_finish() -> None:
    answers: list[bytes] = []
    with mirror() as (server, predictor):
        predictor.script[b"wait"] = predictor.wait
        connection = server.send(post("/predict", b"wait"))
        assert predictor.entered.acquire(timeout=60)
        reader = threading.Thread(target=lambda: answers.append(read_all(connection)))
        reader.start()
    reader.join(60)
    connection.close()
    assert answers[0].endswith(b"waited")
