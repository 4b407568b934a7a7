"""Micro-batching from outside: by default and on request, the same bytes, a metric."""

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


def passengers() -> list[bytes]:
    """Requests of one to three rows with text, quotes and blanks; one has a column too few."""
    rows = ['1.5,2.25,"Doe, ""J"".",male,S', "3,,x,female,", ',7,"two\nlines",male,Q', "nan,1e3,,alien,C"]
    texts = [
        "age,fare,name,sex,port\n" + "".join(f"{rows[(number + row) % 4]}\n" for row in range(number % 3 + 1))
        for number in range(60)
    ]
    texts[7] = "age,name,sex,port\n1,x,male,S\n"
    return [text.encode() for text in texts]


@pytest.mark.parametrize(
    ("rows", "folder", "requests"),
    [
        (None, "mixed", passengers()),
        ("1", "regression_two", bodies()),
        pytest.param(None, "regression_two", bodies(), marks=pytest.mark.slow),
        pytest.param("1", "mixed", passengers(), marks=pytest.mark.slow),
    ],
)
def test_requests_that_wait_share_a_call_by_default(
    serve: Callable[..., ServerProcess], folder: str, requests: list[bytes], rows: str | None
) -> None:
    server = serve(folder, env={"DRUM_BATCH_MAX_ROWS": rows} if rows else {})
    singly = [server.send(csv(body)) for body in requests]
    assert batch_count(server) == 0  # nothing waits
    with ThreadPoolExecutor(20) as clients:
        together = list(clients.map(server.send, map(csv, requests)))
    assert [(answer.status, answer.body) for answer in together] == [(answer.status, answer.body) for answer in singly]
    assert {answer.status for answer in together} != {200}
    assert (batch_count(server) > 0) is (rows is None)
