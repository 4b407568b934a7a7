"""Thousands of mixed requests while workers are killed, hooks are late and clients leave; and what must still be true.

Each request knows the one answer that is right for it. Every other outcome must have been announced: by a status that
tells what happened, or by the client's own departure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from support.servers.faults import DIED, FULL, WAITED, FaultyServer, chat, encoded, order
from support.wire import Request, csv, upload

DEADLINE = 5.0
SETTINGS = {
    "CUSTOM_MODEL_WORKERS": "2",
    "DRUM_CLIENT_REQUEST_TIMEOUT": str(DEADLINE),
    "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "40",
    "DRUM_SPOOL_THRESHOLD": str(64 * 1024),
    "DRUM_UVICORN_MAX_REQUESTS": "2000",
    "DRUM_UVICORN_MAX_REQUESTS_JITTER": "200",
}
READ_TIMEOUT = 60.0
"""Seconds after which an answer counts as missing."""


@dataclass(frozen=True)
class Kind:
    """One sort of request: how often, how it is made from a number, which body is right."""

    weight: int
    make: Callable[[int], Request]
    right: Callable[[int, bytes], bool]


def predicted(count: int) -> Callable[[int, bytes], bool]:
    return lambda number, body: json.loads(body) == {"predictions": [float(number)] * count}


def many(number: int, rows: int) -> bytes:
    return f"do,arg\necho,{number}\n".encode() + f"echo,{number}\n".encode() * (rows - 1)


def whole_stream(number: int, body: bytes) -> bool:
    return body.count(b"data: ") == number % 20 + 2 and body.endswith(b"data: [DONE]\n\n")


KINDS = {
    "1 row": Kind(500, lambda n: order("echo", n), predicted(1)),
    "100 rows": Kind(200, lambda n: csv(many(n, 100)), predicted(100)),
    "upload to disk": Kind(60, lambda n: upload(many(n, 20_000)), predicted(20_000)),
    "stream": Kind(150, lambda n: chat(count=n % 20 + 1, size=2000), whole_stream),
    "20 ms hook": Kind(70, lambda n: order("sleep", 0.02), lambda n, body: json.loads(body) == {"predictions": [0.02]}),
    "raising hook": Kind(14, lambda n: order("sys_exit", n), lambda n, body: False),
    "late hook": Kind(2, lambda n: order("sleep", 600), lambda n, body: False),
    "fatal hook": Kind(2, lambda n: order("segfault", n), lambda n, body: False),
}

ANNOUNCED = {
    503: {"queue full": FULL, "waited too long": WAITED, "worker died": DIED["message"]},
    504: {"deadline": f"Request timeout after {DEADLINE:g}s"},
}
BUSY = frozenset({"503 queue full", "503 waited too long"})
LATE, DEAD = "504 deadline", "503 worker died"
RIGHT, LEFT, ERROR_EVENT, RAISED = "200 right answer", "client left", "200 stream, error event", "500 hook raised"


@dataclass
class Storm:
    """One run. ``outcomes[kind][outcome]`` counts requests; ``wrong`` holds what must not be."""

    server: FaultyServer
    requests: int
    clients: int = 48
    seed: int = 7
    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in KINDS})
    kills: int = 0
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        dice = random.Random(self.seed)
        names = list(KINDS)
        weights = [KINDS[name].weight for name in names]
        plan = iter(
            [(n, name, dice.random()) for n, name in enumerate(dice.choices(names, weights, k=self.requests), 1)]
        )
        killer = asyncio.ensure_future(self._kill(random.Random(self.seed)))

        async def client() -> None:
            for number, name, chance in plan:
                leaves = chance < 0.05
                outcome = await self._one(number, KINDS[name], chance if leaves else None)
                self.outcomes[name][outcome] += 1
                if outcome in BUSY:
                    await asyncio.sleep(0.5)  # what Retry-After asks for, in small

        await asyncio.gather(*(client() for _ in range(self.clients)))
        killer.cancel()

    async def _kill(self, dice: random.Random) -> None:
        """SIGKILL for a worker of random age and state, now and then."""
        while True:
            await asyncio.sleep(dice.uniform(2, 8))
            with contextlib.suppress(ProcessLookupError, IndexError, psutil.Error):
                os.kill(dice.choice(self.server.workers()), signal.SIGKILL)
                self.kills += 1

    async def _one(self, number: int, kind: Kind, chance: float | None) -> str:
        """``chance``: how soon the client leaves, in units of a second; None if it stays."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(encoded(kind.make(number).with_headers(("Connection", "close"))))
            if chance is not None:
                await asyncio.sleep(chance)
                return LEFT
            with contextlib.suppress(ConnectionError):  # refused before all was sent
                await writer.drain()
            data = await asyncio.wait_for(reader.read(-1), READ_TIMEOUT)
        except (asyncio.TimeoutError, OSError) as error:
            self.wrong.append(f"request {number}: {error!r}")
            return "no answer"
        finally:
            writer.transport.abort()
        return self._judge(number, kind, data)

    def _judge(self, number: int, kind: Kind, data: bytes) -> str:
        head, _, body = data.partition(b"\r\n\r\n")
        status = int(head[9:12] or b"0")
        if b"transfer-encoding: chunked" in head:
            body = dechunked(body)
        if status == 200 and kind.right(number, body):
            return RIGHT
        if status == 200 and b'data: {"error"' in body:
            return ERROR_EVENT
        if status == 500 and f"{number}" in body.decode():
            return RAISED
        for words, text in ANNOUNCED.get(status, {}).items():
            if json.loads(body)["message"] == text:
                return f"{status} {words}"
        self.wrong.append(f"request {number}: {data[:600]!r}")
        return f"{status} wrong"

    def check(self) -> None:
        """Raises AssertionError when a client got a wrong answer or none, or something is left over."""
        assert not self.wrong, self.wrong[:5]
        assert sum(sum(counts.values()) for counts in self.outcomes.values()) == self.requests
        allowed = {RIGHT, LEFT, *BUSY, LATE, DEAD}
        for name, counts in self.outcomes.items():
            extra = {"stream": {ERROR_EVENT}, "raising hook": {RAISED}}.get(name, set())
            assert set(counts) <= allowed | extra, (name, counts)
        self.server.still_works(2)
        assert descriptors(self.server) <= self.before + 8

    before: int = 0

    def prepare(self) -> None:
        """Remember what must not grow."""
        self.server.still_works(2)
        self.before = descriptors(self.server)

    def table(self) -> str:
        columns = sorted({outcome for counts in self.outcomes.values() for outcome in counts})
        lines = [f"| request | sent | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
        total: Counter[str] = Counter()
        for name, counts in self.outcomes.items():
            lines.append(_row(name, counts, columns))
            total.update(counts)
        return "\n".join([*lines, _row("**all**", total, columns)])


def _row(name: str, counts: Counter[str], columns: list[str]) -> str:
    cells = [name, str(sum(counts.values())), *(str(counts[column]) for column in columns)]
    return f"| {' | '.join(cells)} |"


def dechunked(body: bytes) -> bytes:
    """The content of a chunked body; as much as is there of a truncated one."""
    found = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        found.append(rest[:length])
        body = rest[length + 2 :] if length else b""
    return b"".join(found)


def descriptors(server: FaultyServer) -> int:
    return psutil.Process(server.pid).num_fds()
