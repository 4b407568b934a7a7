"""A real server over the folder with faulty hooks, and checks of its state afterwards."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from support.files import replace_text
from support.servers.backends import start_ours
from support.servers.process import ServerFailedError, ServerProcess
from support.wire import Answer, Request, csv, get, post_json
from support.zoo import Zoo

DIED = {"message": "The model worker terminated unexpectedly while it handled the request"}
FULL = "Service temporarily unavailable due to high load: the queue is full (DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH)"
WAITED = (
    "Service temporarily unavailable due to high load: no worker was free in time (DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT)"
)
COUNTERS = (
    "executor_pending",
    "executor_in_flight",
    "executor_queue_depth",
    "executor_queue_memory",
    "executor_workers_busy",
    "backpressure_queue_depth",
)
"""Keys of ``/stats/`` that are zero when nothing goes on."""


def order(do: str, arg: float = 1) -> Request:
    """A prediction that does ``do`` in its worker."""
    return csv(f"do,arg\n{do},{arg}\n")


def chat(**fields: Any) -> Request:
    return post_json("/chat/completions", {"messages": [], "stream": True, **fields})


def encoded(request: Request, announce: int | None = None) -> bytes:
    """``request`` as it goes over the wire."""
    length = len(request.body) if announce is None else announce
    headers = (("Host", "127.0.0.1"), *request.headers, ("Content-Length", str(length)))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{request.method} {request.target} HTTP/1.1\r\n{head}\r\n".encode() + request.body


def eventually(condition: Callable[[], Any], what: str, seconds: float = 120.0) -> None:
    """Wait for what another process does, which nothing tells."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"did not happen: {what}"
        time.sleep(0.01)


