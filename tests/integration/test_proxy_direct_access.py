"""``/directAccess/`` and ``/nim/`` between a real client and a real upstream."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from drum_litestar.launcher.preparation import LateProxy
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.settings.groups.limits import UploadSettings
from http_serving import Serving, card, mirror, options, read_all, read_until
from support.servers.process import free_port
from support.servers.upstream import Seen, Upstream, ok, upstream


@contextlib.contextmanager
def proxied(
    url: str, *, timeout: float = 10.0, max_body: int = 1 << 20, prefix: str = "", tracing: Tracing | None = None
) -> Iterator[Serving]:
    proxy = LateProxy(timeout=timeout, url_prefix=prefix, tracing=tracing)
    uploads = UploadSettings(max_upload_size=max_body)
    settings = options(direct_access=proxy, on_shutdown=(proxy.aclose,), url_prefix=prefix, uploads=uploads)
    with mirror(card(TargetType.TEXT_GENERATION, direct_access=url), settings) as (server, _):
        yield server


@pytest.fixture
def both() -> Iterator[tuple[Serving, Upstream]]:
    with upstream() as up, proxied(up.url) as server:
        yield server, up


@pytest.mark.parametrize("route", ["directAccess", "nim"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
def test_methods(both: tuple[Serving, Upstream], route: str, method: str) -> None:
    server, up = both
    up.answer = ok(b"hello", "X-From: upstream")
    content = b'{"a":1}' if method in ("POST", "PUT") else None
    answer = server.client.request(method, f"/{route}/v1/models", content=content)
    assert answer.status_code == 200
    assert answer.headers["x-from"] == "upstream"
    assert answer.headers["content-length"] == "5"
    assert answer.content == (b"" if method == "HEAD" else b"hello")
    assert (up.seen[0].method, up.seen[0].target, up.seen[0].body) == (method, "/v1/models", content or b"")
    assert up.seen[0].header("Transfer-Encoding") == []


def test_request_headers(both: tuple[Serving, Upstream]) -> None:
    server, up = both
    server.exchange(
        b"POST /nim/x HTTP/1.1\r\nHost: client.example\r\nAuthorization: Bearer k\r\nX-Two: 1\r\nX-Two: 2\r\n"
        b"Connection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: p\r\n"
        b"Accept-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi"
    )
    seen = up.seen[0]
    assert seen.header("Host") == [f"127.0.0.1:{up.port}"]
    assert seen.header("Authorization") == ["Bearer k"]
    assert seen.header("X-Two") == ["1", "2"]
    assert seen.header("Content-Length") == ["2"]
    names = {name.lower() for name, _ in seen.headers}
    assert names == {"host", "authorization", "x-two", "accept-encoding", "content-length"}


def test_response_headers_and_status_are_copied_and_redirects_not_followed(both: tuple[Serving, Upstream]) -> None:
    server, up = both
    up.answer = ok(b"", "Location: /elsewhere", "Set-Cookie: a=1", "Set-Cookie: b=2", "Keep-Alive: 7", status="307 Odd")
    answer = server.client.get("/directAccess/x", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/elsewhere")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "keep-alive" not in answer.headers
    assert len(up.seen) == 1


def test_compressed_bodies_pass_as_they_are(both: tuple[Serving, Upstream]) -> None:
    server, up = both
    up.answer = ok(gzip.compress(b"plain"), "Content-Encoding: gzip", "Content-Type: text/plain")
    assert server.client.get("/directAccess/x").content == b"plain"


@pytest.mark.parametrize(
    ("sent", "arrived"),
    [
        ("/directAccess/a/b?x=1&x=2&y", "/a/b?x=1&x=2&y"),
        ("/directAccess/a%2Fb%20c", "/a%2Fb%20c"),
        ("/directAccess/a/", "/a/"),
        ("/directAccess//evil.example/x", "/evil.example/x"),
        ("/directAccess///evil.example/x", "/evil.example/x"),
        ("/directAccess/http://evil.example/x", "/http://evil.example/x"),
        ("/directAccess/a..b/...", "/a..b/..."),
        ("/directAccess/user@evil.example:80/", "/user@evil.example:80/"),
        ("//directAccess/x", "/x"),
    ],
)
def test_paths_arrive_as_sent_below_the_upstream(both: tuple[Serving, Upstream], sent: str, arrived: str) -> None:
    server, up = both
    raw = server.exchange(f"GET {sent} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    assert raw.startswith(b"HTTP/1.1 200"), raw
    assert [seen.target for seen in up.seen] == [arrived]


@pytest.mark.parametrize(
    "path",
    ["..", "../x", "a/../../x", "%2e%2e/x", "a/%2E./x", "a%2f..%2fx", "..%5cx", "a/./x", "%2e", "a\xff"],
)
def test_paths_that_climb_are_refused(both: tuple[Serving, Upstream], path: str) -> None:
    server, up = both
    raw = server.exchange(
        f"GET /directAccess/{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode("latin-1")
    )
    assert raw.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404")), raw
    assert up.seen == []


def test_below_a_prefix() -> None:
    with upstream() as up, proxied(up.url, prefix="/p/q") as server:
        assert server.client.get("/p/q/nim/p/q/nim/x").status_code == 200
        assert up.seen[0].target == "/p/q/nim/x"


def test_absolute_form_targets_go_to_the_upstream_all_the_same(both: tuple[Serving, Upstream]) -> None:
    server, up = both
    raw = server.exchange(b"GET http://evil.example/nim/x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 200"), raw
    assert up.seen[0].target == "/x"


def test_connections_are_pooled(both: tuple[Serving, Upstream]) -> None:
    server, up = both
    for _ in range(3):
        assert server.client.get("/directAccess/x").status_code == 200
    assert len({seen.connection for seen in up.seen}) == 1


def test_answers_are_streamed(both: tuple[Serving, Upstream]) -> None:
    server, up = both
    go_on = threading.Event()

    def answer(_: Seen, sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        sock.sendall(b"9\r\ndata: 1\n\n\r\n")
        assert go_on.wait(60)
        sock.sendall(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")

    up.answer = answer
    with server.client.stream("GET", "/directAccess/v1/stream") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"data: 1\n\n"
        go_on.set()
        assert b"".join(chunks) == b"data: 2\n\n"
    assert response.headers["content-type"] == "text/event-stream"


def test_uploads_are_streamed(both: tuple[Serving, Upstream]) -> None:
    server, up = both

    def chunks() -> Iterator[bytes]:
        yield b"first"
        assert up.first_chunk.wait(60)  # the upstream has it before we send the rest
        yield b"second"

    assert server.client.post("/directAccess/x", content=chunks()).status_code == 200
    assert up.seen[0].body == b"firstsecond"


def test_too_large_uploads() -> None:
    with upstream() as up, proxied(up.url, max_body=10) as server:
        assert server.client.post("/nim/x", content=b"x" * 11).status_code == 413
        assert server.client.post("/nim/x", content=iter([b"x" * 6, b"x" * 6])).status_code == 413
        assert up.seen == []


def test_client_that_leaves_ends_the_upstream_stream(both: tuple[Serving, Upstream]) -> None:
    server, up = both

    def endless(_: Seen, sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            sock.sendall(b"x" * 10_000)

    up.answer = endless
    with server.send(b"GET /directAccess/x HTTP/1.1\r\nHost: h\r\n\r\n") as client:
        read_until(client, b"xxxx")
    assert up.gone.wait(60)


def never(_: Seen, sock: socket.socket) -> None:
    """No answer, until the other side has gone."""
    read_all(sock)


def test_client_that_leaves_before_the_answer(both: tuple[Serving, Upstream]) -> None:
    server, up = both
    up.answer = never
    with server.send(b"POST /directAccess/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"):
        assert up.arrived.acquire(timeout=60)
    assert up.gone.wait(60)


def broken(answer: httpx.Response, status: int, text: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["message"].startswith("ERROR: The LLM server")
    assert text in answer.json()["message"]


def test_upstream_down() -> None:
    with proxied(f"http://127.0.0.1:{free_port()}") as server:
        broken(server.client.get("/directAccess/x"), 502, "cannot be reached")


@pytest.mark.parametrize("garbage", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nbad"])
def test_upstream_garbage(both: tuple[Serving, Upstream], garbage: bytes) -> None:
    server, up = both

    def answer(_: Seen, sock: socket.socket) -> None:
        sock.sendall(garbage)
        sock.shutdown(socket.SHUT_RDWR)

    up.answer = answer
    broken(server.client.get("/directAccess/x"), 502, "cannot be used")


def test_upstream_slow() -> None:
    with upstream() as up, proxied(up.url, timeout=0.2) as server:
        up.answer = never
        broken(server.client.get("/directAccess/x"), 504, "did not answer in time")
        assert up.gone.wait(60)


def test_upstream_that_breaks_off_tears_the_answer(both: tuple[Serving, Upstream]) -> None:
    server, up = both

    def answer(_: Seen, sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        sock.shutdown(socket.SHUT_RDWR)

    up.answer = answer
    with pytest.raises(httpx.RemoteProtocolError):
        server.client.get("/directAccess/x")
    assert server.client.get("/livez").status_code == 200


def test_without_an_llm_server() -> None:
    with mirror() as (server, _):
        answer = server.client.get("/directAccess/x")
        assert answer.status_code == 400
        assert answer.json() == {"message": "This endpoint is only supported by OpenAI based predictors"}


def test_headers_of_an_extension_are_added(both: tuple[Serving, Upstream]) -> None:
    def after(response: Any) -> Any:
        response.headers["X-Added"] = "yes"
        return response

    def configure(config: Any) -> Any:
        config.after_request = after
        return config

    _, up = both
    proxy = LateProxy(timeout=60)
    settings = options(direct_access=proxy, on_shutdown=(proxy.aclose,), on_app_init=(configure,))
    with mirror(card(TargetType.TEXT_GENERATION, direct_access=up.url), settings) as (server, _):
        assert server.client.get("/nim/x").headers["x-added"] == "yes"


def test_client_spans_tell_whose_fault_it_was_and_no_secrets() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with upstream() as up, proxied(up.url, max_body=10, tracing=Tracing(provider)) as server:
        assert server.client.get("/directAccess/x?api-key=secret").status_code == 200
        assert server.client.post("/directAccess/x", content=iter([b"x" * 20])).status_code == 413
    gone = f"http://127.0.0.1:{free_port()}"
    with proxied(gone, tracing=Tracing(provider)) as server:
        assert server.client.get("/directAccess/x").status_code == 502
    found, too_large, unreachable = exporter.get_finished_spans()
    assert found.attributes == {"http.method": "GET", "http.url": f"{up.url}/x", "http.status_code": 200}
    (traceparent,) = up.seen[0].header("traceparent")
    assert traceparent.split("-")[1:3] == [f"{found.context.trace_id:032x}", f"{found.context.span_id:016x}"]
    assert (too_large.status.status_code, too_large.events) == (StatusCode.UNSET, ())
    assert (unreachable.status.status_code, unreachable.events[0].name) == (StatusCode.ERROR, "exception")
