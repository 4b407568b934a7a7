"""The load: requests of all kinds at a constant rate, each judged by what it should get."""

from __future__ import annotations

import asyncio
import itertools
import random
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from benchmarks.load.client import HOST, Client, LostError
from benchmarks.soak_run.request_kinds import ONE_ROW, Kind

TIMEOUT = 30.0
"""Seconds after which an answer counts as missing."""
AFTER_A_FAULT = frozenset({"503", "504"})
"""What a call may get while its worker dies or is replaced."""
REFUSED = b"no worker was free in time"
"""In the answer to a call that has waited too long in the queue: the machine is busy, or workers are missing."""
CONNECTIONS = 64
"""At most so many are open, as a proxy's pool has; requests wait for one of them."""
LEAVES_AFTER = 0.002
"""Seconds after which a client that leaves before the answer has left."""
_EXAMPLE = 300


class Traffic:
    """Sends and judges requests. ``answers[kind][outcome]`` counts them."""

    def __init__(
        self, port: int, unsettled: Callable[[], bool], unexpected: Callable[[str, str, str], None], seed: int = 7
    ) -> None:
        """``unsettled``: whether a fault may still show in answers. ``unexpected`` gets the kind, the outcome and the
        beginning of the answer, once for each kind and outcome."""
        self.answers: dict[str, Counter[str]] = defaultdict(Counter)
        self.unexpected = 0
        self.latencies: list[float] = []
        """Seconds of one-row answers, from when the request was due; whoever reads them empties the list."""
        self._port = port
        self._client = Client(port, CONNECTIONS)
        self._unsettled = unsettled
        self._tell = unexpected
        self._told: set[tuple[str, str]] = set()
        self._dice = random.Random(seed)
        self._bodies: dict[bytes, int] = {}
        """Checksum of the first answer to each request."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def requests(self) -> int:
        """Requests that have ended so far."""
        return sum(sum(counts.values()) for counts in self.answers.values())

    async def run(self, kinds: tuple[Kind, ...], rate: float, seconds: float) -> None:
        """Send ``rate`` requests/s for ``seconds``, whether or not the answers keep up, and wait for the last one."""
        loop = asyncio.get_running_loop()
        wires: dict[str, Iterator[bytes]] = {kind.name: itertools.cycle(kind.wire) for kind in kinds}
        weights = list(itertools.accumulate(kind.weight for kind in kinds))
        began = loop.time()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            (kind,) = self._dice.choices(kinds, cum_weights=weights)
            task = asyncio.ensure_future(self.send(kind, next(wires[kind.name]), due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await asyncio.gather(*self._tasks)

    async def send(self, kind: Kind, request: bytes, due: float) -> None:
        """Send one request and count its outcome."""
        pieces: list[bytes] = []
        try:
            if kind.leaves or kind.fresh:
                outcome = await asyncio.wait_for(self._alone(kind, request, pieces), TIMEOUT)
            else:
                outcome = str(await asyncio.wait_for(self._client.send(request, pieces.append), TIMEOUT))
        except asyncio.TimeoutError:
            outcome = "no answer in time"
        except (OSError, LostError) as error:
            outcome = "connection lost"
            pieces = [repr(error).encode()]
        self._judge(kind, request, outcome, b"".join(pieces), due)

    def _judge(self, kind: Kind, request: bytes, outcome: str, body: bytes, due: float) -> None:
        if outcome == kind.expected:
            if kind.same and outcome == "200":
                checksum = zlib.crc32(body)
                if self._bodies.setdefault(request, checksum) != checksum:
                    outcome = "200 with another body"
            if kind.name == ONE_ROW and outcome == "200":
                self.latencies.append(asyncio.get_running_loop().time() - due)
        elif outcome == "503" and REFUSED in body:
            outcome = "503 refused"
        elif kind.calls_model and outcome in AFTER_A_FAULT and self._unsettled():
            outcome += " after a fault"
        if outcome != kind.expected and not outcome.endswith(("refused", "after a fault")):
            self.unexpected += 1
            if (kind.name, outcome) not in self._told:
                self._told.add((kind.name, outcome))
                self._tell(kind.name, outcome, body[:_EXAMPLE].decode(errors="replace"))
        self.answers[kind.name][outcome] += 1

    async def _alone(self, kind: Kind, request: bytes, pieces: list[bytes]) -> str:
        """On a connection of its own: the status, or ``left``."""
        reader, writer = await asyncio.open_connection(HOST, self._port)
        try:
            writer.write(request)
            await writer.drain()
            if kind.leaves:
                await asyncio.sleep(LEAVES_AFTER)
                return "left"
            pieces.append(await reader.readuntil(b"\r\n\r\n"))
            return pieces[0][9:12].decode(errors="replace")
        except asyncio.IncompleteReadError as error:
            raise LostError(f"after {error.partial!r}") from error
        finally:
            writer.transport.abort()

    def close(self) -> None:
        self._client.close()
