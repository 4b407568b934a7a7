"""Probes: on a port of their own (``DRUM_PROBE_ADDRESS``), before a stop, and with a queue or slots that are full."""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path

from support.servers.backends import console_script
from support.servers.faults import Faults, FaultyServer, eventually, message, order
from support.servers.process import ServerProcess, free_port
from support.wire import Request, get, send
from support.zoo import Zoo

PATHS = ("/livez", "/readyz/", "/startupz", "/", "/ping", "/health/", "/metrics")


def statuses(port: int) -> list[int]:
    return [send(port, get(path)).status for path in PATHS]


def ready(port: int) -> tuple[int, str]:
    answer = send(port, get("/readyz"))
    return answer.status, message(answer)


def answers(server: ServerProcess) -> bool:
    with contextlib.suppress(ConnectionError):
        return server.send(get("/livez")).status == 200
    return False


def flood(server: FaultyServer, connections: int) -> None:
    """Hold connections of the main port open."""
    for _ in range(connections):
        server.sockets.append(socket.create_connection(("127.0.0.1", server.port), timeout=120))


def test_nothing_on_the_main_port_turns_probes_away(faults: Faults) -> None:
    probes = free_port()
    limits = {
        "DRUM_PROBE_ADDRESS": f"127.0.0.1:{probes}",
        "DRUM_API_TOKEN": "t0ken",
        "DRUM_RATE_LIMIT_ENABLED": "true",
        "DRUM_RATE_LIMIT_BURST": "1",
        "DRUM_UVICORN_LIMIT_CONCURRENCY": "50",
        "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "0",
    }
    server = faults.start(env=limits)
    token = ("Authorization", "Bearer t0ken")
    running = server.begin(order("wait", 1).with_headers(token))
    server.noted_more("begins")
    flood(server, 60)
    assert server.send(order("echo").with_headers(token)).status == 503
    assert server.send(get("/metrics")).status in (401, 503)
    for _ in range(3):
        assert statuses(probes) == [200] * len(PATHS)
    for path in ("/predict/", "/info/", "/stats/", "/docs", "/nothing"):
        assert send(probes, get(path)).status == 404
    there_are = (
        "there are /, /health, /livez, /metrics, /ping, /readyz, /startupz, /v2/health/live, /v2/health/ready, "
        "/v2/models/{model}/ready, /v2/models/{model}/versions/{version}/ready."
    )
    assert message(send(probes, get("/predict/"))).endswith(f"There is no /predict/; {there_are}")
    assert message(send(probes, get("/redyz"))).endswith("There is no /redyz; did you mean /readyz?")
    refused = send(probes, Request("POST", "/readyz"))
    assert (refused.status, refused.header("Allow")) == (405, "GET, HEAD")
    assert b"drum_requests" in send(probes, get("/metrics")).body
    server.go(1)
    assert running.result().status == 200


def test_a_flood_leaves_descriptors_for_the_probes(zoo: Zoo, tmp_path: Path) -> None:
    """More connections than the process may have open files: those without a place are closed at once."""
    folder, path = zoo["regression"]
    port, probes = free_port(), free_port()
    command = [console_script(), "server", "--address", f"127.0.0.1:{port}", *folder.command_line(path)]
    limited = ["sh", "-c", 'ulimit -n 300; exec "$@"', "sh", *command]
    env = {**folder.env, "DRUM_PROBE_ADDRESS": f"127.0.0.1:{probes}"}
    server = ServerProcess(limited, port=port, log=tmp_path / "log.txt", env=env)
    try:
        server.wait_ready()
        with contextlib.ExitStack() as stack:
            flood = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=120)) for _ in range(400)
            ]
            assert flood[-1].recv(1) == b""
            assert statuses(probes) == [200] * len(PATHS)
        eventually(lambda: answers(server), "the main port answers again")
        assert server.stop() == 0
    finally:
        server.kill()


def test_probes_are_answered_through_lame_duck_and_drain(faults: Faults) -> None:
    probes = free_port()
    server = faults.start(env={"DRUM_PROBE_ADDRESS": f"127.0.0.1:{probes}", "DRUM_LAME_DUCK": "600"})
    running = server.begin_one("wait", 1)
    server.server.process.send_signal(signal.SIGTERM)
    announced = (503, "Server is shutting down; requests are still answered")
    eventually(lambda: ready(server.port) == announced, "the lame duck")
    assert ready(probes) == announced
    assert [server.send(get(path)).status for path in ("/livez", "/ping", "/info/")] == [200] * 3
    waiting = server.begin(order("echo", 3))
    eventually(lambda: server.stats()["executor_queue_depth"] == 1, "a new call is admitted")
    server.server.process.send_signal(signal.SIGTERM)
    eventually(lambda: not server.listens(), "no new connections")
    assert ready(probes) == (503, "Server is shutting down")
    assert send(probes, get("/livez")).status == 200
    assert send(probes, get("/metrics")).status == 200
    server.go(1)
    assert (running.result().status, waiting.result().json()) == (200, {"predictions": [3.0]})
    assert server.server.wait_exit() == 0


def test_a_queue_above_its_share_is_not_ready(faults: Faults) -> None:
    server = faults.start(env={"DRUM_READY_QUEUE": "0.5", "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "4"})
    running = server.begin_one("wait", 1)
    first = server.begin(order("echo"))
    eventually(lambda: server.stats()["executor_queue_depth"] == 1, "one waits")
    assert ready(server.port) == (200, "OK")
    second = server.begin(order("echo"))
    eventually(lambda: server.stats()["executor_queue_depth"] == 2, "two wait")
    assert ready(server.port) == (503, "2 of 4 places in the queue are taken (DRUM_READY_QUEUE)")
    server.go(1)
    assert [each.result().status for each in (running, first, second)] == [200] * 3
    assert ready(server.port) == (200, "OK")


def test_a_slot_that_is_stuck_shows(faults: Faults) -> None:
    """The worker ignores SIGTERM, so that its slot is held until it is killed."""
    server = faults.start(env={"DRUM_CLIENT_REQUEST_TIMEOUT": "1"})
    assert server.send(order("stubborn", 600)).status == 504
    assert ready(server.port) == (503, "No model worker is ready: calls past their deadline hold 1 of 1 slots")
    assert server.stats()["executor_stuck"] == 1
    eventually(lambda: ready(server.port) == (200, "OK"), "the new worker")
    eventually(lambda: server.stats()["executor_stuck"] == 0, "the end of the old one")


def test_probes_whose_port_is_taken_prevent_the_start(faults: Faults) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = faults.start(env={"DRUM_PROBE_ADDRESS": f"127.0.0.1:{port}"}, ready=False)
        assert server.server.wait_exit(60) == 1
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in server.server.output()
