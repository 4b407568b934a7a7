"""The short way to an endpoint answers as the way through Litestar does, which an extension of a model switches on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.http.routes import ROUTES
from drum_litestar.request_state import request_state
from drum_litestar.route_table import REST
from http_serving import CSV, Broken, Serving, mirror, options, serving
from support.options import executor_options

PATHS = [path.replace(REST, "a") for route in ROUTES for path in route.paths if path not in ("/stats", "/metrics")]
"""Those left out answer something else each time."""
THROUGH_LITESTAR = options(on_app_init=(lambda config: config,))


@pytest.fixture(scope="module")
def loaded() -> Iterator[tuple[Serving, Serving]]:
    with mirror() as (short, _), mirror(settings=THROUGH_LITESTAR) as (long, _):
        yield short, long


@pytest.fixture(scope="module")
def failed() -> Iterator[tuple[Serving, Serving]]:
    """Two error servers."""
    executors = [InlineExecutor(Broken, executor_options(error_server=True)) for _ in range(2)]
    with serving(executors[0]) as short, serving(executors[1], THROUGH_LITESTAR) as long:
        yield short, long


def answers(servers: tuple[Serving, Serving], method: str, path: str, *headers: str, body: bytes = b"") -> list[bytes]:
    lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", "Connection: close", *headers]
    request = "\r\n".join([*lines, "", ""]).encode() + body
    return [without_date(server.exchange(request)) for server in servers]


def without_date(answer: bytes) -> bytes:
    head, end, body = answer.partition(b"\r\n\r\n")
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith((b"date:", b"Date:"))) + end + body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
@pytest.mark.parametrize("path", [*PATHS, "//predict//", "/ping/", "/predict?a=1"])
def test_both_ways_answer_alike(loaded: Any, failed: Any, path: str, method: str) -> None:
    for servers in (loaded, failed):
        short, long = answers(servers, method, path, "Content-Type: text/csv", body=CSV)
        assert short == long
        assert short.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("media_type", ["text/csv", "a/b", "multipart/form-data; boundary=x", "application/json"])
@pytest.mark.parametrize("body", [b"", CSV])
def test_refusals_are_alike(loaded: Any, media_type: str, body: bytes) -> None:
    for path in ("/predict", "/predictUnstructured", "/chat/completions"):
        short, long = answers(loaded, "POST", path, f"Content-Type: {media_type}", body=body)
        assert short == long


def test_both_ways_leave_the_label_of_metrics() -> None:
    seen: list[str] = []

    def wrap(app: Any) -> Any:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)
            if scope["type"] == "http":
                seen.append(scope["path_template"])
                assert request_state(scope).path_template == scope["path_template"]

        return wrapped

    for settings in (options(), THROUGH_LITESTAR):
        with mirror(settings=settings, wrap=wrap) as (server, _):
            for request in ("GET /ping/", "POST //predict//"):
                server.exchange(f"{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert seen == ["/ping", "/predict"] * 2
