from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from drum_litestar.errors import DeadlineExceededError
from drum_litestar.execution.streaming import PIECE, WINDOW, ChunkStream, ThreadFlow, pieces, produce
from drum_litestar.predictors.protocol import StreamHead, StreamReply
from support import clock
from support.clock import LATER, advance


class Producer:
    """Remembers what a stream asks of its producer."""

    def __init__(self) -> None:
        self.granted: list[int] = []
        self.stops = self.stuck = 0

    def stream(self, idle_timeout: float | None = None) -> ChunkStream:
        def stop() -> None:
            self.stops += 1

        def stuck() -> None:
            self.stuck += 1

        return ChunkStream(StreamHead(), grant=self.granted.append, stop=stop, stuck=stuck, idle_timeout=idle_timeout)


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_pieces_make_the_whole(size: int) -> None:
    chunk = bytes(range(256)) * (size // 256 + 1)
    parts = list(pieces(chunk[:size]))
    assert b"".join(parts) == chunk[:size]
    assert all(0 < len(part) <= PIECE for part in parts)


def test_credit_is_given_back_in_large_steps() -> None:
    async def main() -> None:
        producer = Producer()
        stream = producer.stream()
        for _ in range(8):
            stream.feed(b"x" * (WINDOW // 4))
            await stream.__aiter__().__anext__()
        assert producer.granted == [WINDOW // 2] * 4

    asyncio.run(main())


def test_an_error_comes_after_the_received_chunks() -> None:
    async def main() -> None:
        stream = Producer().stream()
        stream.feed(b"a")
        stream.finish(ValueError("broken"))
        assert await stream.__aiter__().__anext__() == b"a"
        with pytest.raises(ValueError, match="broken"):
            await stream.__aiter__().__anext__()
        assert [chunk async for chunk in stream] == []

    asyncio.run(main())


def test_closing_stops_once_and_wakes_the_reader() -> None:
    async def main() -> None:
        producer = Producer()
        stream = producer.stream()
        reader = asyncio.ensure_future(stream.__aiter__().__anext__())
        await asyncio.sleep(0)
        await stream.aclose()
        await stream.aclose()
        with pytest.raises((StopAsyncIteration, RuntimeError)):
            await reader
        stream.feed(b"late")
        assert producer.stops == 1

        over = producer.stream()
        over.ended()
        await over.aclose()
        assert producer.stops == 1

    asyncio.run(main())


def test_silence_stops_the_producer_and_then_calls_it_stuck() -> None:
    async def main() -> None:
        producer = Producer()
        stream = producer.stream(idle_timeout=LATER)
        reader = asyncio.ensure_future(stream.__aiter__().__anext__())
        await asyncio.sleep(0)
        assert producer.stops == 0
        await advance(LATER)
        with pytest.raises(DeadlineExceededError, match=r"3600s"):
            await reader
        assert (producer.stops, producer.stuck) == (1, 0)
        await advance(LATER)
        assert (producer.stops, producer.stuck) == (1, 1)

        lively = producer.stream(idle_timeout=2 * LATER)
        for _ in range(6):
            await advance(LATER)
            lively.feed(b"x")
            await lively.__aiter__().__anext__()
        lively.ended()
        assert producer.stops == 1

    clock.run(main())


class Source:
    """An iterator with a ``close`` that may fail."""

    def __init__(self, chunks: list[Any], close_error: BaseException | None = None) -> None:
        self._chunks = iter(chunks)
        self._error = close_error
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        if isinstance(chunk, BaseException):
            raise chunk
        assert isinstance(chunk, bytes)
        return chunk

    def close(self) -> None:
        self.closed += 1
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize(
    ("chunks", "close_error", "text"),
    [
        ([b"a", b"", b"b"], None, None),
        ([b"a", ValueError("mid")], None, "mid"),
        ([b"a", SystemExit(3)], None, "the hook called sys.exit(3)"),
        ([b"a"], OSError("closing"), "closing"),
        ([ValueError("mid")], OSError("closing"), "mid"),
        ([b"a", asyncio.CancelledError()], None, "the hook raised CancelledError()"),
        ([b"a"], GeneratorExit(), "the hook raised GeneratorExit()"),
        ([b"a"], SystemExit(3), "the hook called sys.exit(3)"),
    ],
)
def test_the_producer_always_closes(chunks: list[Any], close_error: BaseException | None, text: str | None) -> None:
    source = Source(chunks, close_error)
    sent: list[bytes] = []
    error = produce(StreamReply(StreamHead(), source), ThreadFlow(), sent.append)
    assert (None if error is None else str(error)) == text
    assert source.closed == 1
    assert sent == [chunk for chunk in chunks if isinstance(chunk, bytes) and chunk]


def test_the_producer_waits_for_credit_and_obeys_stop() -> None:
    flow = ThreadFlow(window=100)
    sent: list[bytes] = []
    full = threading.Event()

    def send(piece: bytes) -> None:
        sent.append(piece)
        if len(sent) in (2, 3):
            full.set()

    source = Source([b"x" * 60] * 100)
    thread = threading.Thread(target=produce, args=(StreamReply(StreamHead(), source), flow, send))
    thread.start()
    assert full.wait(60)
    full.clear()
    flow.grant(60)
    assert full.wait(60)
    flow.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert len(sent) == 3
    assert source.closed == 1
