from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from drum_litestar.console import live_feed
from drum_litestar.console.event_log import EventLog
from drum_litestar.console.live_feed import LiveFeed, LiveStream, Sample, percentiles
from drum_litestar.console.request_log import RequestLog
from http_serving import StateExecutor, card


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_feed, "INTERVAL", 0.001)


class Feed:
    def __init__(self) -> None:
        self.requests = RequestLog()
        self.feed = LiveFeed(self.requests, EventLog(show_stacktrace=False), lambda: {"queue_full": 3})
        self.executor = StateExecutor("ready", card())

    def open(self) -> LiveStream:
        return self.feed.open(self.executor)


def checked(work: Callable[[Feed], Awaitable[None]]) -> None:
    async def main() -> None:
        feed = Feed()
        before = asyncio.all_tasks()
        await work(feed)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        assert feed.requests._window is None

    asyncio.run(main())


def sample(frame: bytes) -> Sample:
    assert frame.startswith(b"data: ")
    assert frame.endswith(b"\n\n")
    return msgspec.json.decode(frame[6:], type=Sample)


async def after(stream: Any, seen: Callable[[Sample], bool]) -> Sample:
    async for frame in stream:
        found = sample(frame)
        if seen(found):
            return found
    raise AssertionError("the stream has ended")


def test_a_viewer_sees_the_state_at_once_and_then_what_happens() -> None:
    async def work(feed: Feed) -> None:
        stream = feed.open()
        frames = aiter(stream)
        first = sample(await anext(frames))
        assert (first.state, first.seconds, first.latency, first.refused) == ("ready", 0.0, (), {"queue_full": 3})
        assert first.memory.keys() == {"server"}
        assert first.memory["server"] > 1e6
        feed.requests.ended("POST", "/predict", "/predict", 500, 0.25)
        found = await after(frames, lambda each: bool(each.latency))
        assert (found.requests, found.latency, found.errors) == (1, (0.25, 0.25, 0.25), {"500": 1})
        assert found.seconds > 0
        await stream.aclose()

    checked(work)


def test_all_viewers_get_the_same_and_the_last_one_ends_the_measuring() -> None:
    async def work(feed: Feed) -> None:
        one, other = feed.open(), feed.open()
        frames, others = aiter(one), aiter(other)
        await anext(frames)
        await anext(others)
        same, too = await asyncio.gather(anext(frames), anext(others))
        assert same == too
        await one.aclose()
        assert sample(await anext(others)).state == "ready"
        await other.aclose()
        again = feed.open()
        assert sample(await anext(aiter(again))).seconds == 0.0
        await again.aclose()

    checked(work)


def test_a_stop_of_the_server_ends_the_streams() -> None:
    async def work(feed: Feed) -> None:
        stream = feed.open()
        frames = aiter(stream)
        await anext(frames)
        feed.feed.close()
        assert len([frame async for frame in frames]) <= 1
        late = feed.open()
        assert len([frame async for frame in late]) == 1

    checked(work)


def test_a_sample_that_fails_ends_all_streams_and_the_next_viewer_starts_anew() -> None:
    async def work(feed: Feed) -> None:
        one, other = feed.open(), feed.open()
        frames, others = aiter(one), aiter(other)
        await anext(frames)
        await anext(others)
        working = feed.executor
        works = working.stats
        working.stats = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        for viewer in (frames, others):
            with pytest.raises(ZeroDivisionError):
                await after(viewer, lambda _: False)
        working.stats = works  # type: ignore[method-assign]
        again = feed.open()
        assert await after(again, lambda each: each.seconds > 0)
        await again.aclose()

    checked(work)


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentiles([]) == ()
    assert percentiles([3.0]) == (3.0, 3.0, 3.0)
    assert percentiles([float(each) for each in range(100, 0, -1)]) == (50.0, 95.0, 99.0)
