"""Counters and histograms of requests, kept as plain numbers.

The client library's own counters take a lock and walk their buckets for each observation, which cost more than all
other work at the end of a short request. An observation here is a lookup, a bisection and three additions; the
library's metric families are built at the scrape.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from drum_litestar.route_table import merged_slashes

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.core import HistogramMetricFamily

UNMATCHED: Final = "<unmatched>"
"""Endpoint label of a request that no route matched: raw paths are the client's, and would be endless series."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class _Series:
    """Number of observed values per bucket (the last is ``+Inf``), and their sum."""

    __slots__ = ("counts", "sum")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum = 0.0

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str], bounds: Sequence[float]) -> None:
        cumulative, buckets = 0, []
        for bound, count in zip((*bounds, "+Inf"), self.counts, strict=True):
            cumulative += count
            buckets.append((str(bound), cumulative))
        family.add_metric(labels, buckets, self.sum)


class PlainHistogram:
    """Collector of one histogram without labels. Not thread-safe: call :meth:`observe` on one thread."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name, self._text = name, text
        self._bounds = tuple(map(float, bounds))
        self._series = _Series(len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one value."""
        self._series.counts[bisect_left(self._bounds, value)] += 1
        self._series.sum += value

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(self._name, self._text, labels=())
        self._series.add_to(family, (), self._bounds)
        yield family


class RouteLabels:
    """Lookup of route templates by path, for requests that were refused before routing."""

    def __init__(self, templates: Iterable[str] = ()) -> None:
        """``templates``: ``/predict`` or ``/nim/{path}``; those with a parameter before their end are left out."""
        known = tuple(templates)
        self._fixed = frozenset(template for template in known if "{" not in template)
        self._prefixes = tuple(
            (prefix, template)
            for template in known
            for prefix, brace, name in (template.partition("{"),)
            if brace and name.find("}") == len(name) - 1 and prefix != "/"
        )

    def find(self, path: str) -> str | None:
        """Return the template of ``path``, with or without a trailing slash; None when no route has it.

        Repeated slashes count as one, as in Litestar.
        """
        path = merged_slashes(path)
        bare = path.rstrip("/") or "/"
        if bare in self._fixed:
            return bare
        return next((template for prefix, template in self._prefixes if path.startswith(prefix)), None)


class RequestSeries:
    """Collector of ``drum_requests`` and ``drum_request_duration_seconds``.

    Not thread-safe: call :meth:`finished` on one thread.
    """

    def __init__(self, buckets: Sequence[float]) -> None:
        self._bounds = tuple(buckets)
        self._series: dict[tuple[str, str | None, int], _Series] = {}

    def finished(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count one finished request."""
        series = self._series.get((method, route, status)) or self._find(method, route, status)
        series.counts[bisect_left(self._bounds, seconds)] += 1
        series.sum += seconds

    def _find(self, method: str, route: str | None, status: int) -> _Series:
        """Return the labels' series. Unknown methods share one: clients must not be able to create series."""
        key = (method if method in _METHODS else "OTHER", route, status)
        return self._series.setdefault(key, _Series(len(self._bounds) + 1))

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
            total.sum += series.sum
        for where, total in totals.items():
            total.add_to(durations, where, self._bounds)
        yield requests
        yield durations
