"""Bodies: bombs, broken forms, uploads that lie or stop."""

from __future__ import annotations

import gzip

from support.hostile.conversation import Step
from support.hostile.framing import CSV, post

LIMIT = 1 << 20
"""``DRUM_FASTAPI_MAX_UPLOAD_SIZE`` of the server under test."""
FIELD_LIMIT = 100_000
"""``DRUM_FORM_MAX_FIELD_SIZE``."""

BOMB = gzip.compress(bytes(64 << 20), 9)  # 64 kB that would be 64 MB
BOMB_IN_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BOMB), BOMB)
EMPTY = gzip.compress(b"")
NOTHING = (b"%x\r\n%s\r\n" % (len(EMPTY) * 1000, EMPTY * 1000)) * (LIMIT // len(EMPTY) // 1000 + 2)


def sized(body: bytes, *headers: bytes, path: bytes = b"/predict/") -> bytes:
    lines = [b"POST %s HTTP/1.1" % path, b"Host: a", b"Connection: close", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, *headers, b"", b""]) + body


def form(body: bytes, boundary: bytes = b"b", kind: bytes = b"form-data") -> bytes:
    return sized(body, b"Content-Type: multipart/%s; boundary=%s" % (kind, boundary))


def part(name: bytes, content: bytes = CSV, filename: bytes | None = b"x.csv", headers: bytes = b"") -> bytes:
    disposition = b'Content-Disposition: form-data; name="%s"' % name
    if filename is not None:
        disposition += b'; filename="%s"' % filename
    return b"--b\r\n" + disposition + b"\r\n" + headers + b"\r\n" + content + b"\r\n"


END = b"--b--\r\n"
NESTED = (
    b'--b\r\nContent-Disposition: form-data; name="X"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n'
    b'--c\r\nContent-Disposition: file; filename="x.csv"\r\n\r\na,b\n1,2\n\r\n--c--\r\n' + END
)
FLOOD = b"%x\r\n" % 65536 + b"a" * 65536 + b"\r\n"

