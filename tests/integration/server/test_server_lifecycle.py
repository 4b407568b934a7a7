"""Start, stop, reload and the error server, by signals and exit codes (contract, 5.1 to 5.4 and section 8)."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from support.servers.faults import Faults, FaultyServer, eventually, message, order
from support.wire import Request, csv, get, post_json

PREDICT = csv("a\n1\n")
"""Predicts the model's version."""
ROUTES = (
    get("/"), get("/ping/"), get("/health/"), get("/readyz"), get("/startupz"), get("/info/"), get("/stats/"),
    get("/capabilities/"), get("/models"), order("echo"), order("echo").with_headers(("X-Any", "1")),
    post_json("/chat/completions", {"messages": []}), csv("", "/predictUnstructured/"), csv("", "/transform/"),
)  # fmt: skip


def signalled(server: FaultyServer, number: int) -> None:
    server.server.process.send_signal(number)


def test_the_port_opens_before_the_model_is_loaded(faults: Faults) -> None:
    server = faults.start(on_load="wait", ready=False)
    server.noted_more("loads")
    assert server.send(get("/livez")).status == 200
    for target in ("/", "/ping/", "/health/", "/readyz", "/startupz"):
        answer = server.send(get(target))
        assert (answer.status, message(answer)) == (503, "Model is still loading")
    server.on_load("")
    server.server.wait_ready()
    for target in ("/", "/ping/", "/health/", "/readyz", "/startupz"):
        assert server.send(get(target)).status == 200
    server.still_works()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_stop_under_load_answers_all_requests(faults: Faults, number: int) -> None:
    """Running and queued requests are answered, new ones are refused; exit code 0, no worker is left."""
    server = faults.start(env={"CUSTOM_MODEL_WORKERS": "2"})
    server.settle(2)
    workers = server.workers()
    running = [server.begin_one("wait", 1) for _ in range(2)]
    waiting = [server.begin(order("sleep", 0.01)) for _ in range(10)]
    eventually(lambda: server.stats()["executor_queue_depth"] == 10, "ten wait")
    signalled(server, number)
    eventually(lambda: not server.listens(), "no new connections")
    assert server.server.process.poll() is None
    server.go(1)
    assert [future.result().status for future in running + waiting] == [200] * 12
    assert server.server.wait_exit() == 0
    assert not any(psutil.pid_exists(pid) for pid in workers)
    assert list(server.spool.glob("drum-litestar-spool-*")) == []


def test_a_stop_answers_what_outlasts_its_grace(faults: Faults) -> None:
    server = faults.start(env={"DRUM_UVICORN_GRACEFUL_TIMEOUT": "1"})
    late = server.begin_one("sleep", 600)
    waiting = server.begin(order("echo"))
    eventually(lambda: server.stats()["executor_queue_depth"] == 1, "one waits")
    signalled(server, signal.SIGTERM)
    assert [late.result().status, waiting.result().status] == [503, 503]
    assert server.server.wait_exit() == 0


@pytest.mark.parametrize("do", [pytest.param("sleep", marks=pytest.mark.slow), "stubborn"])
def test_a_second_signal_stops_at_once(faults: Faults, do: str) -> None:
    """Exit code 130, also when the hook ignores SIGTERM; its worker ends too."""
    server = faults.start()
    workers = server.workers()
    future = server.begin_one(do, 600)
    signalled(server, signal.SIGTERM)
    eventually(lambda: not server.listens(), "the stop has begun")
    assert server.server.process.poll() is None
    signalled(server, signal.SIGTERM)
    assert server.server.wait_exit() == 130  # its grace would be 299 s
    assert future.exception() is not None or future.result().status == 503
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in workers), "the worker is gone")


def test_a_stop_while_a_dead_worker_is_replaced(faults: Faults) -> None:
    """Queued requests are answered, by the replacement or with 503."""
    server = faults.start()
    dying = server.begin_one("wait", 1)
    waiting = [server.begin(order("echo", number)) for number in range(5)]
    eventually(lambda: server.stats()["executor_queue_depth"] == 5, "five wait")
    os.kill(server.workers()[0], signal.SIGKILL)
    signalled(server, signal.SIGTERM)
    assert dying.result().status == 503
    assert {future.result().status for future in waiting} <= {200, 503}
    assert server.server.wait_exit() == 0


def test_a_stop_while_the_model_loads(faults: Faults) -> None:
    """A lame duck would only delay it: no balancer sends calls yet."""
    server = faults.start(on_load="wait", ready=False, env={"DRUM_LAME_DUCK": "600"})
    server.noted_more("loads")
    signalled(server, signal.SIGTERM)
    assert server.server.wait_exit() == 0
    assert "not ready any more" not in server.server.output()


