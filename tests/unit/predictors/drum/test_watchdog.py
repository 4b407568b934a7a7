from __future__ import annotations

import socket
import threading

import pytest

from drum_litestar.predictors.drum.watchdog import SidecarWatchdog
from support.servers.upstream import Seen, ok, upstream


def watch(url: str, dead: threading.Event, **options: float) -> SidecarWatchdog:
    settings = {"timeout": 60.0, "attempts": 2, "interval": 0.02, "backoff": 0.01, **options}
    return SidecarWatchdog(url, "/v1/health/ready", on_dead=dead.set, **settings)  # type: ignore[arg-type]


def test_on_dead_is_called_after_failures() -> None:
    dead = threading.Event()
    with upstream() as up:
        up.answer = ok(b"no", status="503 Busy")  # any answer counts as alive
        watchdog = watch(up.url, dead)
        for _ in range(3):
            assert up.arrived.acquire(timeout=60)
        assert not dead.is_set()
        assert up.seen[0].target == "/v1/health/ready"
    assert dead.wait(60)
    watchdog.close()


def test_a_server_that_never_started_is_not_dead() -> None:
    dead = threading.Event()
    with upstream() as up:
        up.answer = lambda seen, sock: sock.shutdown(socket.SHUT_RDWR)
        watchdog = watch(up.url, dead, interval=0.001)
        for _ in range(5):  # more than the attempts after which one that has lived counts as dead
            assert up.arrived.acquire(timeout=60)
        watchdog.close()
    assert not dead.is_set()


def test_an_answer_resets_the_count_of_failures() -> None:
    dead, answers = threading.Event(), iter([True, False, True, False, True, True])
    done = threading.Event()
    with upstream() as up:

        def answer(seen: Seen, sock: socket.socket) -> None:
            healthy = next(answers, None)
            if healthy is None:
                done.set()
            if healthy is not False:
                ok()(seen, sock)
            else:
                sock.shutdown(socket.SHUT_RDWR)

        up.answer = answer
        watchdog = watch(up.url, dead)
        assert done.wait(60)
        assert not dead.is_set()
        watchdog.close()


@pytest.mark.parametrize(
    ("value", "on"), [("true", True), ("YES", True), ("1", True), ("false", False), ("", False), ("x", False)]
)
def test_switch(value: str, on: bool) -> None:
    environ = {"MLOPS_RUNTIME_PARAM_USE_NIM_WATCHDOG": value}
    found = SidecarWatchdog.from_environment("http://127.0.0.1:1", "/", environ)
    assert (found is not None) is on
    if found is not None:
        found.close()
    assert SidecarWatchdog.from_environment(None, "/", environ) is None


def test_invalid_numbers_are_replaced_by_defaults(caplog: pytest.LogCaptureFixture) -> None:
    environ = {
        "MLOPS_RUNTIME_PARAM_USE_NIM_WATCHDOG": '{"type":"string","payload":"true"}',
        "MLOPS_RUNTIME_PARAM_NIM_WATCHDOG_MAX_ATTEMPTS": "many",
        "MLOPS_RUNTIME_PARAM_NIM_WATCHDOG_REQUEST_TIMEOUT": "-1",
    }
    found = SidecarWatchdog.from_environment("http://127.0.0.1:1", "/", environ)
    assert found is not None
    found.close()
    assert "value 'many' is no whole number above 0; 3 is used" in caplog.text
    assert "value '-1' is no whole number above 0; 120 is used" in caplog.text
