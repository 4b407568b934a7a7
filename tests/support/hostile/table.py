"""The cases. Each status is what RFC 9112 asks for, or DRUM's contract, or the safe one where both leave a choice."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from support.hostile.bodies import BODIES
from support.hostile.conversation import Step
from support.hostile.framing import FRAMING
from support.hostile.targets import TARGETS
from support.hostile.tensors import TENSORS
from support.hostile.timing import TIMING


@dataclass(frozen=True)
class Case:
    """``expect`` lists patterns of what ``str(outcome)`` may be: statuses in order, ``close`` for silence.

    A 500 in it is the model's own, in DRUM's words (``ERROR: ...``)."""

    name: str
    steps: tuple[Step, ...]
    expect: tuple[str, ...]
    slow: bool
    """Waits for one of the server's time limits."""

    def allows(self, outcome: str) -> bool:
        return any(fnmatchcase(outcome, pattern) for pattern in self.expect)


def _cases() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for slow, group in ((False, FRAMING), (False, TARGETS), (False, BODIES), (False, TENSORS), (True, TIMING)):
        for name, (expect, *steps) in group.items():
            assert name not in cases, name
            assert isinstance(expect, str)
            cases[name] = Case(name, tuple(steps), tuple(expect.split("|")), slow)
    return cases


CASES = _cases()