def test_sighup_reloads_the_folder(faults: Faults) -> None:
    """No request fails meanwhile; the old workers are gone afterwards."""
    server = faults.start(env={"CUSTOM_MODEL_WORKERS": "2"})
    server.settle(2)
    old = server.workers()
    assert server.send(PREDICT).json() == {"predictions": [1.0]}
    (server.notes / "version").write_text("2")
    signalled(server, signal.SIGHUP)
    seen = []

    def reloaded() -> bool:
        answer = server.send(PREDICT)
        assert answer.status == 200
        seen.append(answer.json()["predictions"][0])
        return seen[-20:] == [2.0] * 20 and not set(old) & set(server.workers())

    eventually(reloaded, "the new version from all workers", 60)
    assert set(seen) == {1.0, 2.0}
    server.still_works(2)
    stats = server.stats()
    assert stats["executor_restarts"] == {"reload": 2}
    assert stats["executor_reloads"] == {"succeeded": 1, "failed": 0}
    server.server.wait_output("The model is reloaded, in ")


def test_a_failing_reload_leaves_the_old_model_in_service(faults: Faults) -> None:
    """It is told apart from one that works, and readiness, which does not change, says it."""
    server = faults.start()
    before = server.workers()
    assert value(server, "drum_model_last_reload_successful") == 1
    server.on_load("raise")
    signalled(server, signal.SIGHUP)
    server.server.wait_output("Reloading the model failed; the old one goes on: ")
    assert "ValueError: no such artifact" in server.server.output()
    assert server.workers() == before
    assert server.send(PREDICT).json() == {"predictions": [1.0]}
    server.still_works()
    stats = server.stats()
    assert "no such artifact" in stats["executor_reload_error"]
    assert stats["executor_reloads"] == {"succeeded": 0, "failed": 1}
    assert stats["executor_restarts"] == {}
    assert value(server, "drum_model_last_reload_successful") == 0
    assert value(server, 'drum_model_reloads_total{result="failed"}') == 1
    probe = server.send(get("/readyz"))
    assert (probe.status, message(probe)) == (200, "OK")
    assert probe.json()["warning"].startswith("The model folder could not be loaded again")
    for target in ("/", "/ping/", "/health/"):  # DRUM's
        assert server.send(get(target)).json() == {"message": "OK"}
    server.on_load("")
    signalled(server, signal.SIGHUP)
    eventually(lambda: server.stats()["executor_reload_error"] is None, "a reload that works")
    server.server.wait_output("The model is reloaded, in ")
    assert server.send(get("/readyz")).json() == {"message": "OK"}
    assert value(server, "drum_model_last_reload_successful") == 1


def test_after_a_failed_reload_a_dead_worker_does_not_end_the_server(faults: Faults) -> None:
    """The other worker goes on; when it has died too, calls get 503 at once, until the folder is mended."""
    server = faults.start(env={"CUSTOM_MODEL_WORKERS": "2"})
    server.settle(2)
    server.on_load("raise")
    signalled(server, signal.SIGHUP)
    server.server.wait_output("Reloading the model failed")
    first, second = server.workers()
    os.kill(first, signal.SIGKILL)
    server.server.wait_output(
        "What was loaded before cannot be loaded from the model folder as it is now: 1 of 2 model"
    )
    assert server.send(PREDICT).json() == {"predictions": [1.0]}
    assert server.send(get("/readyz")).status == 200
    os.kill(second, signal.SIGKILL)
    eventually(lambda: server.send(get("/readyz")).status == 503, "nothing is ready")
    assert server.send(PREDICT).status == 503
    signalled(server, signal.SIGHUP)
    server.server.wait_output("Reloading the model failed; no model worker is left: ")
    server.on_load("")
    signalled(server, signal.SIGHUP)
    server.still_works(2)
    stats = server.stats()
    assert (stats["executor_reload_error"], stats["executor_load_error"]) == (None, None)


def value(server: FaultyServer, series: str) -> float:
    """The value of ``series`` on ``/metrics``."""
    text = server.send(get("/metrics")).body.decode()
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{series} "))


@pytest.mark.parametrize(("script", "words"), [("raise", "no such artifact"), ("die", "exit code 7")])
def test_a_model_that_cannot_be_loaded(faults: Faults, script: str, words: str) -> None:
    """Q-3: the message on stderr and exit code 1, never a respawn loop."""
    server = faults.start(on_load=script, ready=False)
    assert server.server.wait_exit(90) == 1
    last = server.server.output().splitlines()
    assert any(line.startswith("ERROR: ") and words in line for line in last)
    assert server.noted("loads") == (1 if script == "raise" else 5)


def test_the_error_server(faults: Faults) -> None:
    """Q-22: the real message with 513 on every route but ``/livez``; it stops like a healthy server."""
    server = faults.start(on_load="raise", ready=False, arguments=["--with-error-server"])
    server.server.wait_status(513)
    for request in ROUTES:
        answer = server.send(request)
        assert (request.target, answer.status) == (request.target, 513)
        assert message(answer).startswith("ERROR: ")
        assert "no such artifact" in message(answer)
    assert server.send(get("/livez")).status == 200
    assert server.send(Request("GET", "/no-such-route")).status == 404
    assert server.noted("loads") == 1
    assert server.server.stop() == 0


def test_a_busy_port_is_reported_before_the_model_is_loaded(faults: Faults) -> None:
    first = faults.start()
    second = faults.start(ready=False, arguments=["--address", f"127.0.0.1:{first.port}"])
    assert second.server.wait_exit(60) == 1
    assert "in use" in second.server.output()
    assert second.noted("loads") == 0
    first.still_works()
