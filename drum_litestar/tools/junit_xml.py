"""JUnit XML, as continuous integration reads it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Final, NamedTuple

_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JunitCase(NamedTuple):
    """``problem``: empty if it passed. ``skipped``: why it was not run. ``seconds``: its time."""

    title: str
    problem: str = ""
    skipped: str = ""
    seconds: float = 0.0


class JunitSuite(NamedTuple):
    """``class_name`` groups the cases; ``started``: ISO 8601."""

    name: str
    class_name: str
    started: str
    cases: Sequence[JunitCase]


def write_junit(name: str, suites: Sequence[JunitSuite]) -> bytes:
    root = ET.Element("testsuites", name=name)
    for suite in suites:
        _add(root, suite)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _add(root: ET.Element, suite: JunitSuite) -> None:
    attributes = {"name": suite.name, "tests": str(len(suite.cases))}
    attributes["failures"] = str(sum(bool(case.problem) for case in suite.cases))
    if skipped := sum(bool(case.skipped) for case in suite.cases):
        attributes["skipped"] = str(skipped)
    seconds = sum(case.seconds for case in suite.cases)
    element = ET.SubElement(
        root, "testsuite", {**attributes, "errors": "0", "timestamp": suite.started, "time": f"{seconds:.6f}"}
    )
    for case in suite.cases:
        inner = ET.SubElement(
            element, "testcase", classname=suite.class_name, name=_clean(case.title), time=f"{case.seconds:.6f}"
        )
        if case.problem:
            ET.SubElement(inner, "failure", message=_clean(case.problem))
        elif case.skipped:
            ET.SubElement(inner, "skipped", message=_clean(case.skipped))


def _clean(text: str) -> str:
    """Replace control characters, which XML 1.0 cannot contain."""
    return _NOT_IN_XML.sub("\ufffd", text)
