"""``--shadow``: clients are answered by the baseline; the candidate gets a copy that nobody waits for."""

from __future__ import annotations

from drum_litestar.tools.compare.diff import Comparison
from drum_litestar.tools.compare.live.live_mode import Live
from drum_litestar.tools.compare.live.mirror import Mirror
from drum_litestar.tools.compare.live.proxy import Exchange, Route
from drum_litestar.tools.compare.outcomes import Tally
from drum_litestar.tools.compare.upstream import Upstream


class Shadow(Live):
    """``tally`` holds the pairs; what had no copy is in ``tally.not_compared``, by reason."""

    def __init__(
        self,
        baseline: Upstream,
        candidate: Upstream,
        comparison: Comparison,
        *,
        queue_size: int,
        workers: int,
        max_requests: int | None = None,
        duration: float | None = None,
    ) -> None:
        super().__init__(max_requests=max_requests, duration=duration)
        self.tally = Tally()
        self._route = Route(baseline)
        self._mirror = Mirror(
            baseline,
            candidate,
            comparison,
            self.tally.count,
            self.tally.not_compared,
            queue_size=queue_size,
            workers=workers,
        )

    async def start(self) -> None:
        await super().start()
        self._mirror.start()

    async def stop(self) -> None:
        await super().stop()
        await self._mirror.drain()

    def status(self) -> str:
        tally = self.tally
        left_out = "".join(f", {count} {reason}" for reason, count in tally.not_compared.items())
        return (
            f"{self.requests} requests, {tally.pairs} compared: "
            f"{tally.errors} errors, {tally.mismatches} mismatches{left_out}"
        )

    def route(self, request_id: str) -> Route:
        return self._route

    def finished(self, exchange: Exchange) -> None:
        self._mirror.offer(exchange)
        self.counted()
