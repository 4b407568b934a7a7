"""All cases, in the order of the report."""

from __future__ import annotations

from typing import Final

from drum_litestar.tools.conformance.case import Case
from drum_litestar.tools.conformance.cases import (
    binary_cases,
    error_cases,
    fuzz_cases,
    inference_cases,
    server_cases,
)

CASES: Final[tuple[Case, ...]] = (
    *server_cases.CASES,
    *inference_cases.CASES,
    *binary_cases.CASES,
    *error_cases.CASES,
    *fuzz_cases.CASES,
)
