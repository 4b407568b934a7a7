from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from asgi_calls import ask, carrying, http_scope, raising, replying
from drum_litestar.errors import DeadlineExceededError, QueueFullError
from drum_litestar.middleware.server_error import ServerErrorMiddleware


def test_the_answer_to_an_unhandled_exception_has_only_the_request_id(caplog: pytest.LogCaptureFixture) -> None:
    app = ServerErrorMiddleware(raising(RuntimeError("secret")))
    with caplog.at_level(logging.ERROR):
        answer = ask(app, http_scope(state=carrying(request_id="RID1")))
    assert answer.status == 500
    assert answer.body == b'{"message":"Internal server error","request_id":"RID1"}\n'
    assert answer.header(b"content-type") == b"application/json"
    assert "secret" in caplog.text  # the log has it


def test_show_stacktrace() -> None:
    answer = ask(ServerErrorMiddleware(raising(RuntimeError("secret")), show_stacktrace=True))
    assert answer.json["message"] == "Internal server error"
    assert "RuntimeError: secret" in answer.json["traceback"]
    app = ServerErrorMiddleware(
        raising(RuntimeError("secret")), show_stacktrace=True, mask=lambda text: text.replace("secret", "*****")
    )
    assert "RuntimeError: *****" in ask(app).json["traceback"]


def test_a_request_error_is_its_own_answer() -> None:
    answer = ask(ServerErrorMiddleware(raising(QueueFullError())))
    assert answer.status == 503
    assert answer.header(b"retry-after") == b"5"
    assert answer.json == QueueFullError().body()
    answer = ask(ServerErrorMiddleware(raising(DeadlineExceededError(1.5, "RID1"))))
    assert answer.json == {"message": "Request timeout after 1.5s", "request_id": "RID1"}


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [(503, [], b"10"), (503, [(b"Retry-After", b"3")], b"3"), (500, [], None), (200, [], None)],
)
def test_a_503_of_the_app_gets_a_retry_after(
    status: int, headers: list[tuple[bytes, bytes]], expected: bytes | None
) -> None:
    answer = ask(ServerErrorMiddleware(replying(status=status, headers=headers)))
    assert answer.header(b"retry-after") == expected


@pytest.mark.parametrize("error", [RuntimeError("broken"), QueueFullError(), asyncio.CancelledError()])
def test_a_response_that_has_begun_is_not_answered_again(error: BaseException) -> None:
    with pytest.raises(type(error)):
        ask(ServerErrorMiddleware(raising(error, after_start=True)))


def test_cancelled_at_shutdown_is_503_and_stays_cancelled() -> None:
    sent: list[Any] = []

    async def main() -> None:
        async def send(message: object) -> None:
            sent.append(message)

        await ServerErrorMiddleware(raising(asyncio.CancelledError()))(http_scope(), None, send)  # type: ignore[arg-type]

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert sent[0]["status"] == 503
    assert (b"connection", b"close") in sent[0]["headers"]
    assert (b"retry-after", b"10") in sent[0]["headers"]
