"""Memory of the HTTP process while its queue is full of large bodies.

``python benchmarks/costs/queue_memory.py [--calls 1024] [--size 5000000] [--uploads 16] [--spool-dir DIR]`` starts a
server with the default settings (except the queue timeout, because uploading takes longer), a soft limit of 1,024 open
files and a model that blocks. It sends one call, and ``--calls`` more that are queued, ``--uploads`` at a time; reports
the resident memory and its peak, the spool files and the open descriptors; then unblocks the model and counts the
answers. Exit code 1 when a call is not queued or not answered with 200, or when files or descriptors are left over.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

MODEL = """\
import os, time
def load_model(code_dir):
    return "none"
def score_unstructured(model, data, **kwargs):
    while not os.path.exists(os.environ["GO"]):
        time.sleep(0.01)
    return str(len(data)), {"mimetype": "text/plain"}
"""
MEGABYTE = 1000 * 1000
SOFT_LIMIT = 1024
END = b"\r\n\r\n"


class Server:
    """The server under test, over the blocking model."""

    def __init__(self, home: Path, spool: Path) -> None:
        self.go = home / "go"
        folder = home / "model"
        folder.mkdir()
        (folder / "custom.py").write_text(MODEL)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.spool = spool
        self.log = home / "log"
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        environ = {**os.environ, "GO": str(self.go), "DRUM_SPOOL_DIR": str(spool)}
        environ["DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT"] = "590"
        command = [sys.executable, "-m", "drum_litestar", "server", "--code-dir", str(folder)]
        command += ["--target-type", "unstructured", "--address", f"127.0.0.1:{self.port}"]
        shell = f'ulimit -Sn {min(SOFT_LIMIT, hard)}; exec "$@"'
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(["sh", "-c", shell, "sh", *command], stdout=log, stderr=log, env=environ)

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats/", timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def wait_ready(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5),
            ):
                return
            time.sleep(0.1)
        raise SystemExit(f"the server did not become ready:\n{self.log.read_text()}")

    def memory(self) -> tuple[float, float]:
        """Resident memory of the HTTP process and its peak, in MB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Vm")}
        return found["VmRSS"] / MEGABYTE, found["VmHWM"] / MEGABYTE

    def spooled(self) -> list[int]:
        return [path.stat().st_size for path in self.spool.rglob("tmp*") if path.is_file()]


async def call(port: int, body: bytes, uploads: asyncio.Semaphore) -> str:
    """The answer to one call: its status and text."""
    head = f"POST /predictUnstructured/ HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    try:
        async with uploads:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode())
            for start in range(0, len(body), MEGABYTE):
                writer.write(body[start : start + MEGABYTE])
                await writer.drain()
        answer = await reader.read()
        writer.close()
    except OSError as error:
        return type(error).__name__
    return f"{answer[9:12].decode()} {answer.partition(END)[2].decode()[:200]}"


async def measure(server: Server, args: argparse.Namespace) -> bool:
    """Fill the queue, report, empty it; whether all went well."""
    body = b"x" * args.size
    uploads = asyncio.Semaphore(args.uploads)
    print(f"before:           {server.memory()[0]:7.0f} MB resident")
    began = time.monotonic()
    tasks = [asyncio.create_task(call(server.port, body, uploads)) for _ in range(args.calls + 1)]
    while (stats := await asyncio.to_thread(server.stats))["executor_queue_depth"] < args.calls:
        if any(task.done() for task in tasks):
            break
        await asyncio.sleep(0.25)
    waiting = stats["executor_queue_depth"] == args.calls
    now, peak = server.memory()
    spooled = server.spooled()
    descriptors = psutil.Process(server.process.pid).num_fds()
    limit = psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_NOFILE)
    print(f"calls waiting:    {stats['executor_queue_depth']:7} of {args.size / MEGABYTE:g} MB")
    print(f"uploaded in:      {time.monotonic() - began:7.1f} s, {args.uploads} at a time")
    print(f"HTTP process:     {now:7.0f} MB resident, {peak:.0f} MB at most")
    print(f"of that, counted: {stats['executor_queue_memory'] / MEGABYTE:7.0f} MB of bodies (DRUM_QUEUE_MEMORY)")
    print(f"spooled:          {sum(spooled) / MEGABYTE:7.0f} MB in {len(spooled)} files")
    print(f"descriptors:      {descriptors:7} open, soft limit {limit[0]} (was {SOFT_LIMIT}), hard limit {limit[1]}")
    began = time.monotonic()
    server.go.touch()
    answers = Counter(await asyncio.gather(*tasks))
    print(f"answers:          {dict(answers)} in {time.monotonic() - began:.1f} s")
    after = await asyncio.to_thread(server.stats)
    left = {name: after[name] for name in ("executor_pending", "executor_queue_depth", "executor_queue_memory")}
    print(f"afterwards:       {server.memory()[0]:7.0f} MB resident, {len(server.spooled())} spool files, {left}")
    return waiting and set(answers) == {f"200 {args.size}"} and not server.spooled() and not any(left.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1024)
    parser.add_argument("--size", type=int, default=5 * MEGABYTE, help="bytes of each body")
    parser.add_argument("--uploads", type=int, default=16, help="bodies that are sent at the same time")
    parser.add_argument("--spool-dir", type=Path, help="a directory on a disk with room for all bodies")
    args = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, args.calls + 200)), hard))
    home = Path(tempfile.mkdtemp(prefix="queue-memory-"))
    spool = Path(tempfile.mkdtemp(prefix="queue-memory-", dir=args.spool_dir))
    server = Server(home, spool)
    try:
        server.wait_ready()
        fine = asyncio.run(measure(server, args))
    finally:
        server.process.terminate()
        code = server.process.wait(60)
        warnings = [line for line in server.log.read_text().splitlines() if " WARNING " in line or " ERROR " in line]
        print("log:", *(warnings or ["no warnings"]), sep="\n  ")
        shutil.rmtree(home)
        shutil.rmtree(spool)
    return 0 if fine and code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
