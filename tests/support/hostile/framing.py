"""Where does one request end and the next begin? Shapes that two servers in a row could answer differently."""

from __future__ import annotations

from support.hostile.conversation import Step

CSV = b"a,b\n1,2\n"
SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n"


def post(*headers: bytes, body: bytes = b"", version: bytes = b"1.1", path: bytes = b"/predict/") -> bytes:
    """A POST with exactly these framing headers; asks for a close."""
    lines = [b"POST %s HTTP/%s" % (path, version), b"Host: a", b"Content-Type: text/csv", b"Connection: close"]
    return b"\r\n".join([*lines, *headers, b"", b""]) + body


def chunked(body: bytes, *headers: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", *headers, body=body)


def length(value: bytes, body: bytes = CSV) -> bytes:
    return post(b"Content-Length: " + value, body=body)


FRAMING: dict[str, tuple[str | Step, ...]] = {
    # both lengths
    "length-then-chunked": (
        "400",
        post(b"Content-Length: 6", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED),
    ),
    "chunked-then-length": (
        "400",
        post(b"Transfer-Encoding: chunked", b"Content-Length: 6", body=b"0\r\n\r\n" + SMUGGLED),
    ),
    # Content-Length
    "two-different-lengths": ("400", post(b"Content-Length: 8", b"Content-Length: 0", body=CSV + SMUGGLED)),
    "two-equal-lengths": ("400", post(b"Content-Length: 8", b"Content-Length: 8", body=CSV)),
    "length-list": ("400", length(b"8, 8")),
    "length-negative": ("400", length(b"-1")),
    "length-plus": ("400", length(b"+8")),
    "length-word": ("400", length(b"eight")),
    "length-hex": ("400", length(b"0x8")),
    "length-empty": ("400", length(b"")),
    "length-fraction": ("400", length(b"8.0")),
    "length-inner-space": ("400", length(b"1 0")),
    "length-overflow": ("400", length(b"18446744073709551624")),
    "length-space-before-colon": ("400", post(b"Content-Length : 8", body=CSV)),
    "length-below-body": ("200 400|200", length(b"8", CSV + b"more,than,announced\n")),
    "length-above-limit": ("413", length(b"99999999999")),
    # Transfer-Encoding
    "chunked-twice": ("400", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
    "chunked-identity": ("400", post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n")),
    "gzip-chunked": ("400", post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n")),
    "xchunked": ("400", post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n")),
    "chunked-quoted": ("400", post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n")),
    "chunked-vertical-tab": ("400", post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n")),
    "chunked-space-before-colon": ("400", post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n")),
    "chunked-in-http-1.0": ("400", post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", version=b"1.0")),
    # chunks
    "chunk-size-negative": ("400", chunked(b"-8\r\n" + CSV + b"\r\n0\r\n\r\n")),
    "chunk-size-no-hex": ("400", chunked(b"zz\r\n" + CSV + b"\r\n0\r\n\r\n")),
    "chunk-size-prefixed": ("400", chunked(b"0x8\r\n" + CSV + b"\r\n0\r\n\r\n")),
    "chunk-size-overflow": ("400", chunked(b"FFFFFFFFFFFFFFFF8\r\n" + CSV + b"\r\n0\r\n\r\n")),
    "chunk-size-huge": ("413|400|close", chunked(b"FFFFFFFFFFFF\r\n" + CSV), "half-close"),
    "chunk-longer-than-size": ("400", chunked(b"4\r\n" + CSV + b"\r\n0\r\n\r\n")),
    "chunk-shorter-than-size": ("400", chunked(b"a\r\n" + CSV + b"\r\n0\r\n\r\n")),
    "chunk-bare-lf": ("400", chunked(b"8\n" + CSV + b"\n0\n\n")),
    "chunk-extension-bare-lf": ("400", chunked(b"8;a\n" + CSV + b"\r\n0\r\n\r\n")),
    "chunk-extension-endless": ("431|400", chunked(b"8;" + b"a" * 200_000)),
    "chunk-trailers-endless": ("431|400|408", chunked(b"8\r\n" + CSV + b"\r\n0\r\n" + b"X-T: 1\r\n" * 20_000)),
    "chunk-trailer-as-header": ("200", chunked(b"8\r\n" + CSV + b"\r\n0\r\nX-Request-ID: trailer\r\n\r\n")),
    # lines
    "obs-fold": ("400", post(b"X-A: 1\r\n folded", b"Content-Length: 0")),
    "obs-fold-of-length": ("400", post(b"Content-Length:\r\n 8", body=CSV)),
    "bare-lf": ("400", b"GET /livez HTTP/1.1\nHost: a\nConnection: close\n\n"),
    "bare-lf-in-header": ("400", b"GET /livez HTTP/1.1\r\nHost: a\nX-A: 1\r\nConnection: close\r\n\r\n"),
    "bare-cr-in-header": ("400", b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: 1\rX-B: 2\r\nConnection: close\r\n\r\n"),
    "space-before-first-header": ("400", b"GET /livez HTTP/1.1\r\n Host: a\r\nConnection: close\r\n\r\n"),
    "header-without-colon": ("400", b"GET /livez HTTP/1.1\r\nHost: a\r\nnonsense\r\nConnection: close\r\n\r\n"),
    "header-without-name": ("400", b"GET /livez HTTP/1.1\r\nHost: a\r\n: x\r\nConnection: close\r\n\r\n"),
    "two-hosts": ("400", b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n"),
    # what is no HTTP/1.1
    "http-0.9": ("400|close", b"GET /livez\r\n", "half-close"),
    "http-2-preface": ("400", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "http-1.2": ("400", b"GET /livez HTTP/1.2\r\nHost: a\r\n\r\n"),
    "http-9.9": ("400", b"GET /livez HTTP/9.9\r\nHost: a\r\n\r\n"),
    "http-word": ("400", b"GET /livez HTTP/one\r\nHost: a\r\n\r\n"),
    "tls-hello": ("400", bytes.fromhex("16030100c8010000c40303") + b"\x00" * 190),
    "noise": ("400", bytes(range(256)) * 8),
    "pipelined-flood": ("400|200 *400", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" * 5000),
}
