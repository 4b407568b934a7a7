"""Faults of model workers by user code, operators and the kernel, over HTTP to a real server."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from support.servers.faults import DIED, Faults, eventually, message, order
from support.wire import csv, get

DEATHS = {
    "kill": "signal SIGKILL",
    "segfault": "signal SIGSEGV",
    "exit": "exit code 3",
}


def test_a_workers_death_fails_only_its_own_request(module_faults: Faults) -> None:
    """kill -9, a segmentation fault and ``os._exit`` in a hook: 503 at once, the cause in the log, a new worker."""
    server = module_faults.shared()
    before = server.stats()["executor_restarts"].get("died", 0)
    for do, cause in DEATHS.items():
        answer = server.send(order(do, 3))
        assert (answer.status, answer.json()) == (503, DIED)
        assert server.send(get("/livez")).status == 200
        server.still_works()
        eventually(lambda cause=cause: f"died: {cause}" in server.server.output(), f"{cause} in the log")  # type: ignore[misc]
    assert "Fatal Python error: Segmentation fault" in server.server.output()
    assert server.stats()["executor_restarts"] == {"died": before + 3}


def test_what_a_hook_raises_is_an_answer(module_faults: Faults) -> None:
    """A real MemoryError under a real limit, ``sys.exit``, a stray cancellation: 500, and the same worker goes on."""
    server = module_faults.shared()
    (before,) = server.workers()
    for do, words in (("memory", "MemoryError"), ("sys_exit", "3"), ("cancelled", "cancelled 3")):
        answer = server.send(order(do, 3))
        assert answer.status == 500
        assert words in message(answer)
        server.still_works()
        assert server.workers() == [before]


def test_an_operator_asks_a_busy_worker_to_stop(module_faults: Faults) -> None:
    """SIGTERM in the middle of a hook: its request is answered at once, and the worker cleans up and ends."""
    server = module_faults.shared()
    call = server.begin_one("sleep", 600)
    os.kill(server.workers()[0], signal.SIGTERM)
    assert (call.result().status, call.result().json()) == (503, DIED)
    eventually(lambda: "died: exit code 0" in server.server.output(), "a clean exit in the log")
    server.still_works()


def test_an_operator_kills_a_busy_worker_of_two(module_faults: Faults) -> None:
    """The call in the other worker and those in the queue are answered, by that worker or by the replacement."""
    server = module_faults.shared(env={"CUSTOM_MODEL_WORKERS": "2"})
    server.settle(2)
    calls = [server.begin_one("wait", 1), server.begin_one("wait", 1)]
    waiting = [server.begin(order("echo", number)) for number in range(5)]
    eventually(lambda: server.stats()["executor_queue_depth"] == 5, "five wait")
    os.kill(server.workers()[0], signal.SIGKILL)
    answers = [future.result() for future in waiting]
    assert [answer.json() for answer in answers] == [{"predictions": [float(number)]} for number in range(5)]
    server.go(1)
    assert sorted(call.result().status for call in calls) == [200, 503]
    server.still_works(2)


def test_a_crash_loop_ends_the_server(module_faults: Faults) -> None:
    """Five deaths before ready: all requests are answered; exit code 1 and the reason on stderr."""
    server = module_faults.shared()
    server.on_load("die")
    assert server.send(order("exit", 9)).status == 503
    waiting = server.server.wait_exit(60)
    assert waiting == 1
    assert "died 5 times before it was ready (exit code 7)" in server.server.output()


def test_a_crash_loop_behind_the_error_server(faults: Faults) -> None:
    server = faults.start(arguments=["--with-error-server"])
    server.on_load("die")
    assert server.send(order("exit", 9)).status == 503
    eventually(lambda: server.send(get("/ping/")).status == 513, "the error server", 60)
    answer = server.send(order("echo"))
    assert answer.status == 513
    assert "died 5 times before it was ready" in message(answer)
    assert server.send(get("/livez")).status == 200


def test_a_load_failure_on_respawn_only(module_faults: Faults) -> None:
    """The model has loaded before, so the load is tried again for ever; calls and readiness answer 503 meanwhile."""
    server = module_faults.shared()
    server.on_load("raise")
    dying = server.begin_one("wait", 1)
    waiting = server.begin(order("echo", 4))
    eventually(lambda: server.stats()["executor_queue_depth"] == 1, "one waits")
    os.kill(server.workers()[0], signal.SIGKILL)
    assert dying.result().status == 503
    for answer in (waiting.result(), server.send(order("echo", 4))):
        assert answer.status == 503
        assert message(answer).startswith("No model worker is ready: the model folder cannot be loaded any more: ")
        assert "no such artifact" in message(answer)
        assert dict(answer.headers)["retry-after"]
    assert server.send(get("/livez")).status == 200
    assert server.send(get("/ping/")).status == 200
    for probe in ("/readyz", "/health/"):
        refused = server.send(get(probe))
        assert refused.status == 503
        assert message(refused) == (
            "No model worker is ready: the model folder cannot be loaded any more; the log and /stats/ say why"
        )
    server.server.wait_output("no model worker is left, and calls get 503. Next try in 5 s, or at SIGHUP")
    assert "no such artifact" in server.stats()["executor_load_error"]
    server.on_load("")
    server.still_works()
    assert server.stats()["executor_load_error"] is None
    assert "The model folder can be loaded again" in server.server.output()


def test_death_policy_exit(faults: Faults) -> None:
    """The death becomes the server's exit code; calls in the other worker finish first."""
    server = faults.start(env={"DRUM_WORKER_DEATH_POLICY": "exit", "CUSTOM_MODEL_WORKERS": "2"})
    server.settle(2)
    other = server.begin_one("wait", 1)
    assert server.send(order("exit", 5)).status == 503
    eventually(lambda: "A model worker died (exit code 5)" in server.server.output(), "the reason in the log")
    assert server.server.process.poll() is None
    server.go(1)
    assert other.result().status == 200
    assert server.server.wait_exit() == 1


