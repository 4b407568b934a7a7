"""Places and the queue over HTTP: refused before the body is read, first in first out, every counter back to zero."""

from __future__ import annotations

import os
import signal
import socket
import time

import psutil

from raw_serving import RawClient
from support.faults import COUNTERS, FULL, Faults, encoded, eventually, order
from support.wire import csv, get

STATS = (
    *COUNTERS,
    "executor_workers",
    "executor_slots",
    "executor_max_queue",
    "executor_queue_available",
    "executor_completed",
    "executor_rejected",
    "executor_timed_out",
    "executor_restarts",
    "executor_workers_by_state",
    "backpressure_accepted",
    "backpressure_rejected",
    "backpressure_peak_queue_depth",
    "backpressure_avg_wait_ms",
)
DRUM_STATS = ("drum_info", "mem_info", "time_info")


def first_line(sock: socket.socket) -> bytes:
    return sock.recv(65536).split(b"\r\n")[0]


def test_a_full_queue_refuses_before_the_body_is_read(faults: Faults) -> None:
    """Neither is ``100 Continue`` sent, nor is one byte of a slow body waited for."""
    server = faults.start(env={"DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "1"})
    blocked = server.begin_one("wait", 1)
    waiting = server.begin(order("echo", 2))
    eventually(lambda: server.stats()["executor_queue_depth"] == 1, "one waits")
    refused = server.send(order("echo", 3))
    assert (refused.status, refused.header("Retry-After")) == (503, "5")
    assert refused.json() == {"message": FULL, "retry_after": 5}
    patient = csv("").with_headers(("Expect", "100-continue"))
    for request in (csv(""), patient):
        began = time.monotonic()
        sock = server.half(request, announce=50 * 1024 * 1024)
        assert first_line(sock) == b"HTTP/1.1 503 Service Unavailable"
        assert time.monotonic() - began < 1
        sock.close()
    for target in ("/", "/ping/", "/health/", "/livez", "/readyz", "/startupz", "/info/", "/stats/"):
        assert server.send(get(target)).status == 200  # probes and operators are never refused
    server.go(1)
    assert [blocked.result().status, waiting.result().status] == [200, 200]
    server.still_works()
    stats = server.stats()
    assert stats["backpressure_rejected"] == stats["executor_rejected"] == 3
    assert server.noted("scores") == 3


def test_who_expects_100_continue_gets_it_when_there_is_a_place(faults: Faults) -> None:
    server = faults.start()
    body = order("echo", 4).body
    sock = server.half(csv("").with_headers(("Expect", "100-continue")), announce=len(body))
    assert first_line(sock) == b"HTTP/1.1 100 Continue"
    sock.sendall(body)
    assert first_line(sock) == b"HTTP/1.1 200 OK"
    server.still_works()


def test_slow_uploads_take_places_not_slots(faults: Faults) -> None:
    """A client that holds its body back keeps a place in the queue, and nobody from computing."""
    server = faults.start(env={"DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "3"})
    slow = [server.half(csv(""), announce=1000) for _ in range(3)]
    eventually(lambda: server.stats()["executor_pending"] == 3, "three places taken")
    assert server.send(order("echo", 5)).json() == {"predictions": [5.0]}
    slow.append(server.half(csv(""), announce=1000))
    eventually(lambda: server.stats()["executor_pending"] == 4, "four places taken")
    assert server.send(order("echo", 6)).status == 503
    for sock in slow:
        sock.close()
    server.still_works()


def test_a_client_that_leaves_after_a_large_last_piece(faults: Faults) -> None:
    """The server stops reading while so much is unread by the application; that must not blind it afterwards."""
    server = faults.start()
    blocked = server.begin_one("wait", 1)
    body = b"a\n" + b"1\n" * 2_000_000
    last = 100_000
    for _ in range(3):
        sock = server.half(csv(""), announce=len(body))
        sock.sendall(body[:-last])
        time.sleep(0.2)  # it is read; nothing shows that
        os.kill(server.pid, signal.SIGSTOP)  # so that the rest comes in one piece
        sock.sendall(body[-last:])
        os.kill(server.pid, signal.SIGCONT)
        eventually(lambda: server.stats()["executor_queue_depth"] == 1, "it waits")
        sock.close()
        eventually(lambda: server.stats()["executor_queue_depth"] == 0, "it has left")
    server.go(1)
    assert blocked.result().status == 200
    server.still_works()


def test_first_in_first_out(faults: Faults) -> None:
    server = faults.start()
    blocked = server.begin_one("wait", 1)
    futures = []
    for number in range(8):
        futures.append(server.begin(order("record", number)))
        eventually(lambda depth=number + 1: server.stats()["executor_queue_depth"] == depth, "it waits")  # type: ignore[misc]
    server.go(1)
    assert blocked.result().status == 200
    assert {future.result().status for future in futures} == {200}
    assert (server.notes / "record").read_text() == "0 1 2 3 4 5 6 7 "
    server.still_works()


def test_stats_have_all_counters(faults: Faults) -> None:
    server = faults.start(env={"CUSTOM_MODEL_WORKERS": "2", "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "7"})
    server.settle(2)
    fresh = server.stats()
    assert [name for name in (*STATS, *DRUM_STATS) if name not in fresh] == []
    assert fresh["executor_workers"] == fresh["executor_slots"] == 2
    assert fresh["executor_max_queue"] == 7
    assert fresh["executor_queue_available"] == 9
    assert fresh["backpressure_avg_wait_ms"] == 0.0
    calls = [server.begin_one("wait", 1) for _ in range(2)] + [server.begin(order("echo")) for _ in range(3)]
    eventually(lambda: server.stats()["executor_queue_depth"] == 3, "three wait")
    busy = server.stats()
    assert busy["executor_pending"] == 5
    assert busy["executor_in_flight"] == busy["executor_workers_busy"] == 2
    assert busy["executor_queue_available"] == 4
    server.go(1)
    assert {call.result().status for call in calls} == {200}
    server.still_works(2)
    after = server.stats()
    assert after["executor_completed"] == after["backpressure_accepted"] == 6
    assert after["backpressure_rejected"] == 0
    assert after["backpressure_peak_queue_depth"] == 3
    assert after["backpressure_avg_wait_ms"] > 0
    assert {entry["pid"] for entry in after["drum_info"]} >= {server.pid, *server.workers()}


def test_a_cap_over_all_workers(faults: Faults) -> None:
    server = faults.start(env={"CUSTOM_MODEL_WORKERS": "2", "DRUM_MAX_CONCURRENT_REQUESTS": "1"})
    server.settle(2)
    running = server.begin_one("wait", 1)
    waiting = server.begin(order("echo"))
    eventually(lambda: server.stats()["executor_queue_depth"] == 1, "one waits although a worker is free")
    server.go(1)
    assert [running.result().status, waiting.result().status] == [200, 200]
    server.still_works(2)


def test_nothing_polls(faults: Faults) -> None:
    """Front end and worker, after some use: idle means idle."""
    server = faults.start()
    server.send(order("echo"))
    server.still_works()
    processes = [psutil.Process(pid) for pid in (server.pid, *server.workers())]
    time.sleep(2)  # the stdout flusher's second, log writers

    def used() -> float:
        return sum(times.user + times.system for times in (process.cpu_times() for process in processes))

    before = used()
    time.sleep(4)
    spent = used() - before
    print(f"idle CPU: {100 * spent / 4:.2f} % of one core")
    assert spent <= 0.08


def test_keep_alive_connections_survive_refusals(faults: Faults) -> None:
    """A refusal whose body was read to its end leaves the connection usable."""
    server = faults.start(env={"DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "0"})
    blocked = server.begin_one("wait", 1)
    with RawClient(server.port) as client:
        client.send(encoded(order("echo", 1)))
        assert client.response().status == 503
        server.go(1)
        assert blocked.result().status == 200
        server.settle()
        client.send(encoded(get("/livez")))
        assert client.response().status == 200
    server.still_works()
