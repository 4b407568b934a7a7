from __future__ import annotations

import uuid

import pytest

from asgi_calls import ask, http_scope, replying
from drum_litestar.middleware.asgi import Receive, Scope, Send
from drum_litestar.middleware.request_id import RequestIdMiddleware
from drum_litestar.request_context import request_id_var
from drum_litestar.route_table import RouteTable


def ids(offered: bytes | None, **app: object) -> tuple[bytes | None, bytes | None]:
    headers = [] if offered is None else [(b"x-request-id", offered)]
    answer = ask(RequestIdMiddleware(replying(**app), RouteTable()), http_scope(headers=headers))  # type: ignore[arg-type]
    return answer.header(b"x-request-id"), answer.header(b"x_request_id")


@pytest.mark.parametrize("offered", [b"a", b"RID-1_2.3:4/5+6=", b"x" * 128])
def test_a_harmless_id_is_echoed_in_both_spellings(offered: bytes) -> None:
    assert ids(offered) == (offered, offered)


@pytest.mark.parametrize("offered", [None, b"", b"x" * 129, b"a b", b"a\r\nX: y", b"a\n", b"{}", b"\xff", b"a,b"])
def test_anything_else_is_replaced(offered: bytes | None) -> None:
    first, second = ids(offered)
    assert first is not None
    assert first == second != offered
    made = uuid.UUID(first.decode())
    assert (str(made).encode(), made.version, made.variant) == (first, 4, uuid.RFC_4122)


def test_the_apps_own_id_does_not_contradict() -> None:
    assert ids(b"mine", headers=[(b"x-request-id", b"other"), (b"x_request_id", b"other")]) == (b"mine", b"mine")


def test_the_app_sees_the_id_in_scope_and_context() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["state"]["request_id"], request_id_var.get()))
        await replying()(scope, receive, send)

    scope = http_scope(headers=[(b"x-request-id", b"RID1")])
    del scope["state"]
    ask(RequestIdMiddleware(app, RouteTable()), scope)
    assert seen == [("RID1", "RID1")]
    assert request_id_var.get() == ""


def test_constant_messages_of_the_app_stay_as_they_are() -> None:
    app = RequestIdMiddleware(replying(), RouteTable())
    assert [len(ask(app).headers) for _ in range(3)] == [2, 2, 2]