class FaultyServer:
    """The server, the directory where its hooks leave traces, and threads that ask it."""

    def __init__(self, server: ServerProcess, notes: Path, spool: Path, threads: ThreadPoolExecutor) -> None:
        self.server = server
        self.port = server.port
        self.pid = server.process.pid
        self.notes = notes
        self.spool = spool
        self.sockets: list[socket.socket] = []
        self._threads = threads

    # Asking

    def send(self, request: Request, timeout: float = 120.0) -> Answer:
        return self.server.send(request, timeout=timeout)

    def begin(self, request: Request, timeout: float = 120.0) -> Future[Answer]:
        """Ask on a thread."""
        return self._threads.submit(self.send, request, timeout)

    def half(self, request: Request, *, announce: int | None = None) -> socket.socket:
        """Send ``request`` on a connection of its own and leave the answer unread.

        ``announce``: its Content-Length, of a body that the caller sends, or does not.
        """
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=120)
        self.sockets.append(sock)
        sock.sendall(encoded(request, announce))
        return sock

    def begin_one(self, do: str, arg: float = 1) -> Future[Answer]:
        """Ask on a thread, and return when the hook has begun (see ``begins``)."""
        before = self.noted("begins")
        future = self.begin(order(do, arg))
        self.noted_more("begins", before)
        return future

    def listens(self) -> bool:
        """Whether it still accepts connections: it does not once a stop has begun."""
        try:
            self.send(get("/livez"))
        except ConnectionError:
            return False
        return True

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = self.send(get("/stats/")).json()
        return found

    def workers(self) -> list[int]:
        """Process ids of the live model workers."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.pid).children()
            return [child.pid for child in children if child.status() != psutil.STATUS_ZOMBIE]
        return []

    # Traces

    def noted(self, name: str) -> int:
        path = self.notes / name
        return path.stat().st_size if path.exists() else 0

    def noted_more(self, name: str, than: int = 0) -> None:
        eventually(lambda: self.noted(name) > than, f"{name} > {than}\n{self.server.output()[-2000:]}")

    def on_load(self, script: str) -> None:
        replace_text(self.notes / "on_load", script)

    def go(self, number: int = 1) -> None:
        """Release the hooks that wait for ``number``."""
        (self.notes / f"go{number}").touch()

    def forget(self) -> None:
        """Remove all traces, and what was told to hooks and loads."""
        for path in self.notes.iterdir():
            path.unlink()
        self.on_load("")

    # What must be true afterwards

    def idle(self) -> bool:
        found = self.stats()
        return not any(found[name] for name in COUNTERS)

    def settle(self, workers: int = 1) -> None:
        """Places and queue come back to zero, all workers are there, nothing is left over."""
        eventually(self.idle, f"counters at zero: {self.stats()}")
        eventually(
            lambda: self.stats()["executor_workers_by_state"] == {"ready": workers}, f"ready workers: {self.stats()}"
        )
        eventually(lambda: not self.spooled(), "no spool files")
        assert not [child for child in psutil.Process(self.pid).children() if child.status() == psutil.STATUS_ZOMBIE]

    def still_works(self, workers: int = 1) -> None:
        """:meth:`settle`, and the next prediction works."""
        self.settle(workers)
        answer = self.send(order("echo", 7))
        assert (answer.status, answer.json()) == (200, {"predictions": [7.0]})
        self.settle(workers)

    def spooled(self) -> list[Path]:
        return [path for path in self.spool.rglob("*") if path.is_file() and path.name != "lock"]


class Faults:
    """Starts servers for one test; at the end each must stop with exit code 0, unless it has ended by then."""

    def __init__(self, zoo: Zoo, home: Path) -> None:
        self._zoo = zoo
        self._home = home
        self._count = 0
        self._shared: dict[tuple[object, ...], FaultyServer] = {}
        self.stack = contextlib.ExitStack()
        self._threads = self.stack.enter_context(ThreadPoolExecutor(250))

    def start(
        self,
        name: str = "faults",
        *,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        on_load: str = "",
        ready: bool = True,
        spool: Path | None = None,
    ) -> FaultyServer:
        """``env`` by parameter names without a prefix, as ``DRUM_...``; ``on_load`` is what the first load does."""
        self._count += 1
        home = self._home / f"server-{self._count}"
        notes = home / "notes"
        spool = spool or home / "spool"
        for directory in (notes, spool):
            directory.mkdir(parents=True, exist_ok=True)
        replace_text(notes / "on_load", on_load)
        folder, path = self._zoo[name]
        settings = {"FAULTS_DIR": str(notes), "TMPDIR": str(spool), **(env or {})}
        server = start_ours(
            folder, path, home / "log.txt", env=settings, arguments=("--logging-level", "info", *arguments)
        )
        found = FaultyServer(server, notes, spool, self._threads)
        self.stack.callback(self._end, found)
        if ready:
            server.wait_ready()
        return found

    def shared(
        self, name: str = "faults", *, env: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
    ) -> FaultyServer:
        """A server with these options that an earlier test has left idle, or a new one.

        Its traces are removed; its counters, its log and its workers are as that test has left them.
        """
        key = (name, tuple(sorted((env or {}).items())), tuple(arguments))
        found = self._shared.get(key)
        if found is not None and found.server.process.poll() is None and found.idle():
            found.forget()
        else:
            found = self._shared[key] = self.start(name, env=env, arguments=arguments)
        return found

    def _end(self, faulty: FaultyServer) -> None:
        server = faulty.server
        was_running = server.process.poll() is None
        for number in range(10):
            faulty.go(number)
        for sock in faulty.sockets:
            sock.close()
        workers = faulty.workers()
        try:
            code = server.stop()
        finally:
            if server.process.poll() is None:
                server.kill()
        if was_running and code != 0:
            raise ServerFailedError(f"exit code {code} after SIGTERM:\n{server.output()[-4000:]}")
        assert not [pid for pid in workers if psutil.pid_exists(pid)], "workers outlived the server"
        assert "Task exception was never retrieved" not in server.output()
        assert "Unhandled exception" not in server.output(), server.output()[-4000:]


def message(answer: Answer) -> str:
    text: str = json.loads(answer.body)["message"]
    return text


def faults_of(zoo: Zoo, home: Path) -> Iterator[Faults]:
    """The body of a fixture."""
    faults = Faults(zoo, home)
    with faults.stack:
        yield faults
