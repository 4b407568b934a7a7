"""JUnit XML: a test case for each threshold, and for each request of a corpus (live modes: each finding)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from drum_litestar.tools.compare.reports.summary import Summary
from drum_litestar.tools.junit_xml import JunitCase, JunitSuite, write_junit

NAME: Final = "drum-litestar compare"


def render(summary: Summary) -> bytes:
    checks = [JunitCase(check.name, "" if check.ok else str(check)) for check in summary.checks]
    if summary.cases:
        cases = [JunitCase(case.request, case.problem, seconds=case.candidate_seconds) for case in summary.cases]
    else:
        cases = [JunitCase(finding.request, finding.text) for finding in summary.findings]
    return write_junit(NAME, [_suite("thresholds", summary, checks), _suite("requests", summary, cases)])


def _suite(name: str, summary: Summary, cases: Sequence[JunitCase]) -> JunitSuite:
    return JunitSuite(f"{NAME} {name}", f"compare.{name}", summary.started, cases)
