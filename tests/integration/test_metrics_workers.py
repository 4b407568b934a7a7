"""``/metrics`` of three workers under load, one of which is killed. With ``-s`` the exposition is printed."""

from __future__ import annotations

import collections
import concurrent.futures
import re
import threading
from collections.abc import Callable

import psutil
import pytest

from support.data import csv_of, table
from support.faults import eventually
from support.process import ServerProcess
from support.wire import csv, get

WORKERS = 3
CLIENTS = 12
AFTER = 150
"""Answers of each client after the death."""


def samples(server: ServerProcess) -> dict[str, float]:
    """Value by name and labels."""
    text = server.send(get("/metrics")).body.decode()
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {key: float(value) for key, _, value in (line.rpartition(" ") for line in lines)}


def workers(server: ServerProcess) -> list[psutil.Process]:
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if "pool.worker" in " ".join(child.cmdline())]


@pytest.mark.timeout(180)
def test_metrics_are_right_when_a_worker_is_killed(serve: Callable[..., ServerProcess]) -> None:
    server = serve("regression", arguments=["--max-workers", str(WORKERS)])
    stats = lambda: server.send(get("/stats/")).json()  # noqa: E731
    eventually(lambda: stats()["executor_workers_by_state"] == {"ready": WORKERS}, "all workers are ready")
    request = csv(csv_of(table(3, seed=5)))
    answers: collections.Counter[int] = collections.Counter()
    lock, killed = threading.Lock(), threading.Event()

    def client() -> None:
        left = AFTER
        while left:
            status = server.send(request).status
            with lock:
                answers[status] += 1
            left -= killed.is_set()

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(client) for _ in range(CLIENTS)]
        eventually(lambda: sum(answers.values()) > 100, "load")
        during = samples(server)
        workers(server)[0].kill()
        killed.set()
        for each in running:
            each.result()
    eventually(lambda: stats()["executor_workers_by_state"] == {"ready": WORKERS}, "the worker is replaced")
    found = samples(server)
    print(server.send(get("/metrics")).body.decode())
    counted = {
        int(match[1]): int(value)
        for key, value in found.items()
        if (match := re.fullmatch(r'drum_requests_total\{endpoint="/predict",method="POST",status="(\d+)"\}', key))
    }
    assert counted == dict(answers)
    assert set(counted) <= {200, 503}
    assert counted.get(503, 0) <= CLIENTS  # what was in its hands, and no more
    assert found['drum_request_duration_seconds_count{endpoint="/predict",method="POST"}'] == sum(counted.values())
    restarts = {key: value for key, value in found.items() if key.startswith("drum_worker_restarts_total")}
    assert list(restarts.values()) == [1.0]
    assert found["drum_predictions_in_progress"] == found["drum_executor_queue_depth"] == 0
    assert during["drum_predictions_in_progress"] <= CLIENTS
    assert {f'drum_memory_bytes{{process="worker-{number}",type="rss"}}' for number in range(1, WORKERS + 1)} <= set(
        found
    )
