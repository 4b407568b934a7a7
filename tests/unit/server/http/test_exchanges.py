"""Whole conversations, byte for byte.

``tests/support/hostile/exchanges.json`` was recorded with the protocol before this one, which inherited from uvicorn's;
a new expectation there is a decision, not a recording.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import DrumLitestarError
from drum_litestar.execution.queue_limits import MemoryShare, QueueMemory
from drum_litestar.http.bodies import BodyStream, Spool
from drum_litestar.http.forms import read_form
from drum_litestar.http.spool import SpoolDirectory
from drum_litestar.middleware.asgi import Send
from drum_litestar.settings.groups.limits import UploadSettings
from raw_serving import Running, reply, serving
from support.hostile import exchanges
from support.hostile.exchanges import EXCHANGES, LEAVING, chunked, converse, get, post
from support.hostile.in_memory import MemoryServer

EXPECTED: dict[str, str] = json.loads(Path(exchanges.__file__).with_suffix(".json").read_text())


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving(exchanges.app, kind="clock", timeout_keep_alive=30) as server:
        yield server


def test_each_is_recorded() -> None:
    assert sorted(EXPECTED) == sorted(EXCHANGES)


@pytest.mark.parametrize("name", EXCHANGES)
def test_exchange(server: Running, name: str) -> None:
    assert converse(server, EXCHANGES[name]) == EXPECTED[name]
    assert not server.server.server_state.connections
    assert not server.server.server_state.tasks


@pytest.mark.parametrize("name", LEAVING)
def test_a_client_that_is_gone_leaves_nothing(server: Running, name: str, caplog: pytest.LogCaptureFixture) -> None:
    converse(server, LEAVING[name])
    state = server.server.server_state
    while server.on_loop(lambda: len(state.connections) + len(state.tasks)):
        pass
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert converse(server, EXCHANGES["two-gets"]) == EXPECTED["two-gets"]


FORM = (
    b'--b0\r\nContent-Disposition: form-data; name="X"; filename="x.csv"\r\n\r\na,b\r\n--b\r\n1,2\r\n'
    b'--b0\r\nContent-Disposition: form-data; name="y"; filename="y"\r\n\r\n\r\n--b0--\r\n'
)


async def app(scope: Any, receive: Any, send: Send) -> None:
    """The conversations' app, and a reader of forms."""
    if scope["path"] != "/form":
        await exchanges.app(scope, receive, send)
        return
    limits = UploadSettings()
    spool = Spool(SpoolDirectory(), limits, MemoryShare(QueueMemory(10**9)))
    try:
        parts = await read_form(BodyStream(scope, receive), spool, "b0", limits)
    except DrumLitestarError:
        return
    await reply(send, repr([(name, part.filename, part.data) for name, part in parts.items()]).encode())


SPLIT = {
    "head": get("/seen?a=b", "X-A: \t a b \t", "x-b:", "Connection: keep-alive") + get("/2"),
    "head-with-offer": post("/1", b"abc", *exchanges.OFFER) + get("/2"),
    "head-of-1.0": post("/seen", b"abc", version="1.0"),
    "broken-head": get("/1") + exchanges.BROKEN,
    "chunks": chunked("/seen", b"abc", b"d" * 17, end=b"0;e=f\r\nX-T: 1\r\n\r\n") + get("/2"),
    "broken-chunk": chunked("/1", b"abc", end=b"2\r\nabc\r\n"),
    "form": post("/form", FORM, "Content-Type: multipart/form-data; boundary=b0") + get("/2"),
    "form-in-chunks": chunked("/form", FORM[:100], FORM[100:]),
    "mix": get("/stream") + post("/2", b"xyz") + get("/3", method="HEAD") + chunked("/4", b"a"),
}


@pytest.mark.parametrize("name", SPLIT)
def test_a_split_at_any_byte_changes_nothing(name: str) -> None:
    data = SPLIT[name]
    with MemoryServer(app) as server:
        whole = server.say(data)
        assert whole.startswith(b"HTTP/1.1 ")
        for position in range(1, len(data)):
            assert server.say(data[:position], data[position:]) == whole, data[:position]
        assert server.say(*(bytes([byte]) for byte in data)) == whole
        assert server.problems == []
    if name.startswith("form"):
        assert b"('X', 'x.csv', b'a,b\\r\\n--b\\r\\n1,2'), ('y', 'y', b'')" in whole


@pytest.mark.parametrize(
    "before",
    [get("/1"), post("/1", b"a" * 300), chunked("/1", b"abc", end=b"0\r\nX-T: 1\r\n\r\n"), get("/1", *exchanges.OFFER)],
    ids=["get", "post", "chunks", "offer"],
)
def test_a_split_hides_no_part_of_a_head_from_its_limit(before: bytes) -> None:
    """Also of one that begins in the piece in which the message before it ends."""
    with MemoryServer(exchanges.app, max_head_size=400) as server:
        for length, status in ((200, b"200"), (480, b"431")):
            data = before + get("/2", f"a: {'b' * length}")
            for position in range(1, len(data)):
                first, second = server.say(data[:position], data[position:]).split(b"HTTP/1.1 ")[1:]
                assert (first[:3], second[:3]) == (b"200", status), data[:position]


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_each_loop_says_the_same(kind: str) -> None:
    """Those that need no time limit, on real loops."""
    with serving(exchanges.app, kind=kind) as server:
        for name, steps in EXCHANGES.items():
            wanted = EXPECTED[name].removesuffix("[end]")
            if "connection: close" in wanted and all(isinstance(step, bytes) for step in steps):
                with server.connect() as client:
                    for step in steps:
                        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), server.loop).result(60)
                        client.send(step)  # type: ignore[arg-type]
                    client.closed()
                lines = client.buffer.decode("latin-1").split("\r\n")
                said = "\n".join(line for line in lines if not line.startswith("date: "))
                assert said.strip() == wanted.strip(), name
