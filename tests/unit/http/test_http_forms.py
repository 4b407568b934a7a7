"""The form reader alone: the parts do not depend on how a body is cut into chunks."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drum_litestar.errors import FormTooLargeError
from drum_litestar.execution.queue_limits import MemoryShare, QueueMemory
from drum_litestar.http.bodies import BodyStream, ClientGoneError, Spool, read_raw
from drum_litestar.http.forms import read_form
from drum_litestar.http.spool import SpoolDirectory
from drum_litestar.predictors.protocol import Payload
from drum_litestar.settings.groups.limits import UploadSettings
from http_serving import CSV, X, form

BODY = form(
    ('name="f"', b"--b1 field"),
    (X, CSV + b"\r\n--b" + b"\r\n\r\n--b2--"),
    ('name="y"; filename="y.csv"', b""),
    ('name="X.colnames"; filename="c"', b"a\r\nb"),
)


def stream_of(*chunks: bytes, end: Any = None, headers: Any = ()) -> BodyStream:
    """A body stream over prepared messages."""
    messages: list[Any] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append(end or {"type": "http.request", "body": b"", "more_body": False})
    source = iter(messages)

    async def receive() -> Any:
        return next(source)

    return BodyStream({"type": "http", "headers": list(headers)}, receive)  # type: ignore[arg-type]


def cut(body: bytes, positions: list[int]) -> list[bytes]:
    edges = [0, *sorted(position % (len(body) + 1) for position in positions), len(body)]
    return [body[start:stop] for start, stop in itertools.pairwise(edges)]


def parse(*chunks: bytes, uploads: UploadSettings | None = None) -> dict[str, Payload]:
    uploads = uploads or UploadSettings()

    async def run() -> dict[str, Payload]:
        return await read_form(
            stream_of(*chunks), Spool(SpoolDirectory(), uploads, MemoryShare(QueueMemory(10**9))), "b1", uploads
        )

    return asyncio.run(run())


WHOLE = parse(BODY)


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_cuts_do_not_matter(positions: list[int]) -> None:
    assert parse(*cut(BODY, positions)) == WHOLE


def test_every_byte_alone() -> None:
    assert parse(*[BODY[i : i + 1] for i in range(len(BODY))]) == WHOLE
    assert WHOLE["X"].data == CSV + b"\r\n--b" + b"\r\n\r\n--b2--"
    assert WHOLE["y"].size == 0


@given(st.binary(max_size=300), st.integers(0, 10_000))
def test_garbage_never_raises(garbage: bytes, position: int) -> None:
    place = position % (len(BODY) + 1)
    parts = parse(BODY[:place] + garbage + BODY[place:])
    assert set(parts) <= {"X", "y", "X.colnames"}


@given(st.integers(0, len(BODY) - 5))
def test_a_form_that_is_cut_off_has_no_parts(length: int) -> None:
    assert parse(BODY[:length]) == {}


def test_limits_hold_for_chunks_of_any_size() -> None:
    tight = UploadSettings(max_field_size=10, max_form_parts=2)
    field = form(('name="f"', b"12345678901"))
    with pytest.raises(FormTooLargeError):
        parse(field, uploads=tight)
    with pytest.raises(FormTooLargeError):
        parse(*cut(field, list(range(len(field)))), uploads=tight)
    with pytest.raises(FormTooLargeError):
        parse(form(*[('name="f"', b"1")] * 3), uploads=tight)


def test_body_stream_counts_and_notices() -> None:
    async def run() -> None:
        stream = stream_of(b"", b"ab", b"", b"c")
        assert [await stream.read(), await stream.read(), await stream.read(), await stream.read()] == [
            b"ab",
            b"c",
            b"",
            b"",
        ]
        assert stream.size == 3
        gone = stream_of(b"a", end={"type": "http.disconnect"})
        assert await gone.read() == b"a"
        with pytest.raises(ClientGoneError):
            await gone.read()
        assert stream_of(headers=[(b"content-length", b"x")]).size == 0

    asyncio.run(run())


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_raw_bodies_in_memory_and_on_disk(tmp_path: Path, pieces: int) -> None:
    data = bytes(range(250)) * 20

    async def run(threshold: int) -> Payload:
        directory = SpoolDirectory(str(tmp_path))
        spool = Spool(directory, UploadSettings(spool_threshold=threshold), MemoryShare(QueueMemory(10**9)))
        chunks = cut(data, [i * len(data) // pieces for i in range(1, pieces)])
        payload = await read_raw(stream_of(*chunks), spool, mimetype="m", charset="c")
        assert payload.read() == data
        assert (payload.size, payload.mimetype, payload.charset) == (len(data), "m", "c")
        await spool.discard()
        await spool.discard()
        assert payload.path is None or not Path(payload.path).exists()
        directory.close()
        return payload

    assert asyncio.run(run(len(data))).path is None
    assert asyncio.run(run(len(data) - 1)).path is not None
