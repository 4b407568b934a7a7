"""Large bodies: spooled to disk, not kept in memory; a full disk has an answer; no file is left."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.servers.faults import Faults, FaultyServer, eventually, message, order
from support.wire import Answer, Request, csv, get, upload

MEBIBYTE = 1024 * 1024
SPOOLING = {"DRUM_SPOOL_THRESHOLD": str(64 * 1024)}


def rows(mebibytes: float) -> bytes:
    """Make a CSV body of about that size, whose column the model does not use."""
    line = b"x" * 1023 + b"\n"
    return b"text\n" + line * int(mebibytes * 1024)


def watch_growth(server: FaultyServer, request: Request) -> tuple[Answer, float]:
    """Return the answer, and the largest growth of the HTTP process meanwhile in MiB."""
    process = psutil.Process(server.pid)
    before = process.memory_info().rss
    peak = before
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        answer = server.send(request, 120)
    finally:
        done.set()
        watcher.join()
    return answer, (peak - before) / MEBIBYTE


@pytest.mark.parametrize("as_form", [False, True], ids=["raw", "form"])
def test_a_hundred_megabytes_stay_out_of_the_http_process(module_faults: Faults, as_form: bool) -> None:
    server = module_faults.shared()
    server.send(upload(b"a\n1\n") if as_form else csv("a\n1\n"))  # what the first request of all costs is not meant
    body = rows(99.9)
    assert 99.8 * MEBIBYTE < len(body) < 100 * MEBIBYTE
    answer, growth = watch_growth(server, upload(body) if as_form else csv(body))
    print(f"growth of the HTTP process: {growth:.1f} MiB")
    assert answer.status == 200
    assert len(answer.json()["predictions"]) == len(body) // 1024
    assert growth < 30
    server.still_works()


@contextlib.contextmanager
def small_disk(home: Path) -> Iterator[Path]:
    """Mount a file system of one MiB; skips where that is not permitted."""
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(home)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield home
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


def check_full(server: FaultyServer, spool: Path) -> None:
    for request in (csv(rows(8)), upload(rows(8)), csv(rows(1.05))):
        answer = server.send(request)
        assert (answer.status, message(answer)) == (507, "The server has no disk space left for the request body")
        eventually(lambda: not [path for path in spool.rglob("tmp*") if path.is_file()], "no spool files")
        server.still_works()
    fits = server.send(csv(rows(0.5)))
    assert (fits.status, len(fits.json()["predictions"])) == (200, 512)
    server.still_works()
    assert "No space left on device" in server.server.output() or "File too large" in server.server.output()


def test_a_full_disk_is_an_answer(faults: Faults, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        server = faults.start(env={**SPOOLING, "DRUM_SPOOL_DIR": str(disk)})
        check_full(server, disk)
        server.server.stop()
        assert list(disk.iterdir()) == []


def test_a_file_size_limit_is_an_answer(module_faults: Faults) -> None:
    server = module_faults.shared(env=SPOOLING)
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (MEBIBYTE, before[1]))
    try:
        check_full(server, server.spool)
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)


def test_uploads_that_break_off_leave_nothing(faults: Faults) -> None:
    server = faults.start(env={**SPOOLING, "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "50"})
    body = rows(4)
    socks = []
    for number in range(20):
        sock = server.half(Request("POST", "/predict/", (("Content-Type", "text/csv"),), b""), announce=len(body))
        sock.sendall(body[: MEBIBYTE + 100_000 * (number + 1)])
        socks.append(sock)
    eventually(lambda: len(server.spooled()) == 20, "spool files")
    for sock in socks:
        sock.close()
    eventually(lambda: not server.spooled(), "spool files are gone")
    server.still_works()


def test_a_spooled_body_outlives_neither_its_worker_nor_its_client(module_faults: Faults) -> None:
    """The worker dies while the file is queued; the client disconnects while the hook runs."""
    server = module_faults.shared(env=SPOOLING)
    blocked = server.begin_one("wait", 1)
    large = server.begin(csv(rows(1)))
    leavers = [server.half(csv(rows(1))) for _ in range(8)]
    eventually(lambda: server.stats()["executor_queue_depth"] == 9, "nine wait")
    assert len(server.spooled()) == 9
    for leaver in leavers:
        leaver.close()
    eventually(lambda: server.stats()["executor_queue_depth"] == 1, "eight have left")
    os.kill(server.workers()[0], 9)
    assert blocked.result().status == 503
    assert len(large.result().json()["predictions"]) == 1024
    server.still_works()


def test_a_second_start_removes_what_a_killed_server_left(faults: Faults, module_faults: Faults) -> None:
    first = module_faults.shared(env=SPOOLING)
    first.begin_one("wait", 1)
    first.half(csv(rows(1)))
    eventually(first.spooled, "a spool file")
    first.server.kill()
    assert first.spooled()
    second = faults.start(env=SPOOLING, spool=first.spool)
    second.still_works()
    assert list(first.spool.glob("drum-litestar-spool-*")) == []


def test_over_the_limit_nothing_is_read(faults: Faults) -> None:
    server = faults.start(env={"DRUM_FASTAPI_MAX_UPLOAD_SIZE": "1000", **SPOOLING})
    sock = server.half(Request("POST", "/predict/", (("Content-Type", "text/csv"),)), announce=1001)
    assert b" 413 " in sock.recv(65536).split(b"\r\n")[0]
    sock.close()
    assert server.send(get("/livez")).status == 200
    assert server.send(order("echo")).status == 200
    server.still_works()
