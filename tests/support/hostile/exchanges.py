"""Conversations with the HTTP/1.1 protocol alone, on the event loop whose clock the test puts forward.

Each piece of bytes reaches the server on its own: the next one is sent when the server has read it. At the end the
clock goes forward until the server has closed the connection, so a transcript is all that it ever says.
"""

from __future__ import annotations

import contextlib
import socket
import struct

from drum_litestar.middleware.asgi import Receive, Scope, Send
from raw_serving import RawClient, Running, read_body, reply
from support.clock import LATER

Steps = tuple[bytes | str, ...]
"""Bytes; or ``half-close``, ``reset``, ``leave``, or ``later``: the clock goes forward."""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers by path, so that a conversation sees the server in each state."""
    path = scope["path"]
    if path == "/early":
        await reply(send, b"early")
    elif path == "/early-close":
        await reply(send, b"bye", 413, ((b"connection", b"close"),))
    elif path == "/nothing":
        return
    elif path == "/fail":
        raise RuntimeError("on purpose")
    elif path == "/stream-first":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        if await read_body(receive) is not None:
            await send({"type": "http.response.body", "body": b""})
    else:
        body = await read_body(receive)
        if body is not None:
            await _answer(path, body, scope, send)


async def _answer(path: str, body: bytes, scope: Scope, send: Send) -> None:
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Upper", b"kept")]})
        for piece in (b"one", b"", b"two " * 5):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    elif path == "/pieces":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b"def"})
    elif path == "/cut":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
    elif path == "/seen":
        seen = [scope[key] for key in ("method", "http_version", "path", "raw_path", "query_string", "headers")]
        await reply(send, repr(seen).encode())
    elif path.startswith("/status/"):
        status = int(path[8:])
        await reply(send, b"" if status in (204, 304) else b"x", status)
    else:
        await reply(send, b" ".join([scope["method"].encode(), path.encode(), body]))


def get(path: str, *headers: str, version: str = "1.1", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: a", *headers, "", ""]).encode("latin-1")


def post(path: str, body: bytes = b"abc", *headers: str, version: str = "1.1") -> bytes:
    return get(path, f"Content-Length: {len(body)}", *headers, method="POST", version=version) + body


def chunked(path: str, *chunks: bytes, end: bytes = b"0\r\n\r\n", headers: tuple[str, ...] = ()) -> bytes:
    head = get(path, "Transfer-Encoding: chunked", *headers, method="POST")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


BROKEN = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
OFFER = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ")
EXPECT = "Expect: 100-continue"
CLOSE = "Connection: close"
BIG = "X-Big: " + "y" * 70_000

EXCHANGES: dict[str, Steps] = {
    # pipelined mixes
    "two-gets": (get("/1") + get("/2"),),
    "get-post-get": (get("/1") + post("/2") + get("/3"),),
    "chunked-get": (chunked("/1", b"abc", b"d" * 20) + get("/2"),),
    "chunked-chunked": (chunked("/1", b"abc") + chunked("/2", b"de", b"f"),),
    "get-head-get": (get("/1") + get("/2", method="HEAD") + get("/3"),),
    "head-of-a-stream-get": (get("/stream", method="HEAD") + get("/2"),),
    "stream-get-stream": (get("/stream") + get("/2") + get("/stream"),),
    "pieces-get-pieces": (get("/pieces") + get("/2") + get("/pieces"),),
    "fifty": (b"".join(get(f"/{number}") for number in range(50)),),
    "more-than-may-wait": (b"".join(get(f"/{number}") for number in range(120)),),
    "close-get": (get("/1", CLOSE) + get("/2"),),
    "close-noise": (get("/1", CLOSE) + b"noise \x00\xff",),
    "close-then-noise": (get("/1", CLOSE), b"noise \x00\xff"),
    "get-close-get": (get("/1") + post("/2", b"abc", CLOSE) + get("/3"),),
    "get-1.0-get": (get("/1") + get("/2", version="1.0") + get("/3"),),
    "get-broken": (get("/1") + BROKEN,),
    "get-get-noise": (get("/1") + get("/2") + b"\x00",),
    "stream-broken": (get("/stream") + BROKEN,),
    "get-broken-chunk": (get("/1") + chunked("/2", end=b"zz\r\n"),),
    "get-too-large": (get("/1") + get("/2", BIG),),
    "get-part-of-a-head": (get("/1") + b"GET /2 HTT", "later"),
    "get-part-of-a-body": (get("/1") + post("/2", b"abc")[:-1], "later"),
    "get-blank-lines-get": (get("/1") + b"\r\n\r\n" + get("/2"),),
    "blank-lines-get": (b"\r\n\r\n" + get("/1"),),
    "get-blank-line": (get("/1"), b"\r\n", "later"),
    "offers-between": (get("/1", *OFFER) + post("/2", b"abc", *OFFER) + get("/3"),),
    "offer-of-chunks": (chunked("/1", b"abc", b"de", headers=OFFER) + get("/2"),),
    "offer-close": (get("/1", "Connection: Upgrade, close", "Upgrade: h2c") + get("/2"),),
    "offer-broken": (get("/1", *OFFER) + BROKEN,),
    "fail-get": (get("/fail") + get("/2"),),
    "get-fail": (get("/1") + get("/fail"),),
    "cut-get": (get("/cut") + get("/2"),),
    "nothing-get": (get("/nothing") + get("/2"),),
    "early-rest-get": (post("/early", b"abc") + get("/2"),),
    "statuses": (b"".join(get(f"/status/{status}") for status in (200, 204, 304, 299, 418, 422, 599, 600, 999)),),
    "get-post-in-three": (get("/1") + b"POST /2 HTTP/1.1\r\nHost: a\r\nCont", b"ent-Length: 3\r\n\r\na", b"bc"),
    # early answers
    "early-then-rest": (post("/early", b"abcde")[:-3], b"cde" + get("/2")),
    "early-and-no-rest": (post("/early", b"abcde")[:-3], "later"),
    "early-and-a-broken-chunk": (chunked("/early", b"abc", end=b""), b"zz\r\n"),
    "early-close-then-rest": (post("/early-close", b"abcde")[:-3], b"cde" + get("/2")),
    "early-close-pipelined": (get("/1") + post("/early-close", b"abcde")[:-3], b"cde"),
    "stream-begun-then-rest": (post("/stream-first", b"abcde")[:-3], b"cde" + get("/2")),
    "stream-begun-then-broken": (chunked("/stream-first", b"abc", end=b""), b"zz\r\n"),
    # 100-continue
    "expect": (get("/1", EXPECT, "Content-Length: 3", method="POST"), b"abc" + get("/2")),
    "expect-with-body": (post("/1", b"abc", EXPECT) + get("/2"),),
    "expect-pipelined": (get("/1") + get("/2", EXPECT, "Content-Length: 3", method="POST"), b"abc"),
    "expect-early": (get("/early", EXPECT, "Content-Length: 3", method="POST"), b"abc" + get("/2")),
    "expect-without-body": (get("/1", EXPECT) + get("/2"),),
    "expect-in-1.0": (post("/1", b"abc", EXPECT, version="1.0"),),
    "expect-broken": (chunked("/1", end=b"zz\r\n", headers=(EXPECT,)),),
    # chunks
    "trailers": (chunked("/seen", b"abc", end=b"0\r\nX-T: 1\r\nHost: b\r\n\r\n") + get("/2"),),
    "extensions": (get("/1", "Transfer-Encoding: chunked", method="POST") + b'3;a="b";c\r\nabc\r\n0;d\r\n\r\n',),
    "upper-case-size": (get("/1", "Transfer-Encoding: chunked", method="POST") + b"A\r\n0123456789\r\n0\r\n\r\n",),
    "zeros-before-size": (get("/1", "Transfer-Encoding: chunked", method="POST") + b"0003\r\nabc\r\n000\r\n\r\n",),
    "coding-in-capitals": (get("/1", "Transfer-Encoding: CHUNKED", method="POST") + b"3\r\nabc\r\n0\r\n\r\n",),
    # heads
    "absolute-form": (get("http://b:80/seen?x=y"),),
    "asterisk": (get("*", method="OPTIONS"),),
    "query": (get("/seen?a=%41&b=?&c=/"),),
    "empty-query": (get("/seen?"),),
    "fragment": (get("/seen?a#b"),),
    "escapes": (get("/s%65en/../%2f%00%zz"),),
    "two-slashes": (get("//seen//x"),),
    "blanks-around-values": (get("/seen", "X-A: \t a b \t ", "X-B:", "X-C:   ", "X-D:e"),),
    "repeated-headers": (get("/seen", "X-A: 1", "x-a: 2", "X-A: 1"),),
    "eight-bit-values": (get("/seen", "X-A: \xff\xe9"),),
    "method-of-webdav": (get("/seen", method="PROPFIND"),),
    "no-host": (b"GET /seen HTTP/1.1\r\n\r\n",),
    "all-in-capitals": (b"GET /seen HTTP/1.1\r\nHOST: A\r\nCONTENT-LENGTH: 0\r\n\r\n",),
    "keep-alive-in-1.0": (get("/1", "Connection: keep-alive", version="1.0") + get("/2"),),
    "stream-in-1.0": (get("/stream", version="1.0"),),
    "post-in-1.0": (post("/1", b"abc", version="1.0"),),
    "too-large": (get("/1", BIG),),
    "too-many": (get("/1", *(f"X-{number}: 1" for number in range(2000))),),
    "connect": (get("a:443", method="CONNECT"),),
    "version": (get("/1", version="1.2"),),
    # time
    "silence": ("later",),
    "silence-after-an-answer": (get("/1"), "later"),
    "silent-head": (get("/1")[:-2], "later"),
    "silent-body": (post("/1", b"abc")[:-1], "later"),
    "silent-chunk": (chunked("/1", b"abc", end=b"3\r\na"), "later"),
    "silent-trailers": (chunked("/1", b"abc", end=b"0\r\nX-T"), "later"),
    "silent-after-expect": (get("/1", EXPECT, "Content-Length: 3", method="POST"), "later"),
    "silent-pipelined": (get("/1") + get("/2") + b"POST", "later"),
    # clients that leave
    **{
        f"half-close-{name}": (*steps, "half-close")
        for name, steps in {
            "at-once": (),
            "in-request-line": (b"GET /1",),
            "in-head": (get("/1")[:-2],),
            "after-head": (post("/1", b"abc")[:-3],),
            "in-body": (post("/1", b"abc")[:-1],),
            "in-chunk-size": (chunked("/1", b"abc", end=b"3"),),
            "in-chunk": (chunked("/1", b"abc", end=b"3\r\na"),),
            "in-trailers": (chunked("/1", b"abc", end=b"0\r\nX-T"),),
            "after-answer": (get("/1"),),
            "in-answer": (post("/stream-first", b"abc")[:-1],),
            "in-second-head": (get("/1") + get("/2")[:-2],),
            "in-linger": (post("/early-close", b"abcde")[:-3],),
        }.items()
    },
}

LEAVING: dict[str, Steps] = {
    name.replace("half-close", word): (*steps[:-1], word)
    for name, steps in EXCHANGES.items()
    if name.startswith("half-close")
    for word in ("reset", "leave")
}
"""The same, but the client cannot see what becomes of it."""


def converse(server: Running, steps: Steps) -> str:
    """All that the server says, ``date`` aside, and whether it closes ("\\n[end]") or resets the connection."""
    with RawClient(server.port) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        settle(server)
        for step in steps:
            _do(server, client, step)
            settle(server)
        if client.sock.fileno() < 0:
            return ""
        client.sock.settimeout(0.0)
        said, end = b"", ""
        while not end:
            server.advance(LATER)
            settle(server)
            with contextlib.suppress(BlockingIOError):
                try:
                    while data := client.sock.recv(1 << 20):
                        said += data
                    end = "end"
                except ConnectionResetError:
                    end = "reset"
    lines = said.decode("latin-1").split("\r\n")
    return "\n".join([*(line for line in lines if not line.startswith("date: ")), f"[{end}]"])


def _do(server: Running, client: RawClient, step: bytes | str) -> None:
    if step == "later":
        server.advance(LATER)
    elif step == "half-close":
        client.sock.shutdown(socket.SHUT_WR)
    elif isinstance(step, bytes):
        with contextlib.suppress(OSError):
            client.send(step)
    else:
        if step == "reset":
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()


def settle(server: Running) -> None:
    """Return when the server has read what has come, and nothing has moved for a while."""
    state = server.server.server_state
    before, quiet = None, 0
    while quiet < 4:
        now = server.on_loop(lambda: (state.total_requests, len(state.tasks), len(state.connections)))
        quiet = quiet + 1 if now == before else 0
        before = now
