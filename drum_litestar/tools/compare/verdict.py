"""Pass or fail: what was counted against thresholds."""

from __future__ import annotations

import msgspec

from drum_litestar.tools.compare.outcomes import Side, Tally, percentile


class Thresholds(msgspec.Struct, frozen=True):
    """Limits. Rates and increases are fractions (0.001 is 0.1 %), ``latency_slack`` is in seconds.

    ``error_rate``: new errors of the candidate by compared requests, less than this (0: none). ``p99_increase``:
    the candidate's p99 may be this much above the baseline's, plus ``latency_slack``. ``mismatches``: at most.
    ``samples``: requests that a rate or a percentile must rest on.
    """

    error_rate: float = 0.001
    p99_increase: float = 0.20
    mismatches: int = 0
    latency_slack: float = 0.0
    samples: int = 1


class Check(msgspec.Struct, frozen=True):
    """One threshold: met or not, in words."""

    name: str
    ok: bool
    value: str
    limit: str

    def __str__(self) -> str:
        return f"{self.name} {self.value} (limit {self.limit})"


def judge(tally: Tally, limits: Thresholds) -> list[Check]:
    """All checks over a finished comparison."""
    compared = tally.pairs - tally.incomparable
    enough = Check(
        "compared requests", compared >= max(limits.samples, 1), str(compared), f">= {max(limits.samples, 1)}"
    )
    failures = tally.baseline.unavailable
    return [
        enough,
        Check(
            "baseline answers",
            _below(failures, tally.pairs, limits),
            f"{failures} unavailable of {tally.pairs}",
            _rate(limits),
        ),
        _error_rate(tally, limits),
        _p99(tally, limits),
        _mismatches(tally, limits),
    ]


def success(tally: Tally) -> Check:
    """Whether anything was answered with 2xx: two servers that refuse every request agree, and prove nothing."""
    good = sum(_good(side) for side in (tally.baseline, tally.candidate))
    nothing = bool(tally.pairs) and not good
    why = ": no answer was a success: the corpus does not fit the model?" if nothing else ""
    return Check("successful answers", not nothing, f"{good} of {2 * tally.pairs}{why}", ">= 1")


def _good(side: Side) -> int:
    return sum(count for status, count in side.statuses.items() if status.startswith("2"))


def broken(tally: Tally, limits: Thresholds) -> list[Check]:
    """Those checks over a running comparison that are certain to fail, or rest on ``limits.samples`` requests.

    A rate is broken early when it would be even if every request up to ``samples`` went well: one error is enough to
    stop a candidate when the limit is 0.1 % of 100 requests.
    """
    checks = [_error_rate(tally, limits, at_least=limits.samples), _mismatches(tally, limits)]
    if len(tally.candidate.latencies) >= limits.samples:
        checks.append(_p99(tally, limits))
    return [check for check in checks if not check.ok]


def _error_rate(tally: Tally, limits: Thresholds, at_least: int = 0) -> Check:
    compared = max(tally.pairs - tally.incomparable, at_least)
    share = tally.errors / compared if compared else 0.0
    sure = compared == tally.pairs - tally.incomparable
    value = f"{share:.2%} ({tally.errors} of {compared})" if sure else f"at least {share:.2%} of the first {compared}"
    return Check("error rate", _below(tally.errors, compared, limits), value, _rate(limits))


def _below(count: int, total: int, limits: Thresholds) -> bool:
    return count == 0 or count / total < limits.error_rate


def _rate(limits: Thresholds) -> str:
    return f"< {limits.error_rate:.3%}"


def _p99(tally: Tally, limits: Thresholds) -> Check:
    ours, theirs = (percentile(sorted(side.latencies), 99) for side in (tally.baseline, tally.candidate))
    slack = f" + {limits.latency_slack * 1000:g} ms" if limits.latency_slack else ""
    limit = f"<= +{limits.p99_increase:.0%}{slack}"
    if not tally.candidate.latencies:
        return Check("p99 latency", True, "not measured", limit)
    allowed = ours * (1 + limits.p99_increase) + limits.latency_slack
    change = f"{theirs / ours - 1:+.1%}" if ours else "n/a"
    return Check("p99 latency", theirs <= allowed, f"{change} ({ours * 1000:.2f} -> {theirs * 1000:.2f} ms)", limit)


def _mismatches(tally: Tally, limits: Thresholds) -> Check:
    return Check("mismatches", tally.mismatches <= limits.mismatches, str(tally.mismatches), f"<= {limits.mismatches}")
