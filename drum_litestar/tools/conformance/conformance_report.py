"""Reports of a run: text, JSON, JUnit XML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from drum_litestar.tools.conformance.verdicts import Level, Outcome, Result
from drum_litestar.tools.junit_xml import JunitCase, JunitSuite, write_junit

NAME: Final = "drum-litestar conformance"
LONGEST_DETAIL: Final = 400
"""Characters of a failure that the text shows; the other reports have all."""


class ConformanceReport(msgspec.Struct, frozen=True):
    """The whole result; its JSON encoding is the JSON report. ``server``: name and version it gives itself.
    ``seed``: of the fuzzed bodies."""

    url: str
    model: str
    server: str
    started: str
    seconds: float
    seed: int
    strict: bool
    results: list[Result]

    def count(self, level: Level, outcome: Outcome) -> int:
        return sum(each.level == level and each.outcome == outcome for each in self.results)

    @property
    def passed(self) -> bool:
        """No rule of the specification or the extension is broken; ``strict``: nor what is recommended."""
        levels = Level if self.strict else (Level.MUST, Level.EXTENSION)
        return not any(self.count(level, Outcome.FAIL) for level in levels)


def text_report(report: ConformanceReport) -> str:
    return "\n".join(_lines(report))


def _lines(report: ConformanceReport) -> Iterator[str]:
    yield f"{report.server} at {report.url}, model {report.model}: {len(report.results)} cases, {report.seconds:.1f} s"
    width = max((len(each.name) for each in report.results), default=0)
    for each in report.results:
        yield f"  {each.outcome.value:<4}  {each.name:<{width}}  {each.level.value:<11}  {_shown(each)}".rstrip()
    yield f"  {'':<12}  {'pass':>5} {'fail':>5} {'n/a':>5}"
    for level in Level:
        counts = " ".join(f"{report.count(level, outcome):>5}" for outcome in Outcome)
        yield f"  {level.value:<12}  {counts}"
    yield "PASS" if report.passed else "FAIL"


def _shown(result: Result) -> str:
    """A failure with its rule, or why the case is not applicable."""
    detail = "".join(each if each.isprintable() else " " for each in result.detail)
    if len(detail) > LONGEST_DETAIL:
        detail = f"{detail[:LONGEST_DETAIL]}..."
    return f"{detail} ({result.rule})" if result.outcome == Outcome.FAIL else detail


def json_report(report: ConformanceReport) -> bytes:
    counts = Counter((each.level.value, each.outcome.value) for each in report.results)
    totals = {level.value: {each.value: counts[level.value, each.value] for each in Outcome} for level in Level}
    return msgspec.json.format(
        msgspec.json.encode({"passed": report.passed, "totals": totals, **msgspec.structs.asdict(report)}), indent=1
    )


def junit_report(report: ConformanceReport) -> bytes:
    """A suite for each level. What is recommended counts as skipped when it fails, unless ``strict``."""
    return write_junit(NAME, [_suite(report, level) for level in Level])


def _suite(report: ConformanceReport, level: Level) -> JunitSuite:
    counts = report.strict or level != Level.RECOMMENDED
    cases = []
    for each in report.results:
        if each.level == level:
            detail = f"{each.detail} ({each.rule})"
            failed = each.outcome == Outcome.FAIL
            skipped = each.outcome == Outcome.NOT_APPLICABLE or (failed and not counts)
            cases.append(
                JunitCase(each.name, detail if failed and counts else "", detail if skipped else "", each.seconds)
            )
    return JunitSuite(f"{NAME} {level.value}", f"conformance.{level.value}", report.started, cases)
