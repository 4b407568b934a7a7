"""``--shadow``: the baseline answers clients; the candidate gets copies, off the clients' path."""

from __future__ import annotations

from drum_litestar.tools.compare.diff import Comparison
from drum_litestar.tools.compare.live.live_mode import Live
from drum_litestar.tools.compare.live.mirror import Mirror
from drum_litestar.tools.compare.live.proxy import Exchange, Route
from drum_litestar.tools.compare.outcomes import Counters
from drum_litestar.tools.compare.upstream import Upstream


class Shadow(Live):
    """Mode ``--shadow``. ``counters.not_compared`` has the requests without a copy, by reason."""

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
        self.counters = Counters()
        self._route = Route(baseline)
        self._mirror = Mirror(
            baseline,
            candidate,
            comparison,
            self.counters.count,
            self.counters.not_compared,
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
        counters = self.counters
        left_out = "".join(f", {count} {reason}" for reason, count in counters.not_compared.items())
        return (
            f"{self.requests} requests, {counters.pairs} compared: "
            f"{counters.errors} errors, {counters.mismatches} mismatches{left_out}"
        )

    def route(self, request_id: str) -> Route:
        return self._route

    def finished(self, exchange: Exchange) -> None:
        self._mirror.offer(exchange)
        self.counted()
