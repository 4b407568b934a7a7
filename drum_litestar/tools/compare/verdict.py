"""Verdict: counters checked against thresholds."""

from __future__ import annotations

import msgspec

from drum_litestar.tools.compare.outcomes import Counters, Side, percentile


class Thresholds(msgspec.Struct, frozen=True):
    """Limits. Rates and increases are fractions (0.001 is 0.1 %), ``latency_slack`` is in seconds.

    ``error_rate``: new errors of the candidate by compared requests, less than this (0: none). ``p99_increase``:
    the candidate's p99 may be this much above the baseline's, plus ``latency_slack``. ``mismatches``: at most.
    ``samples``: least number of requests for a rate or a percentile.
    """

    error_rate: float = 0.001
    p99_increase: float = 0.20
    mismatches: int = 0
    latency_slack: float = 0.0
    samples: int = 1


class Check(msgspec.Struct, frozen=True):
    """Result of one check, with its value and limit as text."""

    name: str
    ok: bool
    value: str
    limit: str

    def __str__(self) -> str:
        return f"{self.name} {self.value} (limit {self.limit})"


def judge(counters: Counters, limits: Thresholds) -> list[Check]:
    """Check a finished comparison against all thresholds."""
    compared = counters.pairs - counters.incomparable
    enough = Check(
        "compared requests", compared >= max(limits.samples, 1), str(compared), f">= {max(limits.samples, 1)}"
    )
    failures = counters.baseline.unavailable
    return [
        enough,
        Check(
            "baseline answers",
            _below(failures, counters.pairs, limits),
            f"{failures} unavailable of {counters.pairs}",
            _rate(limits),
        ),
        _error_rate(counters, limits),
        _p99(counters, limits),
        _mismatches(counters, limits),
    ]


def success(counters: Counters) -> Check:
    """Check that some answer has status 2xx: two servers that refuse every request agree, but prove nothing."""
    good = sum(_good(side) for side in (counters.baseline, counters.candidate))
    nothing = bool(counters.pairs) and not good
    why = ": no answer was a success: the corpus does not fit the model?" if nothing else ""
    return Check("successful answers", not nothing, f"{good} of {2 * counters.pairs}{why}", ">= 1")


def _good(side: Side) -> int:
    return sum(count for status, count in side.statuses.items() if status.startswith("2"))


def broken(counters: Counters, limits: Thresholds) -> list[Check]:
    """Failed checks of a running comparison: those with ``limits.samples`` requests, or certain to fail.

    A rate is certain to fail when it would be broken even if all other requests up to ``samples`` succeeded: one error
    is enough when the limit is 0.1 % of 100 requests.
    """
    checks = [_error_rate(counters, limits, at_least=limits.samples), _mismatches(counters, limits)]
    if len(counters.candidate.latencies) >= limits.samples:
        checks.append(_p99(counters, limits))
    return [check for check in checks if not check.ok]


def _error_rate(counters: Counters, limits: Thresholds, at_least: int = 0) -> Check:
    compared = max(counters.pairs - counters.incomparable, at_least)
    share = counters.errors / compared if compared else 0.0
    sure = compared == counters.pairs - counters.incomparable
    value = (
        f"{share:.2%} ({counters.errors} of {compared})" if sure else f"at least {share:.2%} of the first {compared}"
    )
    return Check("error rate", _below(counters.errors, compared, limits), value, _rate(limits))


def _below(count: int, total: int, limits: Thresholds) -> bool:
    return count == 0 or count / total < limits.error_rate


def _rate(limits: Thresholds) -> str:
    return f"< {limits.error_rate:.3%}"


def _p99(counters: Counters, limits: Thresholds) -> Check:
    before, after = (percentile(sorted(side.latencies), 99) for side in (counters.baseline, counters.candidate))
    slack = f" + {limits.latency_slack * 1000:g} ms" if limits.latency_slack else ""
    limit = f"<= +{limits.p99_increase:.0%}{slack}"
    if not counters.candidate.latencies:
        return Check("p99 latency", True, "not measured", limit)
    allowed = before * (1 + limits.p99_increase) + limits.latency_slack
    change = f"{after / before - 1:+.1%}" if before else "n/a"
    return Check("p99 latency", after <= allowed, f"{change} ({before * 1000:.2f} -> {after * 1000:.2f} ms)", limit)


def _mismatches(counters: Counters, limits: Thresholds) -> Check:
    return Check(
        "mismatches", counters.mismatches <= limits.mismatches, str(counters.mismatches), f"<= {limits.mismatches}"
    )
