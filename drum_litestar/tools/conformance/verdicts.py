"""What a case can end with.

Levels: a MUST of the specification's text; a MUST of the binary extension, which counts for servers that offer it;
and what the text leaves open but clients expect (de facto), which is recommended.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class Level(str, Enum):
    MUST = "must"
    EXTENSION = "extension"
    RECOMMENDED = "recommended"


class Outcome(str, Enum):
    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "n/a"


class FailedCheck(Exception):  # noqa: N818 -- an outcome, not an error of this program
    """The server broke the case's rule; the text says how."""


class NotApplicable(Exception):  # noqa: N818 -- as above
    """The case cannot be put to this server or model; the text says why."""


class Result(msgspec.Struct, frozen=True):
    """A case's end. ``seconds``: wall time."""

    name: str
    level: Level
    outcome: Outcome
    detail: str
    rule: str
    seconds: float


def require(met: object, problem: str) -> None:
    """Raise FailedCheck unless ``met``."""
    if not met:
        raise FailedCheck(problem)
