"""Tickets and the queue over HTTP: refusal before the body is read, first in first out, counters back to zero."""

from __future__ import annotations

import os
import signal
import socket
from functools import partial
from pathlib import Path

from raw_serving import RawClient
from support.predictors.executors import idle
from support.servers.faults import COUNTERS, FULL, Faults, encoded, eventually, order
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


def queued(sock: socket.socket) -> int:
    """Bytes that ``sock`` has sent and the server has not read: in the kernel's queues of both ends."""
    ends = [f":{port:04X}" for port in (sock.getsockname()[1], sock.getpeername()[1])]
    sizes = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, _, queues = line.split()[1:5]
        if local.endswith(ends[0]) and remote.endswith(ends[1]):
            sizes.append(int(queues.partition(":")[0], 16))
        elif local.endswith(ends[1]) and remote.endswith(ends[0]):
            sizes.append(int(queues.partition(":")[2], 16))
    assert len(sizes) == 2
    return sum(sizes)


def all_read(sock: socket.socket) -> bool:
    return queued(sock) == 0


def first_line(sock: socket.socket) -> bytes:
    return sock.recv(65536).split(b"\r\n")[0]


def test_a_full_queue_refuses_before_the_body_is_read(faults: Faults) -> None:
    """The server neither sends ``100 Continue`` nor waits for a byte of a slow body."""
    server = faults.start(env={"DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "1"})
    blocked = server.begin_one("wait", 1)
    waiting = server.begin(order("echo", 2))
    eventually(lambda: server.stats()["executor_queue_depth"] == 1, "one waits")
    refused = server.send(order("echo", 3))
    assert (refused.status, refused.header("Retry-After")) == (503, "5")
    assert refused.json() == {"message": FULL, "retry_after": 5}
    patient = csv("").with_headers(("Expect", "100-continue"))
    for request in (csv(""), patient):
        sock = server.half(request, announce=50 * 1024 * 1024)
        assert first_line(sock) == b"HTTP/1.1 503 Service Unavailable"
        sock.close()
    for target in ("/", "/ping/", "/health/", "/livez", "/readyz", "/startupz", "/info/", "/stats/"):
        assert server.send(get(target)).status == 200  # probes and operators are never refused
    server.go(1)
    assert [blocked.result().status, waiting.result().status] == [200, 200]
    server.still_works()
    stats = server.stats()
    assert stats["backpressure_rejected"] == stats["executor_rejected"] == 3
    assert server.noted("scores") == 3


def test_100_continue_is_sent_when_there_is_a_ticket(module_faults: Faults) -> None:
    server = module_faults.shared()
    body = order("echo", 4).body
    sock = server.half(csv("").with_headers(("Expect", "100-continue")), announce=len(body))
    assert first_line(sock) == b"HTTP/1.1 100 Continue"
    sock.sendall(body)
    assert first_line(sock) == b"HTTP/1.1 200 OK"
    server.still_works()


def test_slow_uploads_take_tickets_not_slots(faults: Faults) -> None:
    """A client that holds its body back keeps its place in the queue, but no slot."""
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


def test_a_client_that_disconnects_after_a_large_last_piece(module_faults: Faults) -> None:
    """The server stops reading while the application has not read so much; it must see the disconnect afterwards."""
    server = module_faults.shared()
    blocked = server.begin_one("wait", 1)
    body = b"a\n" + b"1\n" * 2_000_000
    last = 100_000
    for _ in range(3):
        sock = server.half(csv(""), announce=len(body))
        sock.sendall(body[:-last])
        eventually(partial(all_read, sock), "it is read")
        os.kill(server.pid, signal.SIGSTOP)  # so that the rest comes in one piece
        sock.sendall(body[-last:])
        os.kill(server.pid, signal.SIGCONT)
        eventually(lambda: server.stats()["executor_queue_depth"] == 1, "it waits")
        sock.close()
        eventually(lambda: server.stats()["executor_queue_depth"] == 0, "it has left")
    server.go(1)
    assert blocked.result().status == 200
    server.still_works()


def test_first_in_first_out(module_faults: Faults) -> None:
    server = module_faults.shared()
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


def test_nothing_polls(module_faults: Faults) -> None:
    """Idle processes use no CPU time, after some requests."""
    server = module_faults.shared()
    server.send(order("echo"))
    server.still_works()
    eventually(lambda: idle([server.pid, *server.workers()], 4), "nothing is computed any more")


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
