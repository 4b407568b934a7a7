from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asgi_calls import ask, call, http_scope, raising, replying
from drum_litestar.errors import ModelFailedError, ModelNotReadyError, QueueFullError, RequestError
from drum_litestar.execution.queue_limits import Place
from drum_litestar.middleware.asgi import ASGIApp, Message, Receive, Scope, Send
from drum_litestar.middleware.request_admission import AdmissionMiddleware
from drum_litestar.request_state import request_state
from routed import MODEL_POSTS, routed


class SingleTicket:
    """An admission that issues one ticket at a time."""

    def __init__(self) -> None:
        self.taken = 0
        self.released = 0

    def admit(self) -> Any:
        if self.taken > self.released:
            raise QueueFullError
        self.taken += 1
        return self

    def release(self) -> None:
        self.released += 1


def guarded(app: Any, admission: SingleTicket) -> ASGIApp:
    return routed(AdmissionMiddleware(app, new_place=lambda: Place(admission.admit)))


def test_the_ticket_is_held_for_the_request_and_released() -> None:
    admission = SingleTicket()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        place = request_state(scope).place
        assert place is not None
        assert place.take() is admission
        assert (admission.taken, admission.released) == (1, 0)
        await replying()(scope, receive, send)
        assert admission.released == 0

    assert ask(guarded(app, admission)).status == 200
    assert (admission.taken, admission.released) == (1, 1)


@pytest.mark.parametrize("error", [RuntimeError(), asyncio.CancelledError()])
@pytest.mark.parametrize("after_start", [False, True])
def test_the_ticket_is_released_however_the_request_ends(error: BaseException, after_start: bool) -> None:
    admission = SingleTicket()
    with pytest.raises(type(error)):
        ask(guarded(raising(error, after_start=after_start), admission))
    assert (admission.taken, admission.released) == (1, 1)


def test_a_full_queue_is_refused_before_the_body_is_read() -> None:
    admission = SingleTicket()
    admission.admit()

    async def main() -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            raise AssertionError("the body must stay unread")

        async def send(message: Message) -> None:
            sent.append(message)

        await guarded(replying(), admission)(http_scope(), receive, send)
        return sent

    start, body = asyncio.run(main())
    assert start["status"] == 503
    assert (b"retry-after", b"5") in start["headers"]
    assert body["body"].endswith(b' (DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH)","retry_after":5}\n')
    assert (admission.taken, admission.released) == (1, 0)


@pytest.mark.parametrize(
    ("path", "method"),
    [("/ping", "GET"), ("/predict/", "GET"), ("/predict/", "OPTIONS"), ("/info/", "POST"), ("/my/route", "POST")],
)
def test_requests_that_do_not_need_the_model_take_no_ticket(path: str, method: str) -> None:
    admission = SingleTicket()
    assert ask(guarded(replying(), admission), http_scope(path, method)).status == 200
    assert admission.taken == 0


@pytest.mark.parametrize("path", [*MODEL_POSTS, "/invocations/", "/v1/chat/completions/"])
def test_both_spellings_of_the_models_routes_take_a_ticket(path: str) -> None:
    admission = SingleTicket()
    ask(guarded(replying(), admission), http_scope(path))
    assert admission.taken == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (QueueFullError(), 503),
        (ModelNotReadyError("Model is not ready"), 503),
        (ModelFailedError("no such artifact"), 513),
    ],
)
def test_a_refusal_is_the_error_of_the_executor(error: RequestError, status: int) -> None:
    def refuse() -> Any:
        raise error

    answer = ask(routed(AdmissionMiddleware(replying(), new_place=lambda: Place(refuse))))
    assert (answer.status, answer.json) == (status, error.body())


def test_a_request_without_a_body_takes_its_place_when_it_needs_it() -> None:
    admission = SingleTicket()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        place = request_state(scope).place
        assert place is not None
        assert admission.taken == 0
        assert place.take() is place.take() is admission
        await replying()(scope, receive, send)

    assert ask(guarded(app, admission), http_scope("/v1/models", "GET")).status == 200
    assert (admission.taken, admission.released) == (1, 1)


def test_a_stream_holds_its_ticket_to_the_end() -> None:
    admission = SingleTicket()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            assert admission.released == 0
        await send({"type": "http.response.body"})

    assert asyncio.run(call(guarded(app, admission), http_scope())).body == b"xxx"
    assert admission.released == 1