def test_two_hundred_clients_disconnect(faults: Faults) -> None:
    server = faults.start(env={"DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "300"})
    first = server.begin_one("wait", 1)
    sockets = [server.half(order("echo", number)) for number in range(200)]
    eventually(lambda: server.stats()["executor_queue_depth"] == 200, "two hundred wait", 30)
    for sock in sockets:
        sock.close()
    eventually(lambda: server.stats()["executor_queue_depth"] == 0, "they left the queue", 30)
    server.go(1)
    assert first.result().status == 200
    server.still_works()
    assert server.noted("scores") == 2  # no call was computed for a client that had disconnected


def test_workers_die_with_a_killed_server(module_faults: Faults) -> None:
    """Also one that holds the GIL, so that its own code cannot notice."""
    server = module_faults.shared(env={"CUSTOM_MODEL_WORKERS": "2"})
    server.settle(2)
    workers = server.workers()
    server.begin(order("gil"))
    server.noted_more("begins")
    server.server.kill()
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in workers), "workers end")


@pytest.mark.parametrize("executor", ["pool", pytest.param("inline", marks=pytest.mark.slow)])
def test_prints_of_hooks_appear_without_a_flush(faults: Faults, executor: str) -> None:
    """Contract, 5.5. Also an unfinished line, and what bypasses the text layer."""
    server = faults.start(arguments=["--executor", executor])
    for do, expected in (("print", "printed 41"), ("print_part", "printed 42"), ("write_bytes", "bytes 43")):
        assert server.send(order(do, float(expected.split()[1]))).status == 200
        eventually(lambda text=expected: text in server.server.output(), expected, 5)  # type: ignore[misc]
    eventually(server.idle, "counters at zero")


def test_many_rows_after_a_death(module_faults: Faults) -> None:
    """A frame larger than the socket's buffer, half sent to a worker that dies."""
    server = module_faults.shared()
    rows = "1,2\n" * 400_000
    blocked = server.begin_one("wait", 1)
    large = [server.begin(csv("a,b\n" + rows)) for _ in range(3)]
    eventually(lambda: server.stats()["executor_queue_depth"] == 3, "three wait")
    os.kill(server.workers()[0], signal.SIGKILL)
    assert blocked.result().status == 503
    assert [len(future.result().json()["predictions"]) for future in large] == [400_000] * 3
    server.still_works()
