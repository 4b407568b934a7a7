"""JUnit XML: a test case for each threshold, and for each request of a corpus (live modes: each finding)."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Final

from drum_litestar.tools.compare.reports.summary import Summary

_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NAME: Final = "drum-litestar compare"


def render(summary: Summary) -> bytes:
    root = ET.Element("testsuites", name=NAME)
    _suite(root, "thresholds", summary, [(check.name, "" if check.ok else str(check), 0.0) for check in summary.checks])
    if summary.cases:
        rows = [(case.request, case.problem, case.candidate_seconds) for case in summary.cases]
    else:
        rows = [(finding.request, finding.text, 0.0) for finding in summary.findings]
    _suite(root, "requests", summary, rows)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _suite(root: ET.Element, name: str, summary: Summary, rows: list[tuple[str, str, float]]) -> None:
    failures = sum(bool(problem) for _, problem, _ in rows)
    suite = ET.SubElement(
        root, "testsuite", name=f"{NAME} {name}", tests=str(len(rows)), failures=str(failures), errors="0",
        timestamp=summary.started, time=f"{sum(seconds for *_, seconds in rows):.6f}",
    )  # fmt: skip
    for title, problem, seconds in rows:
        case = ET.SubElement(suite, "testcase", classname=f"compare.{name}", name=_clean(title), time=f"{seconds:.6f}")
        if problem:
            ET.SubElement(case, "failure", message=_clean(problem))


def _clean(text: str) -> str:
    """Replace control characters, which XML 1.0 cannot contain."""
    return _NOT_IN_XML.sub("\ufffd", text)
