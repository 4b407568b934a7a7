"""A long queue over a real server: bounded by memory, refusals with their reason, none for thirty clients."""

from __future__ import annotations

import os
import resource
import socket
from concurrent.futures import Future, ThreadPoolExecutor

import psutil

from drum_litestar.server.descriptors import MAX_LIMIT
from support.servers.faults import FULL, Faults, FaultyServer, eventually, message, order
from support.wire import Answer, csv, get

LIMIT = 1_000_000
LARGE = b"do,arg\nwait,2\n" + b"echo,1\n" * 42_000
ROWS = LARGE.count(b"\n") - 1
IN_MEMORY = LIMIT // len(LARGE)


def full(faults: Faults, waiting: int, **settings: str) -> tuple[FaultyServer, Future[Answer], list[Future[Answer]]]:
    """Start a server whose model blocks, with ``waiting`` queued calls of 294 kB, of which 1 MB may be in memory."""
    server = faults.start(env={"DRUM_QUEUE_MEMORY": "1MB", **settings})
    blocked = server.begin_one("wait", 1)
    calls = []
    for _ in range(waiting):  # one after the other: the first ones get the memory
        calls.append(server.begin(csv(LARGE)))
        waits(server, len(calls))
    return server, blocked, calls


def waits(server: FaultyServer, depth: int) -> None:
    eventually(lambda: server.stats()["executor_queue_depth"] == depth, f"{depth} wait")


def right(calls: list[Future[Answer]]) -> None:
    for future in calls:
        answer = future.result()
        assert answer.status == 200
        assert len(answer.json()["predictions"]) == ROWS


def test_bodies_past_the_queues_memory_wait_on_disk_and_are_answered(faults: Faults) -> None:
    server, blocked, calls = full(faults, 6)
    stats = server.stats()
    assert stats["executor_queue_memory"] == IN_MEMORY * len(LARGE)
    assert stats["executor_max_queue_memory"] == LIMIT
    metric = f"drum_executor_queue_memory_bytes {stats['executor_queue_memory']:.1f}"
    assert metric.encode() in server.send(get("/metrics")).body
    assert [path.stat().st_size for path in server.spooled()] == [len(LARGE)] * (len(calls) - IN_MEMORY)
    small = server.begin(order("echo", 7))
    waits(server, 7)
    assert server.stats()["executor_queue_memory"] == IN_MEMORY * len(LARGE) + len(order("echo", 7).body)
    for number in (1, 2):
        server.go(number)
    assert blocked.result().status == 200
    right(calls)
    assert small.result().json() == {"predictions": [7.0]}
    server.still_works()


def test_small_bodies_go_to_disk_too_once_memory_is_used_up(faults: Faults) -> None:
    """Nor are they batched: files are not read back for that."""
    server = faults.start(env={"DRUM_QUEUE_MEMORY": "0", "DRUM_BATCH_MAX_ROWS": "100"})
    blocked = server.begin_one("wait", 1)
    small = [server.begin(order("echo", number)) for number in range(5)]
    waits(server, 5)
    assert len(server.spooled()) == 6
    assert server.stats()["executor_queue_memory"] == 0
    server.go(1)
    assert blocked.result().status == 200
    assert [future.result().json() for future in small] == [{"predictions": [float(n)]} for n in range(5)]
    server.still_works()


def test_disconnects_and_dead_workers_free_the_queues_memory(faults: Faults) -> None:
    server, blocked, calls = full(faults, 2)
    in_memory = server.half(csv(LARGE))
    waits(server, 3)
    uploading = server.half(csv(b""), announce=LIMIT)
    uploading.sendall(b"x" * 60_000)
    uploading.sendall(b"x" * 10_000)
    eventually(lambda: server.stats()["executor_queue_memory"] > 3 * len(LARGE), "what is uploading is counted")
    on_disk = server.half(csv(LARGE))
    waits(server, 4)
    for sock in (in_memory, uploading, on_disk):
        sock.close()
    eventually(lambda: server.stats()["executor_queue_memory"] == 2 * len(LARGE), "theirs is given back")
    os.kill(server.workers()[0], 9)
    assert blocked.result().status == 503
    server.go(2)
    right(calls)
    server.still_works()


