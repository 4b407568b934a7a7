"""The simulation behind docs/scaling.md agrees with what queueing theory knows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.costs import waiting_time


@pytest.fixture(autouse=True)
def fewer_arrivals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_time, "ARRIVALS", 120_000)
    monkeypatch.setattr(waiting_time, "WARM_UP", 20_000)


def exponential(rng: np.random.Generator) -> waiting_time.Times:
    return rng.exponential(1.0, 100_000)


def test_one_slot_with_exponential_times_is_the_queue_of_the_textbook() -> None:
    rng = np.random.default_rng(1)
    taken = waiting_time.simulate(exponential(rng), 1, 0.5, rng)
    # M/M/1: the time in the system is exponential with the mean 1 / (1 - 0.5)
    assert taken.mean() == pytest.approx(2.0, rel=0.05)
    assert np.quantile(taken, 0.5) == pytest.approx(2.0 * math.log(2), rel=0.05)
    assert np.quantile(taken, 0.99) == pytest.approx(2.0 * math.log(100), rel=0.1)


def test_the_fewest_requests_lie_between_one_queue_and_chance() -> None:
    rng = np.random.default_rng(2)
    service = exponential(rng)
    pooled = waiting_time.simulate(service, 4, 0.8, rng).mean()
    balanced = waiting_time.simulate_pods(service, 4, 0.8, rng, pods=4).mean()
    by_chance = waiting_time.simulate(service, 1, 0.8, rng).mean()
    assert pooled < balanced < by_chance / 1.5


def test_one_pod_is_one_queue() -> None:
    service = np.full(10, 1.0)
    pooled = waiting_time.simulate(service, 2, 0.7, np.random.default_rng(3))
    one_pod = waiting_time.simulate_pods(service, 2, 0.7, np.random.default_rng(3), pods=1)
    assert np.array_equal(pooled, one_pod)
