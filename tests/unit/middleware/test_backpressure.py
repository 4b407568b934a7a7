from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asgi_calls import ask, call, http_scope, raising, replying
from drum_litestar import scope as names
from drum_litestar.errors import ModelNotReadyError, QueueFullError, RequestError
from drum_litestar.middleware.asgi import Message, Receive, Scope, Send
from drum_litestar.middleware.backpressure import BackpressureMiddleware
from drum_litestar.middleware.paths import MODEL_PATHS, path_set


class SingleTicket:
    """An admission that issues one ticket at a time."""

    def __init__(self) -> None:
        self.taken = 0
        self.released = 0

    def admit(self) -> SingleTicket:
        if self.taken > self.released:
            raise QueueFullError
        self.taken += 1
        return self

    def release(self) -> None:
        self.released += 1


def guarded(app: Any, admission: SingleTicket, **options: Any) -> BackpressureMiddleware:
    return BackpressureMiddleware(app, admit=admission.admit, model_paths=path_set(MODEL_PATHS), **options)


def test_the_ticket_is_held_for_the_request_and_released() -> None:
    admission = SingleTicket()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["state"][names.TICKET] is admission
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
    reasons: list[str] = []

    async def main() -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            raise AssertionError("the body must stay unread")

        async def send(message: Message) -> None:
            sent.append(message)

        await guarded(replying(), admission, on_rejected=reasons.append)(http_scope(), receive, send)
        return sent

    start, body = asyncio.run(main())
    assert start["status"] == 503
    assert (b"retry-after", b"5") in start["headers"]
    assert body["body"].endswith(b' (DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH)","retry_after":5}\n')
    assert (admission.taken, admission.released) == (1, 0)
    assert reasons == ["queue_full"]


@pytest.mark.parametrize(
    ("path", "method"),
    [("/ping", "GET"), ("/predict/", "GET"), ("/predict/", "OPTIONS"), ("/info/", "POST"), ("/my/route", "POST")],
)
def test_requests_that_do_not_need_the_model_take_no_ticket(path: str, method: str) -> None:
    admission = SingleTicket()
    assert ask(guarded(replying(), admission), http_scope(path, method)).status == 200
    assert admission.taken == 0


@pytest.mark.parametrize("path", [*MODEL_PATHS, "/invocations/", "/v1/chat/completions/"])
def test_both_spellings_of_the_models_routes_take_a_ticket(path: str) -> None:
    admission = SingleTicket()
    ask(guarded(replying(), admission), http_scope(path))
    assert admission.taken == 1


def test_admission_may_refuse_or_let_through_without_a_ticket() -> None:
    def refuse() -> None:
        raise ModelNotReadyError("Model is not ready")

    def answer(admit: Any) -> RequestError | int:
        app = BackpressureMiddleware(replying(status=513), admit=admit, model_paths=path_set(MODEL_PATHS))
        return ask(app).status

    assert answer(refuse) == 503
    assert answer(lambda: None) == 513


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
