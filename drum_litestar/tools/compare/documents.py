"""Parsing of bodies into values that can be compared one by one.

JSON is decoded; an event stream becomes a list of events, multipart a list of parts, other text :class:`Text`; anything
else stays bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import httpx
import msgspec

from drum_litestar.media_types import EVENT_STREAM
from drum_litestar.name_clashes import own_modules
from drum_litestar.tools.compare.messages import Answer

with own_modules():
    import multipart  # type: ignore[import-untyped]

_LINE_END: Final = re.compile(r"\r\n|\n|\r")


class Text(msgspec.Struct, frozen=True):
    """Text that is not JSON: CSV, Matrix Market, plain. Its numbers are compared as numbers."""

    text: str


def document(answer: Answer) -> Any:
    """Parse ``answer``'s body by its content type; an invalid body falls back to text, then to bytes."""
    return _read(answer.header("content-type") or "", plain_body(answer))


def plain_body(answer: Answer) -> bytes:
    """The body with its ``Content-Encoding`` decoded; unchanged when that fails."""
    encoding = answer.header("content-encoding")
    if not encoding or encoding.lower() == "identity":
        return answer.body
    try:
        return httpx.Response(200, headers={"content-encoding": encoding}, content=answer.body).content
    except httpx.DecodingError:
        return answer.body


def media_type(header: str | None) -> tuple[str, dict[str, str]]:
    """``(type/subtype in lower case, parameters)``."""
    kind, options = multipart.parse_options_header(header or "")
    return kind.lower(), options


def without_boundary(answer: Answer) -> bytes:
    """The decoded body for an exact comparison, with a constant multipart boundary in place of the random one."""
    kind, options = media_type(answer.header("content-type"))
    body = plain_body(answer)
    boundary = options.get("boundary")
    if kind.startswith("multipart/") and boundary:
        return body.replace(b"--" + boundary.encode("latin-1"), b"--BOUNDARY")
    return body


def _read(content_type: str, body: bytes) -> Any:
    kind, options = media_type(content_type)
    try:
        if kind == EVENT_STREAM:
            return list(_events(body.decode("utf-8")))
        if kind.startswith("multipart/"):
            return list(_parts(body, options.get("boundary", "")))
        if kind == "application/json" or kind.endswith("+json"):
            return _json(body)
    except (ValueError, RecursionError):  # MultipartError and UnicodeDecodeError are ValueErrors
        pass
    return _text_or_bytes(body)


def _json(body: bytes | str) -> Any:
    """Decode JSON with Python's decoder, which accepts the bare NaN and Infinity of DRUM (contract, 3.3)."""
    return json.loads(body)


def _text_or_bytes(body: bytes) -> Any:
    try:
        return Text(body.decode("utf-8"))
    except UnicodeDecodeError:
        return body


def _events(text: str) -> Iterator[dict[str, Any]]:
    """Parse server-sent events as the WHATWG specification dispatches them, with JSON data decoded.

    Comments (keep-alives) are skipped. An event without its blank line at the end of the stream is ``unfinished``.
    """
    event: dict[str, Any] = {}
    *lines, rest = _LINE_END.split(text)
    for line in (*lines, rest) if rest else lines:
        if not line:
            if event:
                yield _dispatched(event)
            event = {}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            event[name] = f"{event[name]}\n{value}" if name in event else value
        elif name in ("event", "id", "retry"):
            event[name] = value
    if event:
        yield {"unfinished": _dispatched(event)}


def _dispatched(event: dict[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    if isinstance(data, str):
        try:
            event["data"] = _json(data)
        except ValueError:
            event["data"] = Text(data)
    return event


def _parts(body: bytes, boundary: str) -> Iterator[dict[str, Any]]:
    """Each part as ``{"headers": ..., "content": ...}``. Raises ValueError for an invalid multipart body."""
    content = bytearray()
    headers: dict[str, str] = {}
    with multipart.PushMultipartParser(
        boundary, content_length=len(body), max_segment_size=len(body) + 1, max_segment_count=100_000
    ) as parser:
        for event in parser.parse(body):
            if isinstance(event, multipart.MultipartSegment):
                headers = _lower(event.headerlist)
                content = bytearray()
            elif event:
                content += event
            else:
                yield {"headers": headers, "content": _part_content(headers, bytes(content))}


def _part_content(headers: dict[str, str], content: bytes) -> Any:
    kind = headers.get("content-type", "")
    return _read(kind, content) if kind else _text_or_bytes(content)


def _lower(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}
