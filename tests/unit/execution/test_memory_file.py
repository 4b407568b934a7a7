"""Large frames travel to a worker in memory files, whose descriptors are closed on both sides whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.execution.pool import memory_file, wire
from drum_litestar.execution.pool.channel import Channel
from drum_litestar.execution.pool.worker_connection import Connection
from drum_litestar.predictors.protocol import ModelCall, Payload

LARGE = memory_file.SMALLEST + 1


def call(number: int, size: int) -> ModelCall:
    """With a payload of random bytes, and a small one after it."""
    data = os.urandom(size)
    y = Payload(data=b"y" * number, size=number)
    return ModelCall(kind="predict", request_id=str(number), x=Payload(data=data, size=size), y=y)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextlib.contextmanager
def no_descriptor_is_left() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


def received(sock: socket.socket, count: int) -> list[ModelCall]:
    """What a worker makes of the first ``count`` frames."""
    connection = Connection(sock)
    calls: list[ModelCall] = []
    while len(calls) < count and (parts := connection.receive()) is not None:
        message, body = parts
        assert isinstance(message, wire.Call)
        calls.append(wire.fill(message.call, body))
    return calls


def through_a_socket(calls: list[ModelCall]) -> list[ModelCall]:
    """The calls as they arrive, sent at once to a worker that begins to read when all are sent."""

    async def main() -> list[ModelCall]:
        ours, theirs = socket.socketpair()
        channel = Channel(asyncio.get_running_loop(), ours, lambda *_: None, lambda: None)
        for number, each in enumerate(calls):
            channel.send(wire.call_frame(number, each))
        arrived = await asyncio.to_thread(received, theirs, len(calls))
        channel.close()
        theirs.close()
        return arrived

    return asyncio.run(main())


@pytest.mark.parametrize("size", [LARGE, 3_000_000, memory_file.LARGEST - 200])
def test_a_large_payload_arrives(size: int) -> None:
    sent = [call(3, size)]
    with no_descriptor_is_left():
        assert through_a_socket(sent) == sent


def test_small_and_large_ones_arrive_in_order_though_the_socket_is_full() -> None:
    sizes = [10, LARGE, 60_000, 60_000, 60_000, 60_000, 60_000, LARGE + 5, memory_file.LARGEST + 1, 500_000, 1, 100_000]
    sent = [call(number, size) for number, size in enumerate(sizes * 3)]
    with no_descriptor_is_left():
        assert through_a_socket(sent) == sent


def large_frame() -> list[bytes]:
    return wire.call_frame(1, call(1, LARGE))


@pytest.mark.parametrize("size", [memory_file.SMALLEST - 200, memory_file.LARGEST + 1])
def test_others_go_through_the_socket(size: int) -> None:
    assert memory_file.with_frame(wire.call_frame(1, call(1, size))) is None


def no_memory_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_file, "AVAILABLE", False)


def no_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse)


def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", refuse)


@pytest.mark.parametrize("without", [no_memory_files, no_descriptors, no_memory])
def test_without_memory_files_all_goes_through_the_socket(
    monkeypatch: pytest.MonkeyPatch, without: Callable[[pytest.MonkeyPatch], None]
) -> None:
    sent = [call(1, LARGE), call(2, 10)]
    with no_descriptor_is_left():
        with monkeypatch.context() as patch:
            without(patch)
            assert memory_file.with_frame(large_frame()) is None
        # The socket itself needs descriptors and files, so only the creation of memory files is off.
        monkeypatch.setattr(memory_file, "AVAILABLE", False)
        assert through_a_socket(sent) == sent


@contextlib.contextmanager
def one_descriptor_free() -> Iterator[None]:
    """This process can have one more, and no other."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        os.close(taken[0])
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in taken:
            os.close(each)  # the first number is that of the descriptor that was received


def test_a_worker_without_descriptors_says_so() -> None:
    """It must not take the file of another call."""
    ours, theirs = socket.socketpair()
    file = memory_file.with_frame(large_frame())
    assert file is not None
    ours.sendmsg(wire.frame(wire.InMemoryFile()), memory_file.ancillary([file] * 4))
    connection = Connection(theirs)
    with no_descriptor_is_left(), pytest.raises(OSError, match="leave files open"), one_descriptor_free():
        connection.receive()
    os.close(file)
    ours.close()
    theirs.close()


@pytest.mark.parametrize("full", [False, True], ids=["sent", "waiting"])
def test_a_worker_that_dies_leaves_nothing(full: bool) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        channel = Channel(asyncio.get_running_loop(), ours, lambda *_: None, lambda: None)
        if full:
            channel.send(wire.call_frame(0, call(0, memory_file.LARGEST + 1)))
        for number in range(1, 40):
            channel.send(wire.call_frame(number, call(number, LARGE)))
        theirs.close()
        channel.send(wire.call_frame(99, call(99, LARGE)))
        channel.close()
        channel.send(wire.call_frame(100, call(100, LARGE)))

    asyncio.run(main())  # the loop itself keeps what it has opened
    with no_descriptor_is_left():
        asyncio.run(main())


def test_more_waiting_descriptors_than_one_message_takes() -> None:
    sent = [call(0, memory_file.LARGEST + 1), *(call(number, LARGE) for number in range(1, 100))]
    with no_descriptor_is_left():
        assert through_a_socket(sent) == sent


def test_a_batch_arrives() -> None:
    calls = [call(number, 30_000) for number in range(20)]
    ours, theirs = socket.socketpair()

    async def main() -> None:
        channel = Channel(asyncio.get_running_loop(), ours, lambda *_: None, lambda: None)
        channel.send(wire.frame(wire.Batch(7, calls)))
        found = Connection(theirs).receive()
        assert found is not None
        assert found[0] == wire.Batch(7, calls)
        channel.close()
        theirs.close()

    asyncio.run(main())


def test_the_memory_is_gone_with_its_reader() -> None:
    buffers = large_frame()
    file = memory_file.with_frame(buffers)
    assert file is not None
    meta, body = memory_file.frame(file)
    assert b"".join(buffers)[wire.PREFIX.size :] == meta + body
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)
