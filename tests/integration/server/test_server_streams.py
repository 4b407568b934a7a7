"""Streams of a real server: slow clients, disconnects, dead workers, deadlines, shutdown."""

from __future__ import annotations

import signal
import socket
import time

import psutil
import pytest

from support.servers.faults import Faults, FaultyServer, chat, eventually
from support.wire import Answer

KINDS = ("faults", "faults_text")
"""One call at a time on the worker's main thread; four on threads of their own."""
ONE_BY_DEFAULT = (pytest.param("faults", marks=pytest.mark.slow), "faults_text")
"""For what depends little on the thread."""
MEBIBYTE = 1024 * 1024


def events(answer: Answer | bytes) -> list[bytes]:
    body = answer if isinstance(answer, bytes) else answer.body
    return [event.removeprefix(b"data: ") for event in body.split(b"\n\n") if event]


def read_until(sock: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        more = sock.recv(65536)
        assert more, data
        data += more
    return data


def begin_stream(server: FaultyServer, **fields: object) -> socket.socket:
    """Begin a stream and wait for its first chunk."""
    sock = server.half(chat(**fields))
    head = read_until(sock, b"data: ")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"text/event-stream" in head
    return sock


@pytest.mark.parametrize("kind", ONE_BY_DEFAULT)
def test_a_whole_stream(module_faults: Faults, kind: str) -> None:
    server = module_faults.shared(kind)
    answer = server.send(chat(count=50, size=20_000))
    found = events(answer)
    assert answer.complete
    assert (len(found), found[-1]) == (51, b"[DONE]")
    assert server.noted("finally") == 1
    server.still_works()


@pytest.mark.parametrize("kind", ONE_BY_DEFAULT)
def test_a_slow_client_holds_a_bounded_amount_of_memory(module_faults: Faults, kind: str) -> None:
    """400 MB for a client that does not read: the generator waits, both processes stay small, probes are quick."""
    server = module_faults.shared(kind)
    server.still_works()
    processes = [psutil.Process(server.pid), *map(psutil.Process, server.workers())]
    before = [process.memory_info().rss for process in processes]
    sock = begin_stream(server, count=4000, size=100_000)

    def progress() -> tuple[int, int]:
        first = server.noted("chunks")
        time.sleep(0.7)
        return first, server.noted("chunks")

    eventually(lambda: len(set(progress())) == 1, "the generator waits")
    assert server.noted("chunks") < 200
    growth = [(process.memory_info().rss - old) / MEBIBYTE for process, old in zip(processes, before, strict=True)]
    print(f"growth with a stalled reader: {growth[0]:.1f} MiB HTTP process, {growth[1]:.1f} MiB worker")
    assert max(growth) < 20
    assert server.noted("finally") == 0
    more = 0
    while more < 5 * MEBIBYTE:  # it continues where it stopped
        more += len(sock.recv(MEBIBYTE))
    sock.close()
    server.noted_more("finally")
    server.still_works()
    assert server.noted("chunks") < 400


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_disconnects_stops_the_generator(module_faults: Faults, kind: str) -> None:
    server = module_faults.shared(kind)
    workers = server.workers()
    for number in range(3):
        sock = begin_stream(server, count=100_000, every=0.01)
        sock.close()
        server.noted_more("finally", number)
        server.still_works()
    assert server.workers() == workers  # the same one all the time


@pytest.mark.parametrize("kind", ONE_BY_DEFAULT)
def test_a_worker_that_dies_in_mid_stream(module_faults: Faults, kind: str) -> None:
    """The client sees an error event and no ``[DONE]`` (contract, Q-16)."""
    server = module_faults.shared(kind)
    before = server.stats()["executor_restarts"].get("died", 0)
    answer = server.send(chat(count=10, die=4))
    found = events(answer)
    assert answer.status == 200
    assert len(found) == 5
    assert b"terminated unexpectedly" in found[-1]
    assert b'"code":503' in found[-1]
    server.still_works()
    assert server.stats()["executor_restarts"] == {"died": before + 1}


def test_the_deadline_does_not_cut_a_stream_that_has_begun(faults: Faults) -> None:
    server = faults.start(env={"DRUM_CLIENT_REQUEST_TIMEOUT": "2"})
    answer = server.send(chat(count=8, every=0.5))
    assert len(events(answer)) == 9
    assert server.stats()["executor_timed_out"] == 0
    server.still_works()


@pytest.mark.parametrize("kind", ONE_BY_DEFAULT)
def test_a_stream_without_a_new_chunk_ends_at_its_own_timeout(faults: Faults, kind: str) -> None:
    server = faults.start(kind, env={"DRUM_STREAM_IDLE_TIMEOUT": "3"})
    found = events(server.send(chat(count=2, every=600)))
    assert len(found) == 2
    assert b"timeout" in found[-1].lower()
    server.still_works()


def stopped(server: FaultyServer, signals: int = 1) -> int:
    """Its exit code after SIGTERM; a second one is sent when the first has been heard."""
    for _ in range(signals):
        server.server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not server.listens(), "the stop has begun")
    return server.server.wait_exit()


@pytest.mark.parametrize("kind", ONE_BY_DEFAULT)
def test_shutdown_lets_a_stream_end(module_faults: Faults, kind: str) -> None:
    server = module_faults.shared(kind)
    future = server.begin(chat(count=10, every=0.2))
    server.noted_more("chunks", 1)
    assert stopped(server) == 0
    assert events(future.result())[-1] == b"[DONE]"
    assert server.noted("finally") == 1


@pytest.mark.parametrize(
    ("every", "kind"),
    [
        (0.01, "faults_text"),
        (600, "faults"),
        pytest.param(0.01, "faults", marks=pytest.mark.slow),
        pytest.param(600, "faults_text", marks=pytest.mark.slow),
    ],
)
def test_shutdown_closes_the_generator_of_an_endless_stream(faults: Faults, kind: str, every: float) -> None:
    """At the end of the grace period, whether the generator yields continuously or blocks in the hook's code."""
    server = faults.start(kind, env={"DRUM_UVICORN_GRACEFUL_TIMEOUT": "1"})
    begin_stream(server, count=100_000, every=every)
    assert stopped(server) == 0
    if kind == "faults" or every < 1:  # a thread inside of foreign code cannot be reached
        assert server.noted("finally") == 1


@pytest.mark.parametrize("kind", ONE_BY_DEFAULT)
def test_a_second_signal_closes_generators_too(module_faults: Faults, kind: str) -> None:
    server = module_faults.shared(kind)
    begin_stream(server, count=100_000, every=0.01)
    assert stopped(server, 2) == 130
    assert server.noted("finally") == 1
