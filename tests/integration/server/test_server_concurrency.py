"""Default number of concurrent calls in a worker: by the model's target, and by its hooks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import Start
from drum_litestar.execution.pool.model_worker import LOST
from support.servers.faults import Faults, eventually, order
from support.servers.process import ServerProcess
from support.wire import Answer, Request, get

GEVENT = {"DRUM_GUNICORN_WORKER_CLASS": "gevent"}
EXECUTORS = pytest.mark.parametrize("executor", ["pool", "inline"])


def post(text: bytes) -> Request:
    return Request("POST", "/predictUnstructured/", (("Content-Type", "text/plain"),), text)


def meet(server: ServerProcess, number: int) -> list[Answer]:
    """Return the answers of ``number`` calls, none of which ends before all have begun."""
    call = post(b"meet %d" % number)
    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(server.send, [call] * number))


@EXECUTORS
def test_calls_of_asynchronous_hooks_overlap(serve: Start, executor: str) -> None:
    server = serve("async_unstructured", executor=executor)
    assert server.send(get("/stats/")).json()["executor_slots"] == 256
    answers = meet(server, 100)
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"the model: meet 100")}


def test_a_call_that_the_worker_cannot_receive_fails_at_once(serve: Start) -> None:
    """The loop that reads the socket goes on after an error; the call would wait for ever."""
    server = serve("async_unstructured", env={"CUSTOM_MODEL_WORKERS": "1"})
    assert server.send(post(b"exhaust")).status == 200
    large = server.send(post(b"x" * 5_000_000))  # its body comes with a descriptor
    assert (large.status, large.json()["message"]) == (503, LOST)
    eventually(lambda: server.send(get("/readyz")).status == 200, "another worker is ready")
    assert server.send(post(b"x")).status == 200


def test_gunicorns_parameters_never_lower_a_default(serve: Start) -> None:
    server = serve("async_unstructured", env={**GEVENT, "DRUM_WORKER_CONNECTIONS": "3"})
    assert server.send(get("/stats/")).json()["executor_slots"] == 256


def test_the_operators_setting_has_precedence(serve: Start) -> None:
    server = serve("async_unstructured", env={"DRUM_FASTAPI_EXECUTOR_WORKERS": "2", "CUSTOM_MODEL_WORKERS": "2"})
    assert server.send(get("/stats/")).json()["executor_slots"] == 4


@pytest.mark.parametrize(
    ("name", "settings", "slots"),
    [
        ("faults", {}, 1),
        ("faults_text", {}, 8),
        ("faults", GEVENT, 5),
        ("faults", {**GEVENT, "DRUM_WORKER_CONNECTIONS": "3"}, 3),
        ("faults", {**GEVENT, "DRUM_FASTAPI_EXECUTOR_WORKERS": "2"}, 2),
        pytest.param("faults_text", GEVENT, 8, marks=pytest.mark.slow),
        pytest.param("faults_text", {**GEVENT, "DRUM_WORKER_CONNECTIONS": "10"}, 10, marks=pytest.mark.slow),
        pytest.param("faults", {**GEVENT, "DRUM_MAX_CONCURRENT_REQUESTS": "4"}, 4, marks=pytest.mark.slow),
    ],
)
def test_calls_of_synchronous_hooks_that_overlap(
    faults: Faults, name: str, settings: dict[str, str], slots: int
) -> None:
    """By the target's default, and by what the operator of a gunicorn has set."""
    server = faults.start(name, env={"DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "100", **settings})
    calls = [server.begin(order("wait", 1)) for _ in range(slots + 3)]
    eventually(lambda: server.noted("begins") == slots, "all slots compute")
    eventually(lambda: server.stats()["executor_queue_depth"] == 3, "the others wait")
    stats = server.stats()
    assert (stats["executor_in_flight"], stats["executor_slots"], server.noted("begins")) == (slots, slots, slots)
    server.go(1)
    for call in calls:
        call.result()
    server.settle()