BODIES: dict[str, tuple[str | Step, ...]] = {
    # compression
    "gzip-bomb": ("413", sized(BOMB, b"Content-Type: text/csv", b"Content-Encoding: gzip")),
    "gzip-bomb-in-form": ("422", form(part(b"X", BOMB, headers=b"Content-Encoding: gzip\r\n") + END)),
    "gzip-bomb-chunked": ("413", post(b"Transfer-Encoding: chunked", b"Content-Encoding: gzip", body=BOMB_IN_CHUNKS)),
    "gzip-cut": ("400", sized(BOMB[:1000], b"Content-Type: text/csv", b"Content-Encoding: gzip")),
    "gzip-rubbish": ("400", sized(b"\x1f\x8b" + b"\xff" * 1000, b"Content-Encoding: gzip")),
    "gzip-of-nothing-for-ever": ("413", post(b"Transfer-Encoding: chunked", b"Content-Encoding: gzip", body=NOTHING)),
    "gzip-twice": ("415", sized(gzip.compress(BOMB), b"Content-Encoding: gzip, gzip")),
    "gzip-that-is-none": ("200", sized(CSV, b"Content-Type: text/csv", b"Content-Encoding: gzip")),
    "zstd-rubbish": ("400|415", sized(b"\x28\xb5\x2f\xfd" + b"\xff" * 1000, b"Content-Encoding: zstd")),
    "deflate-rubbish": ("415", sized(b"\x78\x9c" + b"\xff" * 1000, b"Content-Encoding: deflate")),
    "encoding-unknown": ("415", sized(CSV, b"Content-Type: text/csv", b"Content-Encoding: br, zstd, rot13")),
    # forms
    "form-too-many-parts": ("413", form(part(b"f", b"", None) * 2000 + END)),
    "form-too-many-part-headers": ("413", form(part(b"X", headers=b"X-A: 1\r\n" * 200) + END)),
    "form-part-header-too-long": ("413", form(part(b"X", headers=b"X-A: " + b"a" * 40_000 + b"\r\n") + END)),
    "form-field-too-large": ("413", form(part(b"f", b"a" * (FIELD_LIMIT + 1), None) + END)),
    "form-nested": ("422", form(NESTED)),
    "form-without-end": ("422", form(part(b"X"))),
    "form-cut-in-part-head": ("422", form(b'--b\r\nContent-Disposition: form-data; name="X"')),
    "form-without-boundary": ("422", sized(part(b"X") + END, b"Content-Type: multipart/form-data")),
    "form-empty-boundary": ("422", form(part(b"X") + END, b"")),
    "form-long-boundary": ("422", form(part(b"X") + END, b"b" * 5000)),
    "form-other-boundary": ("422", form(part(b"X") + END, b"c")),
    "form-boundary-utf8": ("422", form(part(b"X") + END, "bä".encode())),
    "form-mixed": ("422", form(part(b"X") + END, kind=b"mixed")),
    "form-no-name": ("422", form(b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END)),
    "form-no-disposition": ("422", form(b"--b\r\nX-A: 1\r\n\r\nx\r\n" + END)),
    "form-nul-filename": ("200|422", form(part(b"X", filename=b"x\x00.csv") + END)),
    "form-traversing-filename": ("200", form(part(b"X", filename=b"../../../../tmp/evil.csv") + END)),
    "form-filename-star-rubbish": (
        "200|422",
        form(b"--b\r\nContent-Disposition: form-data; name=\"X\"; filename*=nope''%ff\r\n\r\n" + CSV + b"\r\n" + END),
    ),
    "form-dashes": ("422", form(b"--b" * 100_000)),
    "form-of-newlines": ("422", form(b"\r\n" * 200_000)),
    "form-empty": ("422", form(b"")),
    # content types
    "content-type-rubbish": ("200|422", sized(CSV, b"Content-Type: \xff/\xfe; =;;")),
    "content-type-twice": ("200|400|422", sized(CSV, b"Content-Type: text/csv", b"Content-Type: multipart/form-data")),
    "charset-unknown": ("200|422", sized(CSV, b"Content-Type: text/csv; charset=klingon")),
    "charset-codec-bomb": ("200|422", sized(CSV, b"Content-Type: text/csv; charset=zlib_codec")),
    "csv-nul": ("422|500", sized(b"a,b\n\x00,2\n", b"Content-Type: text/csv")),
    "csv-invalid-utf8": ("422", sized(b"a,b\n\xff\xfe,2\n", b"Content-Type: text/csv")),
    "csv-endless-quote": ("200|422", sized(b'a,b\n"' + b"1," * 100_000, b"Content-Type: text/csv")),
    "sparse-lies": (
        "422",
        sized(b"%%MatrixMarket matrix coordinate real general\n2 2 9\n1 1 1\n", b"Content-Type: text/mtx"),
    ),
    "arrow-rubbish": (
        "422",
        sized(b"ARROW1\x00\x00" + b"\xff" * 100, b"Content-Type: application/x-apache-arrow-stream"),
    ),
    "no-body": ("422", post()),
    # sizes
    "body-over-limit-announced": ("413", post(b"Content-Length: %d" % (LIMIT + 1))),
    "body-over-limit-sent": ("413", sized(b"a" * (LIMIT + 1), b"Content-Type: text/csv")),
    "body-over-limit-chunked": ("413", post(b"Transfer-Encoding: chunked"), *[FLOOD] * 20, b"0\r\n\r\n"),
    "body-over-limit-expect": ("413", post(b"Content-Length: %d" % (LIMIT + 1), b"Expect: 100-continue")),
    "chunks-of-one-byte": ("422|500", post(b"Transfer-Encoding: chunked", body=b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n")),
    # clients that leave
    "half-close-in-head": ("close|400", b"GET /livez HTTP/1.1\r\nHost:", "half-close"),
    "half-close-in-body": ("close|400", post(b"Content-Length: 100", body=CSV), "half-close"),
    "half-close-in-chunk": ("close|400", post(b"Transfer-Encoding: chunked", body=b"ff\r\na,b"), "half-close"),
    "half-close-after-request": ("200|close", sized(CSV, b"Content-Type: text/csv"), "half-close"),
    "reset-in-head": ("close", b"GET /livez HTTP/1.1\r\nHost:", "reset"),
    "reset-in-body": ("close", post(b"Content-Length: 500000", body=b"a" * 100_000), "reset"),
    "reset-in-form": ("close", form(part(b"X", b"1" * 500_000))[:-1000], "reset"),
    "reset-before-response": ("close", sized(CSV, b"Content-Type: text/csv"), "reset"),
    "reset-in-response": (
        "close",
        sized(b"a,b\n" + b"1,2\n" * 50_000, b"Content-Type: text/csv"),
        "read-a-bit",
        "reset",
    ),
    "vanish-after-request": ("close", sized(CSV, b"Content-Type: text/csv"), "vanish"),
}
