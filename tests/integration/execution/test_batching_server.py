"""Micro-batching from outside: two settings, the same bytes, a metric."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.servers.process import ServerProcess
from support.wire import csv, get


def bodies() -> list[bytes]:
    """Requests of one to three rows; two of them cannot be read."""
    texts = ["a,b\n" + "".join(f"{number}.5,{row}.25\n" for row in range(number % 3 + 1)) for number in range(60)]
    texts[7] = "a,b\n1,2\n1,2,3,4\n"
    texts[31] = "a,b\nx,y\n"
    return [text.encode() for text in texts]


def batch_count(server: ServerProcess) -> float:
    found = re.search(rb"^drum_batch_rows_count(?:\{[^}]*\})? ([0-9.]+)", server.send(get("/metrics")).body, re.M)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("executor", ["pool", "inline"])
def test_the_same_bytes_in_fewer_calls(serve: Callable[..., ServerProcess], executor: str) -> None:
    settings = {"DRUM_BATCH_MAX_ROWS": "64", "DRUM_BATCH_MAX_WAIT_MS": "50"}
    server = serve("regression_two", executor=executor, env=settings)
    requests = [csv(body) for body in bodies()]
    singly = [server.send(request) for request in requests]
    before = batch_count(server)
    with ThreadPoolExecutor(20) as clients:
        batched = list(clients.map(server.send, requests))
    assert [(answer.status, answer.body) for answer in batched] == [(answer.status, answer.body) for answer in singly]
    assert {answer.status for answer in batched} != {200}
    assert batch_count(server) > before
    stats = server.send(get("/stats/")).json()
    assert stats["executor_completed"] == 2 * len(requests)
    assert stats["executor_in_flight"] == stats["executor_pending"] == 0
