"""The series of ``/metrics`` as OpenTelemetry's instruments, which read them when they are exported.

A request costs nothing more. Names and labels are those of ``/metrics``; a histogram is its three series ``_bucket``
(with the label ``le``), ``_sum`` and ``_count``.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.metrics import Meter, Observation

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SUFFIXES: Final = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
_ONE_EXPORT: Final = 0.5
"""Seconds within which all instruments show the same reading, which takes some milliseconds."""


def export_metrics(registry: CollectorRegistry, meter: Meter) -> None:
    """Make an instrument of each series that ``registry`` has now, or will have with other labels."""
    reading = _Reading(registry)
    for family in registry.collect():
        for suffix in _SUFFIXES[family.type]:
            name = family.name + suffix
            create = meter.create_observable_gauge if family.type == "gauge" else meter.create_observable_counter
            create(name, [reading.callback(name)], description=family.documentation)


class _Reading:
    """The samples of a registry by their names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._samples: dict[str, list[Observation]] = {}
        self._read_at = 0.0

    def callback(self, name: str) -> Callable[[Any], Iterable[Observation]]:
        return lambda options: self._all().get(name, ())

    def _all(self) -> dict[str, list[Observation]]:
        now = time.monotonic()
        if now - self._read_at > _ONE_EXPORT:
            samples: defaultdict[str, list[Observation]] = defaultdict(list)
            for family in self._registry.collect():
                for sample in family.samples:
                    samples[sample.name].append(Observation(sample.value, sample.labels))
            self._samples, self._read_at = samples, now
        return self._samples
