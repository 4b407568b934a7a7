"""The conformance suite against our own server, or against any: ``--base-url URL --model NAME [--example FILE]``."""

from __future__ import annotations

import pytest

from drum_litestar.tools.conformance.case import Case
from drum_litestar.tools.conformance.catalogue import CASES
from drum_litestar.tools.conformance.subject import Subject
from drum_litestar.tools.conformance.verdicts import Outcome


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, subject: Subject) -> None:
    result = case.run(subject)
    if result.outcome is Outcome.NOT_APPLICABLE:
        pytest.skip(result.detail)
    assert result.outcome is Outcome.PASS, f"{result.detail} ({result.level.value}: {result.rule})"
