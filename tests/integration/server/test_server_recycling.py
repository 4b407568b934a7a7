"""Planned replacement of workers over HTTP: make-before-break, and no request fails."""

from __future__ import annotations

import threading
from collections import Counter

from support.servers.faults import Faults, FaultyServer, eventually, order
from support.wire import Request


class Load:
    """Clients that send requests continuously and count the answers by status."""

    def __init__(self, server: FaultyServer, request: Request, clients: int = 3) -> None:
        self.server = server
        self.request = request
        self.statuses: Counter[int] = Counter()
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._done.wait(0.005):
            self.statuses[self.server.send(self.request).status] += 1


def restarts(server: FaultyServer, cause: str) -> int:
    found: int = server.stats()["executor_restarts"].get(cause, 0)
    return found


def test_after_so_many_requests(faults: Faults) -> None:
    """Several generations under load, no request fails."""
    server = faults.start(env={"DRUM_UVICORN_MAX_REQUESTS": "20", "DRUM_UVICORN_MAX_REQUESTS_JITTER": "5"})
    with Load(server, order("echo")) as load:
        eventually(lambda: restarts(server, "max_requests") >= 3, "three generations", 60)
        first = server.workers()
    assert set(load.statuses) == {200}
    assert load.statuses[200] >= 45
    assert len(first) <= 2
    eventually(lambda: len(server.workers()) == 1, "the old one is gone")
    server.still_works()


def test_over_the_memory_limit(faults: Faults) -> None:
    """A hook that leaks: the worker is replaced, and the call that passed the limit is answered."""
    server = faults.start(env={"DRUM_MAX_WORKER_MEMORY_MB": "400"})
    (before,) = server.workers()
    assert server.send(order("grow", 400)).status == 200
    with Load(server, order("echo"), clients=2) as load:
        eventually(lambda: before not in server.workers(), "the large one is gone", 60)
    assert set(load.statuses) == {200}
    assert restarts(server, "memory") == 1
    server.still_works()


def test_a_replacement_that_cannot_load(faults: Faults) -> None:
    """The old worker stays in service beyond its limit."""
    server = faults.start(env={"DRUM_UVICORN_MAX_REQUESTS": "5", "DRUM_UVICORN_MAX_REQUESTS_JITTER": "0"})
    (before,) = server.workers()
    server.on_load("raise")
    for _ in range(6):
        assert server.send(order("echo")).status == 200
    server.server.wait_output("Model worker 1 is not replaced (max_requests) and goes on: ")
    for _ in range(10):
        assert server.send(order("echo")).status == 200
    assert server.workers() == [before]
    server.still_works()


def test_a_long_call_is_not_force_stopped(faults: Faults) -> None:
    """The old worker retires when its last call has ended."""
    settings = {
        "DRUM_UVICORN_MAX_REQUESTS": "2",
        "DRUM_UVICORN_MAX_REQUESTS_JITTER": "0",
        "DRUM_FASTAPI_EXECUTOR_WORKERS": "2",
    }
    server = faults.start(env=settings)
    (before,) = server.workers()
    long = server.begin_one("wait", 1)
    for _ in range(2):
        assert server.send(order("echo")).status == 200
    eventually(lambda: server.stats()["executor_workers_by_state"] == {"ready": 1, "retiring": 1}, "it retires", 30)
    assert server.send(order("echo", 3)).json() == {"predictions": [3.0]}
    assert before in server.workers()
    server.go(1)
    assert long.result().json() == {"predictions": [1.0]}
    eventually(lambda: before not in server.workers(), "the old one is gone")
    server.still_works()