def test_a_queue_that_ends_by_its_timeout_is_empty(faults: Faults) -> None:
    server, blocked, _ = full(faults, 0, DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT="2")
    calls = [server.begin(csv(LARGE)) for _ in range(3)]
    assert {future.result().status for future in calls} == {503}
    eventually(lambda: server.stats()["executor_queue_memory"] == 0, "all is given back")
    server.go(1)
    assert blocked.result().status == 200
    server.still_works()
    (line,) = warnings(server)
    assert line.endswith("; the limit is DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT=2 s")


def warnings(server: FaultyServer) -> list[str]:
    """Return the log's warnings of refusals, without the requests' ids."""
    lines = [line.partition("drum_litestar.refusals:  ")[2] for line in server.server.output().splitlines()]
    return [line.partition(" {'request_id'")[0].rstrip() for line in lines if line]


def test_refusals_are_logged_once_with_the_setting_and_answered_with_it(faults: Faults) -> None:
    server = faults.start(
        env={
            "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "0",
            "DRUM_FASTAPI_MAX_UPLOAD_SIZE": "10kB",
            "DRUM_FORM_MAX_FIELD_SIZE": "1kB",
            "DRUM_UVICORN_LIMIT_CONCURRENCY": "20",
        },
        arguments=("--logging-level", "warning"),
    )
    blocked = server.begin_one("wait", 1)
    assert [message(server.send(order("echo"))) for _ in range(3)] == [FULL] * 3
    for _ in range(3):
        large = server.send(csv(b"x" * 10_001))
        assert (large.status, message(large)) == (
            413,
            "Request body too large. Maximum size: 10000 bytes (DRUM_FASTAPI_MAX_UPLOAD_SIZE)",
        )
    server.go(1)
    assert blocked.result().status == 200
    field = csv(b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 1001 + b"\r\n--b--\r\n")
    form = field.with_headers(("Content-Type", "multipart/form-data; boundary=b"))
    assert message(server.send(form)).endswith("exceeds the capacity limit. (DRUM_FORM_MAX_FIELD_SIZE)")
    crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    eventually(lambda: server.send(order("echo")).status == 503, "too many connections")
    assert "(DRUM_UVICORN_LIMIT_CONCURRENCY)" in message(server.send(order("echo")))
    for sock in crowd:
        sock.close()
    eventually(lambda: server.send(order("echo")).status == 200, "they have left")
    server.still_works()
    assert warnings(server) == [
        "A request was refused with 503: the queue is full; the limit is DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH=0",
        "A request was refused with 413: its body is too large; the limit is DRUM_FASTAPI_MAX_UPLOAD_SIZE=10kB",
        "A request was refused with 413: its form is too large; the limit is DRUM_FORM_MAX_PARTS=1000 "
        "DRUM_FORM_MAX_FIELD_SIZE=1kB",
        "A request was refused with 503: too many connections are open; the limit is DRUM_UVICORN_LIMIT_CONCURRENCY=20",
    ]


def test_thirty_clients_at_once_are_all_answered_by_the_defaults(faults: Faults) -> None:
    """With a soft limit of open files that the start has to raise."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        server = faults.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert psutil.Process(server.pid).rlimit(psutil.RLIMIT_NOFILE) == (min(hard, MAX_LIMIT), hard)
    with ThreadPoolExecutor(30) as clients:
        answers = list(clients.map(server.send, [order("sleep", 0.02)] * 30))
    assert [answer.status for answer in answers] == [200] * 30
    stats = server.stats()
    assert (stats["executor_max_queue"], stats["executor_rejected"]) == (1024, 0)
    server.still_works()
