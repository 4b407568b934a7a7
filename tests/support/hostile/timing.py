"""Clients that take their time. The server under test gives them ``LIMIT`` seconds, for heads and in bodies."""

from __future__ import annotations

from support.hostile.conversation import Step
from support.hostile.framing import post

LIMIT = 3.0

TIMING: dict[str, tuple[str | Step, ...]] = {
    "silence": ("close", b""),
    "slow-head": ("408", b"GET /livez HTTP/1.1\r\n", (b"X-A: 1\r\n", 40, 0.1)),
    "slow-request-line": ("408", (b"G", 1, 0.1), b"ET /liv"),
    "slow-head-after-a-request": (
        "200 408",
        b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /li",
    ),
    "silent-body": ("408", post(b"Content-Length: 100", body=b"a,b\n")),
    "silent-chunked-body": ("408", post(b"Transfer-Encoding: chunked", body=b"4\r\na,b\n\r\n")),
    "silent-chunk-size": ("408", post(b"Transfer-Encoding: chunked", body=b"4\r\na,b\n\r\n1")),
    "silent-form": (
        "408",
        post(b"Content-Length: 100").replace(b"text/csv", b"multipart/form-data; boundary=b") + b"--b\r\nContent-Dispo",
    ),
    "length-above-body": ("408", post(b"Content-Length: 9", body=b"a,b\n1,2\n")),
}
