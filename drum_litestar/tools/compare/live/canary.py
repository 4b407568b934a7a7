"""``--canary``: the candidate answers a growing share of the requests while it meets the thresholds.

Each request that the candidate answers is copied to the baseline afterwards, so that errors, mismatches and latencies
are measured on the same requests; the baseline's load does not change. When the candidate gives no answer at all, the
baseline answers the client, and the failure counts.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from drum_litestar.tools.compare.diff import Comparison
from drum_litestar.tools.compare.live.live_mode import Live
from drum_litestar.tools.compare.live.mirror import Mirror
from drum_litestar.tools.compare.live.proxy import Exchange, Route
from drum_litestar.tools.compare.live.rollout import Rollout, State, bucket
from drum_litestar.tools.compare.messages import Answer
from drum_litestar.tools.compare.outcomes import Counters, paired
from drum_litestar.tools.compare.upstream import Upstream
from drum_litestar.tools.compare.verdict import Thresholds


class Canary(Live):
    """Mode ``--canary``. ``exit_when_done`` stops the proxy when the rollout ends; else it serves at the last share."""

    def __init__(
        self,
        baseline: Upstream,
        candidate: Upstream,
        comparison: Comparison,
        limits: Thresholds,
        *,
        steps: tuple[float, ...],
        hold: float,
        state_file: Path,
        exit_when_done: bool,
        queue_size: int,
        workers: int,
    ) -> None:
        super().__init__()
        self._exit_when_done = exit_when_done
        wanted = State(baseline.url, candidate.url, steps, hold)
        self.rollout = Rollout(state_file, wanted, limits, self._rollout_ended)
        self._baseline = baseline
        self._candidate = candidate
        self._to_baseline = Route(baseline)
        self._to_candidate = Route(candidate, fallback=baseline, ignore_disconnect=True)
        self._mirror = Mirror(
            baseline, candidate, comparison, self.rollout.count, self.counters.not_compared,
            queue_size=queue_size, workers=workers,
        )  # fmt: skip
        self._interval = min(1.0, max(hold / 20, 0.02))
        self._ticking: asyncio.Future[None] | None = None

    @property
    def counters(self) -> Counters:
        return self.rollout.total

    async def start(self) -> None:
        await super().start()
        self._mirror.start()
        self.rollout.start()
        self._ticking = asyncio.ensure_future(self._tick())

    async def stop(self) -> None:
        """Compare the queued pairs, too."""
        await super().stop()
        await self._mirror.drain()
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)

    def status(self) -> str:
        counters = self.counters
        return (
            f"canary: {self.rollout.share:g} % to the candidate; {self.requests} requests, {counters.pairs} compared: "
            f"{counters.errors} errors, {counters.mismatches} mismatches"
        )

    def route(self, request_id: str) -> Route:
        return self._to_candidate if bucket(request_id) < self.rollout.share else self._to_baseline

    def finished(self, exchange: Exchange) -> None:
        self.counted()
        if exchange.failure is not None:
            self.rollout.count(paired(exchange.request, exchange.answer, exchange.failure, ()))
        elif exchange.server is self._candidate and not self._mirror.offer(exchange) and exchange.answer.is_error:
            # An error counts even when the request cannot be sent to the baseline for comparison.
            self.rollout.count(paired(exchange.request, Answer(0), exchange.answer, ()))

    async def _tick(self) -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(self._interval)
            now = time.monotonic()
            self.rollout.tick(now - before)
            before = now

    def _rollout_ended(self) -> None:
        if self._exit_when_done:
            self.done.set()
