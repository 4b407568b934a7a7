"""Bodies and the queue's memory: a body that does not fit goes to disk, and is counted until it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.execution.queue_limits import MemoryShare, QueueMemory
from drum_litestar.http.bodies import WRITE_BLOCK, BodyStream, Sink, Spool, read_raw
from drum_litestar.http.forms import read_form
from drum_litestar.http.spool import SpoolDirectory
from drum_litestar.predictors.protocol import Payload
from drum_litestar.settings.groups.limits import UploadSettings
from http_serving import X, form


def stream_of(*chunks: bytes) -> BodyStream:
    messages: list[Any] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks[:-1]]
    source = iter([*messages, {"type": "http.request", "body": chunks[-1], "more_body": False}])

    async def receive() -> Any:
        return next(source)

    return BodyStream({"type": "http", "headers": []}, receive)  # type: ignore[arg-type]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[SpoolDirectory]:
    directory = SpoolDirectory(str(tmp_path))
    yield directory
    directory.close()


class SpooledRequest:
    """The spool of one request over a queue's memory."""

    def __init__(self, directory: SpoolDirectory, memory: QueueMemory, threshold: int = 10_000_000) -> None:
        self.share = MemoryShare(memory)
        self.spool = Spool(directory, UploadSettings(spool_threshold=threshold), self.share)

    async def end(self) -> None:
        self.share.dequeue()
        await self.spool.discard()


@pytest.mark.parametrize("chunks", [[b"x" * 100], [b"x" * 30, b"y" * 70], [b"x"] * 100], ids=["whole", "two", "bytes"])
def test_a_body_that_fits_is_counted_and_one_that_does_not_is_spooled(
    directory: SpoolDirectory, tmp_path: Path, chunks: list[bytes]
) -> None:
    async def main() -> None:
        memory = QueueMemory(150)
        first, second = SpooledRequest(directory, memory), SpooledRequest(directory, memory)
        kept = await read_raw(stream_of(*chunks), first.spool)
        assert (kept.data, memory.used) == (b"".join(chunks), 100)
        spooled = await read_raw(stream_of(*chunks), second.spool)
        assert spooled.data is None
        assert (spooled.read(), spooled.size, memory.used) == (b"".join(chunks), 100, 100)
        await first.end()
        assert memory.used == 0
        third = SpooledRequest(directory, memory)
        assert (await read_raw(stream_of(*chunks), third.spool)).data is not None
        await third.end()
        await second.end()
        assert memory.used == 0
        assert not [path for path in tmp_path.rglob("tmp*") if path.is_file()]

    asyncio.run(main())


def test_an_empty_body_needs_neither_memory_nor_disk(directory: SpoolDirectory, tmp_path: Path) -> None:
    async def main() -> None:
        request = SpooledRequest(directory, QueueMemory(0))
        assert await read_raw(stream_of(b""), request.spool) == Payload(data=b"")
        assert not list(tmp_path.iterdir())

    asyncio.run(main())


def test_parts_of_a_form_are_counted_like_bodies(directory: SpoolDirectory, tmp_path: Path) -> None:
    async def main() -> None:
        memory = QueueMemory(150)
        request = SpooledRequest(directory, memory)
        body = form((X, b"x" * 100), ('name="y"; filename="y.csv"', b"y" * 100))
        parts = await read_form(stream_of(body), request.spool, "b1", UploadSettings())
        assert parts["X"].data == b"x" * 100
        assert (parts["y"].data, parts["y"].read(), memory.used) == (None, b"y" * 100, 100)
        await request.end()
        assert memory.used == 0

    asyncio.run(main())


def test_what_a_large_body_gathers_for_the_disk_is_counted_until_it_is_written(
    directory: SpoolDirectory, tmp_path: Path
) -> None:
    async def main() -> None:
        memory = QueueMemory(2 * WRITE_BLOCK)
        request = SpooledRequest(directory, memory, threshold=10)
        sink = Sink(request.spool)
        await sink.write(b"x" * (WRITE_BLOCK - 1))
        assert memory.used == WRITE_BLOCK - 1
        await sink.write(b"x")
        assert memory.used == 0
        await sink.write(b"y" * 5)
        assert memory.used == 5
        other = MemoryShare(memory)
        assert other.reserve(memory.limit - memory.used)
        await sink.write(b"z")  # no memory is left to buffer a block: it is written at once
        assert memory.used == memory.limit - 5
        data, path = await sink.finish()
        assert data is None
        assert path is not None
        assert Path(path).read_bytes() == b"x" * WRITE_BLOCK + b"yyyyyz"
        await request.end()
        other.dequeue()
        assert memory.used == 0

    asyncio.run(main())


def test_a_request_that_ends_while_it_writes_gives_all_back_once(directory: SpoolDirectory, tmp_path: Path) -> None:
    async def main() -> None:
        memory = QueueMemory(WRITE_BLOCK)
        request = SpooledRequest(directory, memory, threshold=10)
        sink = Sink(request.spool)
        writing = asyncio.create_task(sink.write(b"x" * WRITE_BLOCK))
        await asyncio.sleep(0)
        assert memory.used == WRITE_BLOCK
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await request.end()
        assert memory.used == 0
        assert not [path for path in tmp_path.rglob("tmp*") if path.is_file()]

    asyncio.run(main())
