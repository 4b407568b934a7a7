"""Counts and distributions of what happens in each request, kept in plain numbers.

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
    from prometheus_client.core import HistogramMetricFamily

UNMATCHED: Final = "<unmatched>"
"""Endpoint label of a request that no route matched: raw paths are the client's, and would be endless series."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class _Series:
    """Observed values: how many in each bucket, the last one being for what is above all bounds, and their sum."""

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
    """A collector of one histogram without labels. :meth:`observe` is for one thread."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name, self._text = name, text
        self._bounds = tuple(map(float, bounds))
        self._series = _Series(len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one value."""
        self._series.counts[bisect_left(self._bounds, value)] += 1
        self._series.sum += value

    def describe(self) -> Iterable[Metric]:
        """Nothing to promise beforehand: the names are checked at the scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(self._name, self._text, labels=())
        self._series.add_to(family, (), self._bounds)
        yield family


class RouteTable:
    """Finds the template of a path that the router has not seen, because the request was refused before."""

    def __init__(self, templates: Iterable[str] = ()) -> None:
        """``templates`` as ``/predict`` or ``/nim/{path}``. Others, with a parameter amid, are left out."""
        known = tuple(templates)
        self._fixed = frozenset(template for template in known if "{" not in template)
        self._beginnings = tuple(
            (beginning, template)
            for template in known
            for beginning, brace, name in (template.partition("{"),)
            if brace and name.find("}") == len(name) - 1 and beginning != "/"
        )

    def find(self, path: str) -> str | None:
        """The template of ``path``, with a slash at the end or without; None when it is no route's."""
        bare = path.rstrip("/") or "/"
        if bare in self._fixed:
            return bare
        return next((template for beginning, template in self._beginnings if path.startswith(beginning)), None)


class RequestSeries:
    """A collector of ``drum_handlers`` and ``drum_request_duration_seconds``. :meth:`finished` is for one thread."""

    def __init__(self, buckets: Sequence[float]) -> None:
        self._bounds = tuple(buckets)
        self._series: dict[tuple[str, str | None, int], _Series] = {}

    def finished(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count one request."""
        series = self._series.get((method, route, status)) or self._find(method, route, status)
        series.counts[bisect_left(self._bounds, seconds)] += 1
        series.sum += seconds

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
        requests = CounterMetricFamily("drum_handlers", "Requests answered.", labels=(*labels, "status"))
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
