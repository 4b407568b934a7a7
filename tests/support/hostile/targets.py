"""Request lines and headers: targets, methods, upgrades, sizes, bytes that no header should have."""

from __future__ import annotations

from support.hostile.conversation import Step


def get(target: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: a", b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"", b""])


WEBSOCKET = (b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


def upgrade(*headers: bytes, target: bytes = b"/livez") -> bytes:
    lines = [b"GET " + target + b" HTTP/1.1", b"Host: a", *headers]
    return b"\r\n".join([*lines, b"", b""])


TARGETS: dict[str, tuple[str | Step, ...]] = {
    # paths
    "path-traversal": ("404", get(b"/../../etc/passwd")),
    "path-traversal-encoded": ("404", get(b"/%2e%2e/%2e%2e/etc/passwd")),
    "path-traversal-in-docs": ("404", get(b"/docs/..%2f..%2fetc/passwd")),
    "path-traversal-backslash": ("404", get(b"/..\\..\\etc\\passwd")),
    "encoded-slash": ("404|405", get(b"/predict%2fx")),
    "encoded-slash-is-no-probe-bypass": ("404", get(b"/livez%2f..%2fpredict", method=b"POST")),
    "double-slash": ("404", get(b"//livez//x")),
    "path-nul": ("400", get(b"/livez\x00")),
    "path-nul-encoded": ("404", get(b"/livez%00")),
    "path-invalid-utf8": ("400", get(b"/livez\xff\xfe")),
    "path-invalid-utf8-encoded": ("404", get(b"/livez%ff%fe")),
    "path-overlong-utf8-encoded": ("404", get(b"/%c0%ae%c0%ae/etc/passwd")),
    "path-space": ("400", get(b"/livez extra")),
    "path-tab": ("400", get(b"/livez\tx")),
    "path-half-escape": ("404", get(b"/livez%4")),
    "path-crlf-encoded": ("404", get(b"/livez%0d%0aX-Injected:%201")),
    "query-nul-encoded": ("200", get(b"/livez?a=%00")),
    "query-invalid-utf8": ("400", get(b"/livez?a=\xff")),
    "query-invalid-utf8-encoded": ("200", get(b"/livez?a=%ff%fe")),
    "query-nul": ("400", get(b"/livez?a=\x00")),
    "fragment": ("200|400", get(b"/livez#x")),
    # forms of the target
    "asterisk-get": ("400|404", get(b"*")),
    "asterisk-options": ("400|404|405|204", get(b"*", method=b"OPTIONS")),
    "absolute-form": ("200", get(b"http://a/livez")),
    "absolute-form-other-host": ("200", get(b"http://internal.example/livez")),
    "absolute-form-no-path": ("200|400|404", get(b"http://a")),
    "absolute-form-file": ("400|404", get(b"file:///etc/passwd")),
    "connect": ("400", get(b"internal.example:443", method=b"CONNECT")),
    "authority-form-get": ("400", get(b"internal.example:443")),
    "no-leading-slash": ("400", get(b"livez")),
    "empty-target": ("400", get(b"")),
    # methods
    "method-unknown": ("400", get(b"/livez", method=b"BREW")),
    "method-lower-case": ("400", get(b"/livez", method=b"get")),
    "method-webdav": ("405", get(b"/livez", method=b"PROPFIND")),
    "method-trace": ("405", get(b"/livez", method=b"TRACE")),
    "method-delete": ("405", get(b"/predict/", method=b"DELETE")),
    "method-endless": ("400", b"A" * 200_000),
    "method-null": ("400", get(b"/livez", method=b"\x00")),
    # upgrades: offers may be ignored, and are
    "websocket": ("200", upgrade(b"Connection: Upgrade, close", *WEBSOCKET)),
    "websocket-on-predict": ("405", upgrade(b"Connection: Upgrade, close", *WEBSOCKET, target=b"/predict/")),
    "h2c": (
        "200",
        upgrade(b"Connection: Upgrade, HTTP2-Settings, close", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQ"),
    ),
    "upgrade-unknown": ("200", upgrade(b"Connection: Upgrade, close", b"Upgrade: gopher")),
    # headers
    "head-oversize": ("431", get(b"/livez", b"X-Big: " + b"a" * 70_000)),
    "head-many-headers": ("431", get(b"/livez", *(b"X-%d: 1" % number for number in range(10_000)))),
    "head-long-name": ("431", get(b"/livez", b"X" * 70_000 + b": 1")),
    "head-long-target": ("431", get(b"/" + b"a" * 70_000)),
    "head-endless": ("431", b"GET /livez HTTP/1.1\r\n" + b"X-A: 1\r\n" * 40_000),
    "header-nul": ("400", get(b"/livez", b"X-A: a\x00b")),
    "header-control": ("400", get(b"/livez", b"X-A: a\x01b")),
    "header-delete": ("400", get(b"/livez", b"X-A: a\x7fb")),
    "header-invalid-utf8": ("200", get(b"/livez", b"X-A: \xff\xfe", b"User-Agent: \xff")),
    "header-name-invalid": ("400", get(b"/livez", b"X(A): 1")),
    "header-name-utf8": ("400", get(b"/livez", "Ä: 1".encode())),
    "request-id-crlf": ("400", get(b"/livez", b"X-Request-ID: a\rX-Injected: 1")),
    "request-id-forbidden": ("200", get(b"/livez", b'X-Request-ID: a" X-Injected="1')),
    "request-id-long": ("200", get(b"/livez", b"X-Request-ID: " + b"a" * 129)),
    "forwarded-for-rubbish": ("200", get(b"/livez", b"X-Forwarded-For: \xff,,;<script>", b"X-Forwarded-Proto: gopher")),
    "expect-unknown": ("200|417", get(b"/livez", b"Expect: the-unexpected")),
    "cookie-rubbish": ("200", get(b"/livez", b"Cookie: =;=;\xff=\xff; a")),
    "accept-encoding-rubbish": ("200", get(b"/livez", b"Accept-Encoding: " + b"gzip;q=9999," * 1000)),
    "authorization-rubbish": ("200", get(b"/livez", b"Authorization: Basic \xff\xfe====")),
    "host-missing": ("200|400", b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"),
    "host-rubbish": ("200|400", b"GET /livez HTTP/1.1\r\nHost: a/../@b:x\r\nConnection: close\r\n\r\n"),
}
