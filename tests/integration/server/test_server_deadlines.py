"""One deadline for upload, queue and compute: no client waits longer, and expired calls are not computed."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from support.servers.faults import WAITED, Faults, FaultyServer, order
from support.wire import Answer, Request, csv, get

TIMEOUT = 4.0
LIMITED = {"DRUM_CLIENT_REQUEST_TIMEOUT": str(TIMEOUT)}


def check_504(answer: Answer, request_id: str, timeout: str) -> None:
    assert answer.status == 504
    assert answer.json() == {"message": f"Request timeout after {timeout}s", "request_id": request_id}
    assert answer.header("X-Request-ID") == request_id
    assert answer.header("Content-Type") == "application/json"


class Probes:
    """Asks the probes all the time on a thread, and counts the answers."""

    def __init__(self, server: FaultyServer) -> None:
        self.server = server
        self.count = 0
        self.statuses: set[int] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Probes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(0.02):
            for target in ("/livez", "/ping"):
                self.statuses.add(self.server.send(get(target)).status)
                self.count += 1


@pytest.mark.parametrize("do", [pytest.param("sleep", marks=pytest.mark.slow), "gil", "stubborn"])
def test_a_hook_past_its_deadline_is_killed_with_its_worker(faults: Faults, do: str) -> None:
    """Also one that holds the GIL, and one that ignores SIGTERM. Probes are answered meanwhile."""
    server = faults.start(env={"DRUM_CLIENT_REQUEST_TIMEOUT": "5"})
    (before,) = server.workers()
    with Probes(server) as probes:
        began = time.monotonic()
        late = server.begin(order(do, 600).with_headers(("X-Request-ID", f"late-{do}")))
        server.noted_more("begins")
        asked = probes.count
        check_504(late.result(), f"late-{do}", "5")
        assert time.monotonic() - began >= 5
        assert probes.count > asked + 1  # one of which at least was sent and answered while the hook ran
        server.still_works()
    assert before not in server.workers()
    assert probes.statuses == {200}
    stats = server.stats()
    assert stats["executor_restarts"] == {"deadline": 1}
    assert stats["executor_timed_out"] == 1
    server.server.wait_output('custom.py", line ')  # where it hung


def test_a_call_that_expires_in_the_queue_is_never_dispatched(faults: Faults) -> None:
    """The hook counts its calls. The queue continues afterwards."""
    server = faults.start(env={"DRUM_CLIENT_REQUEST_TIMEOUT": "3"})
    blocked = server.begin_one("wait", 1)
    server.on_load("wait")  # no replacement is ready before all have expired
    waiting = [server.begin(order("echo", n).with_headers(("X-Request-ID", f"q-{n}"))) for n in range(5)]
    for number, future in enumerate(waiting):
        check_504(future.result(), f"q-{number}", "3")
    assert blocked.result().status == 504
    server.on_load("")
    server.settle()
    assert server.noted("scores") == 1
    server.still_works()
    assert server.noted("scores") == 2
    assert server.stats()["executor_timed_out"] == 6


def test_a_call_that_waited_for_most_of_its_time_costs_no_worker(faults: Faults) -> None:
    """It gets its 504 in time, and its worker, which does not hang, goes on."""
    server = faults.start(env={"DRUM_CLIENT_REQUEST_TIMEOUT": "8"})
    (before,) = server.workers()
    first = server.begin_one("wait", 1)
    late = server.begin(order("wait", 2).with_headers(("X-Request-ID", "late")))
    time.sleep(5.5)  # more than half of its time
    server.go(1)
    assert first.result().status == 200
    check_504(late.result(), "late", "8")
    server.go(2)
    server.still_works()
    assert server.workers() == [before]
    stats = server.stats()
    assert (stats["executor_restarts"], stats["executor_timed_out"]) == ({}, 1)


def test_other_calls_in_the_same_worker_finish(faults: Faults) -> None:
    """A call past its deadline makes its worker unhealthy; its other calls keep their own deadlines."""
    server = faults.start(env={"DRUM_FASTAPI_EXECUTOR_WORKERS": "2", "DRUM_CLIENT_REQUEST_TIMEOUT": "10"})
    server.on_load("wait")
    late = server.begin_one("sleep", 600)
    time.sleep(5)  # so that the second call has time left when the first one has none
    other = server.begin_one("wait", 1)
    assert late.result().status == 504
    states = server.stats()["executor_workers_by_state"]
    assert states == {"condemned": 1, "starting": 1}
    server.go(1)
    assert other.result().json() == {"predictions": [1.0]}
    server.on_load("")
    server.still_works()


def test_a_slow_upload_meets_the_deadline(module_faults: Faults) -> None:
    """The head and half of the body, then nothing: no worker is affected, the ticket is released."""
    server = module_faults.shared(env=LIMITED)
    workers = server.workers()
    began = time.monotonic()
    sock = server.half(csv("").with_headers(("X-Request-ID", "slow")), announce=1000)
    sock.sendall(b"a\n1\n")
    data = b""
    while not data.endswith(b"}\n"):
        more = sock.recv(65536)
        assert more, data
        data += more
    assert time.monotonic() - began >= TIMEOUT
    assert data.startswith(b"HTTP/1.1 504 ")
    assert data.endswith(b'{"message":"Request timeout after 4s","request_id":"slow"}\n')
    sock.close()
    server.still_works()
    assert server.noted("scores") == 1
    assert server.workers() == workers


def test_a_client_that_disconnects_does_not_remove_the_deadline(module_faults: Faults) -> None:
    """Its hook holds the only slot, so it is ended at the deadline for the other calls."""
    server = module_faults.shared(env=LIMITED)
    before = server.noted("begins")
    sock = server.half(order("sleep", 600))
    server.noted_more("begins", before)
    sock.close()
    server.still_works()
    assert server.stats()["executor_restarts"] == {"deadline": 1}


@pytest.mark.slow
def test_no_deadline(faults: Faults) -> None:
    server = faults.start(env={"DRUM_CLIENT_REQUEST_TIMEOUT": "0"})
    assert server.send(order("sleep", 0.1)).status == 200
    server.still_works()


def test_waiting_longer_than_the_queue_allows(faults: Faults) -> None:
    server = faults.start(env={"DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT": "1"})
    blocked = server.begin_one("wait", 1)
    began = time.monotonic()
    answer = server.send(order("echo"))
    assert time.monotonic() - began >= 1
    assert (answer.status, answer.header("Retry-After")) == (503, "10")
    assert answer.json() == {"message": WAITED, "retry_after": 10}
    server.go(1)
    assert blocked.result().status == 200
    server.still_works()
    assert server.noted("scores") == 2


@pytest.mark.slow
def test_many_deadlines_at_once(faults: Faults) -> None:
    """Every answer is a 504 or a prediction, whatever order kills and replacements come in."""
    server = faults.start(env={"DRUM_CLIENT_REQUEST_TIMEOUT": "4", "CUSTOM_MODEL_WORKERS": "2"})
    server.settle(2)
    requests: list[Request] = []
    for number in range(12):
        requests += [order("sleep", 600) if number % 3 == 0 else order("sleep", 0.05)]
    futures: list[Future[Any]] = [server.begin(request) for request in requests]
    statuses = [future.result().status for future in futures]
    assert set(statuses) <= {200, 504}
    assert [statuses[number] for number in (0, 3, 6, 9)] == [504] * 4
    server.still_works(2)
