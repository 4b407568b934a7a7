"""A plain HTTP/1.1 client for tests: it sends what it is told and shows what came back, byte for byte.

Nothing is normalised on either side: header order, spelling and repeats are kept, bodies are only de-chunked.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

BOUNDARY = "b0undary-of-the-test-client"


@dataclass(frozen=True)
class Request:
    """One request. ``headers`` are sent as given; Host and Content-Length are added where absent."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def with_headers(self, *headers: tuple[str, str]) -> Request:
        return Request(self.method, self.target, self.headers + headers, self.body)


@dataclass(frozen=True)
class Answer:
    """What came back.

    ``complete`` is False when the connection was cut inside the body. ``status`` is 0 where the status line makes no
    sense; ``reason`` then holds that line.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool = True

    def header(self, name: str) -> str | None:
        """The first value of ``name`` (any case), or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Part:
    """One part of a multipart body; without ``filename`` it is a form field."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None

    def encode(self) -> bytes:
        disposition = f'Content-Disposition: form-data; name="{self.name}"'
        if self.filename is not None:
            disposition += f'; filename="{self.filename}"'
        lines = [disposition]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.content + b"\r\n"


def get(target: str, *headers: tuple[str, str]) -> Request:
    return Request("GET", target, headers)


def post(target: str, body: bytes | str, content_type: str | None = None, *headers: tuple[str, str]) -> Request:
    """A raw body; ``content_type`` None sends none."""
    data = body.encode() if isinstance(body, str) else body
    typed = () if content_type is None else (("Content-Type", content_type),)
    return Request("POST", target, typed + headers, data)


def post_json(target: str, value: Any, *headers: tuple[str, str]) -> Request:
    return post(target, json.dumps(value), "application/json", *headers)


def csv(body: bytes | str, target: str = "/predict/", content_type: str | None = "text/csv") -> Request:
    return post(target, body, content_type)


def form(parts: Iterable[Part], target: str = "/predict/", *, closed: bool = True) -> Request:
    """multipart/form-data; ``closed=False`` leaves the last boundary out, as a truncated upload does."""
    marker = f"--{BOUNDARY}\r\n".encode()
    body = b"".join(marker + part.encode() for part in parts)
    if closed:
        body += f"--{BOUNDARY}--\r\n".encode()
    return post(target, body, f"multipart/form-data; boundary={BOUNDARY}")


def upload(content: bytes | str, filename: str = "data.csv", target: str = "/predict/", **others: bytes) -> Request:
    """File part ``X`` and further file parts by keyword (``colnames`` is ``X.colnames``)."""
    data = content.encode() if isinstance(content, str) else content
    parts = [Part("X", data, filename, "text/csv")]
    for name, value in others.items():
        parts.append(Part("X.colnames" if name == "colnames" else name, value, f"{name}.txt", "text/plain"))
    return form(parts, target)


def send(port: int, request: Request, *, host: str = "127.0.0.1", timeout: float = 60.0) -> Answer:
    """Send ``request`` over a connection of its own and read the answer to its end."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    with contextlib.closing(connection):
        names = {name.lower() for name, _ in request.headers}
        connection.putrequest(request.method, request.target, skip_host="host" in names, skip_accept_encoding=True)
        for name, value in request.headers:
            connection.putheader(name, value.encode("latin-1"))
        if "content-length" not in names and (request.body or request.method in ("POST", "PUT")):
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body or None)
        try:
            response = connection.getresponse()
        except http.client.BadStatusLine as error:
            return Answer(0, str(error), (), b"", complete=False)
        complete = True
        try:
            body = response.read()
        except http.client.IncompleteRead as error:
            body, complete = error.partial, False
        return Answer(response.status, response.reason, tuple(response.getheaders()), body, complete)
