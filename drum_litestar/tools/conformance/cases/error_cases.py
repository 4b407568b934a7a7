"""Errors: how they look, and that each broken request is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from drum_litestar.tools.conformance.case import Case
from drum_litestar.tools.conformance.cases.bad_binary import BAD_BINARY
from drum_litestar.tools.conformance.cases.bad_json import BAD_JSON
from drum_litestar.tools.conformance.http_target import HttpAnswer
from drum_litestar.tools.conformance.subject import Subject
from drum_litestar.tools.conformance.verdicts import Level, NotApplicable, require

BAD_REQUESTS: Final = (*BAD_JSON, *BAD_BINARY)


def _refusals(subject: Subject) -> Iterator[tuple[str, HttpAnswer]]:
    for bad in BAD_REQUESTS:
        try:
            answer = bad.send(subject)
        except NotApplicable:
            continue
        if answer.status != 200:
            yield bad.name, answer


def error_status(subject: Subject) -> None:
    wrong = [f"{name}: {answer}" for name, answer in _refusals(subject) if not 400 <= answer.status < 600]
    require(not wrong, f"{len(wrong)} without an error status: {'; '.join(wrong[:3])}")


def error_object(subject: Subject) -> None:
    refused = list(_refusals(subject))
    wrong = [f"{name}: {answer}" for name, answer in refused if answer.error]
    require(not wrong, f"{len(wrong)} of {len(refused)} refusals without the object: {'; '.join(wrong[:3])}")


CASES: Final = (
    Case("errors/status", Level.MUST, "REST, Inference: a failure has an HTTP error status", error_status),
    Case("errors/object", Level.MUST, "REST, Inference: a failure has an object with 'error'", error_object),
    *(
        Case(
            f"bad/{bad.name}", Level.RECOMMENDED,
            f"de facto: {bad.what}; else {'an answer or ' if bad.accepted else ''}4xx", bad.check,
        )
        for bad in BAD_REQUESTS
    ),
)  # fmt: skip
