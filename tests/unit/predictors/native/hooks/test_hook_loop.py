"""Streams of hooks, synchronous and not, as iterators that can be closed: contract, 3.10."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from drum_litestar.predictors.native.hooks.custom_module import Hooks


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    made = Hooks()
    yield made
    made.close()


def test_iterate_sync_and_close(hooks: Hooks) -> None:
    ended: list[str] = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(3)
        finally:
            ended.append("generator")

    class Stream:
        def __iter__(self) -> Iterator[int]:
            return numbers()

        def close(self) -> None:
            ended.append("stream")

    assert list(hooks.iterate([1, 2])) == [1, 2]
    items = hooks.iterate(Stream())
    assert next(items) == 0
    items.close()
    items.close()
    assert list(items) == []
    assert ended == ["generator", "stream"]


def test_closing_a_sync_source_from_another_thread_ends_it_after_its_item(hooks: Hooks) -> None:
    computing, proceed = threading.Event(), threading.Event()
    ended: list[bool] = []

    def slow() -> Iterator[int]:
        try:
            computing.set()
            proceed.wait(60)
            yield 1
            yield 2
        finally:
            ended.append(True)

    items = hooks.iterate(slow())
    got: list[int] = []
    consumer = threading.Thread(target=lambda: got.extend(items))
    consumer.start()
    assert computing.wait(60)
    items.close()
    proceed.set()
    consumer.join(60)
    assert got == [1]
    assert ended == [True]


def test_iterate_async_runs_in_one_task_on_demand(hooks: Hooks) -> None:
    tasks: list[Any] = []
    produced: list[int] = []

    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            tasks.append(asyncio.current_task())
            produced.append(number)
            yield number

    items = hooks.iterate(numbers())
    assert next(items) == 0
    assert produced == [0]
    assert list(items) == [1, 2]
    assert len(set(tasks)) == 1
    with pytest.raises(StopIteration):
        next(items)
    items.close()


def test_iterate_async_errors(hooks: Hooks) -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        raise ValueError("mid-stream")

    items = hooks.iterate(failing())
    assert next(items) == 1
    with pytest.raises(ValueError, match="mid-stream"):
        next(items)
    with pytest.raises(StopIteration):
        next(items)


@pytest.mark.parametrize("pulled", [0, 1])
def test_closing_an_async_stream_runs_its_finally(hooks: Hooks, pulled: int) -> None:
    ended: list[str] = []

    class Stream:
        def __aiter__(self) -> AsyncIterator[int]:
            return self._chunks()

        async def _chunks(self) -> AsyncIterator[int]:
            try:
                while True:
                    yield 1
            finally:
                ended.append("generator")

        async def close(self) -> None:
            ended.append("stream")

    items = hooks.iterate(Stream())
    for _ in range(pulled):
        next(items)
    items.close()
    items.close()
    assert ended == ["generator", "stream"][1 - pulled :]


def test_closing_an_async_stream_interrupts_a_waiting_reader(hooks: Hooks) -> None:
    waiting, ended = threading.Event(), threading.Event()

    async def stuck() -> AsyncIterator[int]:
        try:
            waiting.set()
            await asyncio.Event().wait()
            yield 1
        finally:
            ended.set()

    items = hooks.iterate(stuck())
    got: list[int] = []
    reader = threading.Thread(target=lambda: got.extend(items))
    reader.start()
    assert waiting.wait(60)
    items.close()
    reader.join(60)
    assert not reader.is_alive()
    assert got == []
    assert ended.is_set()


def test_errors_of_a_streams_finally_reach_close(hooks: Hooks) -> None:
    async def dirty() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise OSError("cannot clean up")

    items = hooks.iterate(dirty())
    next(items)
    with pytest.raises(OSError, match="cannot clean up"):
        items.close()


def test_streams_end_with_their_model(hooks: Hooks) -> None:
    async def numbers() -> AsyncIterator[int]:
        while True:
            yield 1

    begun, untouched = hooks.iterate(numbers()), hooks.iterate(numbers())
    next(begun)
    hooks.close()
    for items in (begun, untouched):
        with pytest.raises(asyncio.CancelledError):  # they are not complete
            next(items)
        assert list(items) == []
        items.close()
