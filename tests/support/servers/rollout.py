"""A rolling replacement under load: two servers behind HAProxy, of which one after the other is replaced."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from support.servers.backends import start_ours
from support.servers.haproxy import HAProxy, haproxy
from support.servers.process import ServerProcess
from support.wire import Request, csv, get
from support.zoo import ModelFolder

REQUESTS: Sequence[tuple[Request, bytes]] = (
    (get("/info/"), b'"drumServer":"litestar"'),
    (csv("do,arg\necho,7\n"), b'{"predictions":[7.0]}'),
)
"""Each with what its answer has in it."""
LAME_DUCK: Mapping[str, str] = {"DRUM_LAME_DUCK": "1.5"}
"""Longer than the proxy takes to notice."""


class Clients:
    """Threads that ask through one connection each, which they open again only after a failure.

    ``pauses``: seconds between an answer and the next request, one after the other.
    """

    def __init__(self, port: int, count: int, pauses: Sequence[float] = (0.0,)) -> None:
        self.answered = 0
        self.failures: Counter[str] = Counter()
        self._port = port
        self._stop = threading.Event()
        self._pauses = pauses
        self._guard = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        pauses = itertools.cycle(self._pauses)
        with contextlib.closing(connection):
            for request, wanted in itertools.islice(itertools.cycle(REQUESTS), number, None):
                failure = self._failure(connection, request, wanted)
                with self._guard:
                    self.answered += 1
                    self.failures.update([failure] if failure else [])
                if self._stop.wait(next(pauses)):
                    return

    @staticmethod
    def _failure(connection: http.client.HTTPConnection, request: Request, wanted: bytes) -> str:
        """What went wrong, in a few words that are alike for like failures; empty if nothing did."""
        try:
            connection.request(request.method, request.target, request.body or None, dict(request.headers))
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return f"{request.method}: {type(error).__name__}"
        if answer.status != 200:
            return f"{request.method}: {answer.status}"
        return "" if wanted in body else f"{request.method}: {body[:100]!r}"


class Rollout:
    """Two servers over one model folder, and the proxy in front of them."""

    def __init__(self, folder: ModelFolder, path: Path, home: Path, env: Mapping[str, str]) -> None:
        self._folder, self._path, self._home = folder, path, home
        self._env = {"FAULTS_DIR": str(home), **env}
        self._count = itertools.count()
        self.servers = [self._start() for _ in range(2)]

    def _start(self, port: int | None = None) -> ServerProcess:
        log = self._home / f"server-{next(self._count)}.log"
        return start_ours(self._folder, self._path, log, env=self._env, port=port)

    def wait_ready(self, proxy: HAProxy) -> None:
        for server in self.servers:
            server.wait_ready()
        proxy.wait_up(0, 1)

    def replace(self, number: int, proxy: HAProxy) -> None:
        """Stop one server as an orchestrator does, and return when a new one takes its place."""
        old = self.servers[number]
        code = old.stop()
        assert code == 0, f"exit code {code} after SIGTERM:\n{old.output()[-4000:]}"
        new = self.servers[number] = self._start(old.port)
        new.wait_ready()
        proxy.wait_up(number)

    def kill(self) -> None:
        for server in self.servers:
            server.kill()


@contextlib.contextmanager
def rollout(
    folder: ModelFolder, path: Path, home: Path, env: Mapping[str, str], *, reuse: str = "safe"
) -> Iterator[tuple[Rollout, HAProxy]]:
    """Servers and proxy, ready, for as long as the block runs."""
    servers = Rollout(folder, path, home, env)
    try:
        with haproxy(home, [server.port for server in servers.servers], reuse=reuse) as proxy:
            servers.wait_ready(proxy)
            yield servers, proxy
    finally:
        servers.kill()


def replaced_under_load(
    servers: Rollout, proxy: HAProxy, rounds: int, clients: int, pauses: Sequence[float] = (0.0,)
) -> tuple[Clients, float]:
    """Replace a server ``rounds`` times, one after the other, while clients ask; returns them and the seconds."""
    began = time.monotonic()
    with Clients(proxy.port, clients, pauses) as asking:
        for number in range(rounds):
            servers.replace(number % 2, proxy)
    return asking, time.monotonic() - began
