"""Counters over pairs, percentiles, and thresholds."""

from __future__ import annotations

import math

import pytest

from drum_litestar.tools.compare.diff import Difference
from drum_litestar.tools.compare.messages import Answer, Request
from drum_litestar.tools.compare.outcomes import FINDINGS_KEPT, Counters, paired, percentile, percentiles
from drum_litestar.tools.compare.verdict import Thresholds, broken, judge, success

REQUEST = Request("1", "POST", "/predict/")
DIFFERENT = (Difference("body", "1", "2"),)
GONE = Answer(0, error="reset")


def count(counters: Counters, baseline: Answer, candidate: Answer, times: int = 1, different: bool = False) -> None:
    for _ in range(times):
        counters.count(paired(REQUEST, baseline, candidate, DIFFERENT if different else ()))


def ok(milliseconds: float = 10.0, status: int = 200) -> Answer:
    return Answer(status, seconds=milliseconds / 1000)


def failed(counters: Counters, **limits: float) -> set[str]:
    return {check.name for check in judge(counters, Thresholds(**limits)) if not check.ok}  # type: ignore[arg-type]


def test_percentiles_by_nearest_rank() -> None:
    values = [float(number) for number in range(1, 101)]
    assert percentiles(reversed(values)) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert percentile([5.0], 99) == 5.0
    assert percentile([1.0, 2.0], 50) == 1.0
    assert math.isnan(percentile([], 50))


def test_all_well() -> None:
    counters = Counters()
    count(counters, ok(), ok(), 10)
    assert not failed(counters)


def test_nothing_compared_fails() -> None:
    assert failed(Counters()) == {"compared requests"}


@pytest.mark.parametrize(("errors", "passes"), [(0, True), (1, True), (2, False)])
def test_error_rate_must_be_below_the_limit(errors: int, passes: bool) -> None:
    counters = Counters()
    count(counters, ok(), ok(), 2000 - errors)
    count(counters, ok(), ok(status=500), errors)
    assert ("error rate" not in failed(counters, mismatches=9)) is passes


def test_no_error_is_below_a_limit_of_zero() -> None:
    counters = Counters()
    count(counters, ok(), ok())
    assert not failed(counters, error_rate=0.0)


def test_an_error_of_both_is_none_of_the_candidates() -> None:
    counters = Counters()
    count(counters, ok(status=500), ok(status=500), 5)
    assert counters.errors == 0
    assert not failed(counters)


@pytest.mark.parametrize("status", [500, 422, 404, 302])
def test_servers_that_agree_in_refusing_everything_prove_nothing(status: int) -> None:
    counters = Counters()
    assert success(counters).ok  # that nothing was compared is another check's matter
    count(counters, ok(status=status), ok(status=status), 3)
    assert str(success(counters)) == (
        "successful answers 0 of 6: no answer was a success: the corpus does not fit the model? (limit >= 1)"
    )
    assert not success(counters).ok
    count(counters, ok(status=201), ok(status=status))
    assert success(counters).ok


def test_candidate_without_an_answer_is_an_error_but_no_mismatch() -> None:
    counters = Counters()
    count(counters, ok(), GONE, different=True)
    assert (counters.errors, counters.mismatches) == (1, 0)
    assert counters.findings[0].kind == "error"
    assert counters.findings[0].text == "candidate: no answer (reset)"


@pytest.mark.parametrize("answer", [GONE, ok(status=503), ok(status=513)])
def test_baseline_that_does_not_serve_proves_nothing(answer: Answer) -> None:
    counters = Counters()
    count(counters, answer, ok(status=503), 3)
    assert "baseline answers" in failed(counters)


def test_p99_with_increase_and_slack() -> None:
    counters = Counters()
    count(counters, ok(10.0), ok(11.9), 100)
    assert not failed(counters)
    count(counters, ok(10.0), ok(12.5), 2)
    assert failed(counters) == {"p99 latency"}
    assert not failed(counters, latency_slack=0.001)
    assert not failed(counters, p99_increase=0.3)


def test_latencies_are_of_the_requests_that_both_answered() -> None:
    counters = Counters()
    count(counters, ok(), GONE)
    count(counters, GONE, ok())
    assert not counters.baseline.latencies
    assert not counters.candidate.latencies


def test_one_mismatch_is_too_many() -> None:
    counters = Counters()
    count(counters, ok(), ok(), 5000)
    count(counters, ok(), ok(), different=True)
    assert failed(counters) == {"mismatches"}
    assert not failed(counters, mismatches=1)


def test_running_comparison_is_stopped_by_what_cannot_become_good() -> None:
    limits = Thresholds(samples=100)
    counters = Counters()
    count(counters, ok(10), ok(99), 99)
    assert not broken(counters, limits)  # too few for a p99
    count(counters, ok(10), ok(99))
    assert [check.name for check in broken(counters, limits)] == ["p99 latency"]
    early = Counters()
    count(early, ok(), GONE)
    (check,) = broken(early, limits)
    assert check.value == "at least 1.00% of the first 100"
    assert not broken(early, Thresholds(samples=10_000))


def test_memory_is_bounded() -> None:
    counters = Counters()
    count(counters, ok(), ok(status=500), FINDINGS_KEPT + 10, different=True)
    assert len(counters.findings) == FINDINGS_KEPT
    assert counters.errors == FINDINGS_KEPT + 10
    assert counters.cases is None
