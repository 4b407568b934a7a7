"""Byte-for-byte comparison of two answers, but for the table of deliberate differences."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from parity.differences import DIFFERENCES, Pair, allowed
from support.servers.process import ServerProcess
from support.wire import Answer, Request

REQUEST_ID = "parity-1"
SEEN = ("content-type", "x-drum-user-http-error", "x_request_id", "x-drum-version", "content-disposition", "location")
BOUNDARY = re.compile(rb"boundary=([0-9a-f]{32})")
UUID4 = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ADDRESS = re.compile(rb" at 0x[0-9a-f]+")


@dataclass
class Counters:
    """What a run has compared, by the differences it met."""

    requests: int = 0
    equal: int = 0
    topics: dict[str, int] = field(default_factory=dict)


def settled(answer: Answer) -> tuple[int, dict[str, str | None], bytes]:
    """Status, headers that clients see, and body, with what is random by design made equal."""
    body, content_type = answer.body, answer.header("content-type") or ""
    match = BOUNDARY.search(content_type.encode())
    if match:
        body = body.replace(match[1], b"BOUNDARY")
        content_type = content_type.replace(match[1].decode(), "BOUNDARY")
    body = ADDRESS.sub(b" at 0xADDRESS", UUID4.sub(b"UUID4", body))
    headers = {name: answer.header(name) for name in SEEN}
    headers["content-type"] = content_type
    headers["allow"] = ",".join(sorted(allowed(answer)))
    return answer.status, headers, body


def ask_drum(server: ServerProcess, request: Request) -> Answer:
    """DRUM's answer; a 308 is followed, because ours answers both spellings (section 8, trailing slash)."""
    answer = server.send(request)
    if answer.status != 308:
        return answer
    place = urlsplit(answer.header("location") or "")
    target = place.path + (f"?{place.query}" if place.query else "")
    return server.send(Request(request.method, target, request.headers, request.body))


def marked(request: Request) -> Request:
    """``request`` with an id, so that answers which name it can be compared."""
    if any(name.lower() == "x-request-id" for name, _ in request.headers):
        return request
    return request.with_headers(("X-Request-ID", REQUEST_ID))


def compare(
    drum: ServerProcess, ours: ServerProcess, request: Request, target_type: str, counters: Counters
) -> str | None:
    """None when the answers agree or differ as decided; else a text that shows both."""
    return compare_answers(ask_drum(drum, marked(request)), ours, request, target_type, counters)


def compare_answers(
    theirs: Answer, ours: ServerProcess, request: Request, target_type: str, counters: Counters
) -> str | None:
    """The same, with DRUM's answer to the :func:`marked` request at hand."""
    mine = ours.send(marked(request))
    counters.requests += 1
    if settled(theirs) == settled(mine):
        counters.equal += 1
        return None
    pair = Pair(marked(request), target_type, theirs, mine)
    topics = [entry for entry in DIFFERENCES if entry.applies(pair)]
    for entry in topics:
        if entry.holds(pair):
            counters.topics[entry.topic] = counters.topics.get(entry.topic, 0) + 1
            return None
    expected = f" (as {topics[0].topic}, {topics[0].why})" if topics else ""
    return (
        f"{request.method} {request.target} {dict(request.headers)} {request.body[:300]!r}\n"
        f"  DRUM {show(theirs)}\n  ours {show(mine)}{expected}"
    )


def show(answer: Answer) -> str:
    status, headers, body = settled(answer)
    return f"{status} { {name: value for name, value in headers.items() if value} } {body[:700]!r}"
