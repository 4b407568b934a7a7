"""Corpus of requests on disk: recorded JSONL, read and written here, or a folder (:mod:`.request_folder`).

One line is one request::

    {"method":"POST","target":"/predict/","headers":[["Content-Type","text/csv"]],"body":"x0,x1\\n1,2\\n","id":"a-1"}

A body that is not UTF-8 is in ``body_base64`` instead of ``body``. Only ``target`` is required; the default of
``method`` is POST with a body and GET without.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import msgspec

from drum_litestar.errors import UsageError
from drum_litestar.tools.compare.messages import Headers, Request
from drum_litestar.tools.compare.request_folder import read_folder


class RecordedRequest(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """One line of a recorded corpus."""

    target: str
    method: str | None = None
    headers: Headers = ()
    body: str | None = None
    body_base64: str | None = None
    id: str | None = None


def read_corpus(path: Path) -> list[Request]:
    """Read all requests of a JSONL file or a folder, in order.

    Raises:
        UsageError: it is missing, empty or invalid; the message has the file, the line and the remedy.
    """
    if path.is_dir():
        requests = list(read_folder(path))
    elif path.exists():
        requests = list(_read_jsonl(path))
    else:
        raise UsageError(
            f"--corpus {path}: no such file or folder. Record one with --record {path}, or correct the path."
        )
    if not requests:
        raise UsageError(
            f"--corpus {path}: holds no request. Record some with --record OUT.jsonl, or put request bodies into "
            f"folders named like their routes, for example {path}/predict/one.csv."
        )
    return requests


def encode_line(request: Request) -> bytes:
    """Encode ``request`` as one line of JSONL, line end included."""
    text: str | None = None
    packed: str | None = None
    if request.body:
        try:
            text = request.body.decode("utf-8")
        except UnicodeDecodeError:
            packed = base64.b64encode(request.body).decode("ascii")
    line = RecordedRequest(request.target, request.method, request.headers, text, packed, request.id)
    return msgspec.json.encode(line) + b"\n"


def _read_jsonl(path: Path) -> Iterator[Request]:
    decoder = msgspec.json.Decoder(RecordedRequest)
    try:
        with path.open("rb") as lines:
            for number, text in enumerate(lines, start=1):
                if text.strip():
                    yield _request(path, number, text, decoder)
    except OSError as error:
        raise UsageError(f"--corpus {path}: cannot be read: {error.strerror or error}.") from error


def _request(path: Path, number: int, text: bytes, decoder: msgspec.json.Decoder[RecordedRequest]) -> Request:
    try:
        line = decoder.decode(text)
        if line.body is not None and line.body_base64 is not None:
            raise ValueError("has both 'body' and 'body_base64'")
        if not line.target.startswith("/"):
            raise ValueError(f"target '{line.target}' does not start with a slash")
        body = (line.body or "").encode()
        if line.body_base64 is not None:
            body = base64.b64decode(line.body_base64, validate=True)
    except (ValueError, UnicodeDecodeError) as error:  # msgspec's errors and binascii.Error are ValueErrors
        raise UsageError(
            f"--corpus {path}, line {number}: not a recorded request: {error}. "
            "Correct or delete that line, or record the corpus again with --record."
        ) from error
    method = (line.method or ("POST" if body else "GET")).upper()
    return Request(line.id or f"line-{number}", method, line.target, line.headers, body)
