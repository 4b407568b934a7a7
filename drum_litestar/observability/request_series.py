"""Counts and durations of requests, kept in plain numbers.

The client library's own counters take a lock and walk their buckets for each observation, which cost more than all
other work at the end of a short request. Here that is a lookup, a bisection and three additions; the library's
families are made when a scrape comes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prometheus_client import Metric

UNMATCHED: Final = "<unmatched>"
"""Endpoint label of a request that no route matched: raw paths are the client's, and would be endless series."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class _Series:
    """Requests of one method, endpoint and status."""

    __slots__ = ("counts", "seconds")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.seconds = 0.0


class RequestSeries:
    """A collector of ``drum_requests`` and ``drum_request_duration_seconds``. :meth:`finished` is for one thread."""

    def __init__(self, buckets: Sequence[float]) -> None:
        self._bounds = tuple(buckets)
        self._series: dict[tuple[str, str | None, int], _Series] = {}

    def finished(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count one request."""
        series = self._series.get((method, route, status)) or self._find(method, route, status)
        series.counts[bisect_left(self._bounds, seconds)] += 1
        series.seconds += seconds

    def _find(self, method: str, route: str | None, status: int) -> _Series:
        """Made-up methods must not fill the table."""
        key = (method if method in _METHODS else "OTHER", route, status)
        return self._series.setdefault(key, _Series(len(self._bounds) + 1))

    def describe(self) -> Iterable[Metric]:
        """Nothing to promise beforehand: the names are checked at the scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        labels = ("method", "endpoint")
        requests = CounterMetricFamily("drum_requests", "Requests answered.", labels=(*labels, "status"))
        durations = HistogramMetricFamily(
            "drum_request_duration_seconds", "From the request's head to the last byte of its answer.", labels=labels
        )
        totals: dict[tuple[str, str], _Series] = {}
        for (method, route, status), series in tuple(self._series.items()):
            where = (method, route or UNMATCHED)
            counts = tuple(series.counts)
            requests.add_metric((*where, str(status)), sum(counts))
            total = totals.setdefault(where, _Series(len(counts)))
            total.counts = [one + other for one, other in zip(total.counts, counts, strict=True)]
            total.seconds += series.seconds
        for where, total in totals.items():
            cumulative, buckets = 0, []
            for bound, count in zip((*self._bounds, "+Inf"), total.counts, strict=True):
                cumulative += count
                buckets.append((str(bound), cumulative))
            durations.add_metric(where, buckets, total.seconds)
        yield requests
        yield durations
