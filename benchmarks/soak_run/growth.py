"""Growth by least squares: of the HTTP process by requests and crashes together, of workers by their own calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.soak_run.records import Sample, WorkerSample

Floats = npt.NDArray[np.float64]

FEWEST = 8
"""Samples that a fit needs."""
WARM_CALLS = 10_000
"""Calls of a worker before its growth counts. Until then its memory rises in steps, as the few large bodies among its
calls meet the allocator in ever less favourable states; seen: the last step by call 8,000."""
SURE = 2.0
"""Standard errors by which a slope must exceed its bound."""


class Slope(msgspec.Struct):
    """A fitted coefficient."""

    process: str
    what: str
    per: str
    value: float
    error: float
    """Its standard error."""
    bound: float
    """More is a failure of the run."""

    @property
    def exceeded(self) -> bool:
        """Whether it is above its bound beyond doubt."""
        return self.value - SURE * self.error > self.bound


def least_squares(y: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Coefficients of the columns of ``x`` and their standard errors (Newey and West: memory at one time depends on
    that shortly before, so that plain errors would be too small).

    ``y`` has n values, ``x`` n rows. Columns that are constant or depend on each other have NaN as errors.
    """
    lags = int(4 * (len(y) / 100) ** (2 / 9))  # Newey's and West's own choice
    inverse = np.linalg.pinv(x.T @ x)
    coefficients = inverse @ x.T @ y
    scores = x * (y - x @ coefficients)[:, None]
    spread = scores.T @ scores
    for lag in range(1, lags + 1):
        product = scores[lag:].T @ scores[:-lag]
        spread += (1 - lag / (lags + 1)) * (product + product.T)
    errors = np.sqrt(np.clip(np.diag(inverse @ spread @ inverse), 0, None) * len(y) / max(1, len(y) - x.shape[1]))
    if np.linalg.matrix_rank(x) < x.shape[1]:
        errors = np.full(x.shape[1], np.nan)
    return coefficients, errors


def slopes(samples: Sequence[Sample], warm_up: float, bounds: dict[str, float]) -> list[Slope]:
    """All slopes of a run: of the HTTP process without the first ``warm_up`` seconds, of each worker without its first
    :data:`WARM_CALLS` calls; those that have too few samples are left out.

    ``bounds``: MiB for ``requests`` (a million), ``crashes`` (a thousand) and ``calls`` (a million); a number per hour
    for ``fds`` and ``threads``.
    """
    found: list[Slope] = []
    late = [sample for sample in samples if sample.at >= warm_up]
    if len(late) >= FEWEST:
        x = np.array([[1.0, sample.requests / 1e6, sample.crashes / 1e3] for sample in late])
        if not np.ptp(x[:, 2]):
            x = x[:, :2]  # no crashes: their share cannot be known
        for what in ("rss", "pss", "uss"):
            values, errors = least_squares(np.array([getattr(sample.http, what) for sample in late]), x)
            for place, (per, bound) in enumerate(
                (("million requests", "requests"), ("thousand crashes", "crashes")), 1
            ):
                if place < len(values):
                    found.append(
                        Slope("HTTP process", f"{what.upper()}, MiB", per, *_pair(values, errors, place), bounds[bound])
                    )
        hours = np.array([[1.0, sample.at / 3600] for sample in late])
        for what, words in (("fds", "file descriptors"), ("threads", "threads")):
            values, errors = least_squares(np.array([float(getattr(sample.http, what)) for sample in late]), hours)
            found.append(Slope("HTTP process", words, "hour", *_pair(values, errors, 1), bounds[what]))
    return found + worker_slopes(samples, bounds["calls"])


def worker_slopes(samples: Sequence[Sample], bound: float) -> list[Slope]:
    """Growth of workers by their own calls, over the lives of all of them: each has a level of its own."""
    lives: dict[int, list[WorkerSample]] = defaultdict(list)
    for sample in samples:
        for worker in sample.workers:
            if worker.calls >= WARM_CALLS:
                lives[worker.pid].append(worker)
    long = [life for life in lives.values() if len(life) >= FEWEST]
    found = []
    for what in ("rss", "pss", "uss") if long else ():
        y = np.concatenate([_centered([getattr(worker, what) for worker in life]) for life in long])
        x = np.concatenate([_centered([worker.calls / 1e6 for worker in life]) for life in long])[:, None]
        values, errors = least_squares(y, x)
        found.append(Slope("workers", f"{what.upper()}, MiB", "million calls", *_pair(values, errors, 0), bound))
    return found


def _centered(values: Sequence[float]) -> Floats:
    array = np.array(values, dtype=np.float64)
    centered: Floats = array - array.mean()
    return centered


def _pair(values: Floats, errors: Floats, place: int) -> tuple[float, float]:
    return float(values[place]), float(errors[place])
