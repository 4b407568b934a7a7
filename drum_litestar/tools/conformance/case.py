"""What a case is, and how one is run; what a broken request is, which each make a case of."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from drum_litestar.tools.conformance.http_target import HttpAnswer
from drum_litestar.tools.conformance.subject import Message, Subject
from drum_litestar.tools.conformance.verdicts import FailedCheck, Level, NotApplicable, Outcome, Result, require


class Case(NamedTuple):
    """``name``: group/case. ``rule``: what the server has to do, and where that is written. ``check`` raises
    FailedCheck or NotApplicable."""

    name: str
    level: Level
    rule: str
    check: Callable[[Subject], None]

    def run(self, subject: Subject) -> Result:
        started = time.perf_counter()
        outcome, detail = Outcome.PASS, ""
        try:
            self.check(subject)
        except FailedCheck as problem:
            outcome, detail = Outcome.FAIL, str(problem)
        except NotApplicable as reason:
            outcome, detail = Outcome.NOT_APPLICABLE, str(reason)
        return Result(self.name, self.level, outcome, detail, self.rule, time.perf_counter() - started)


class BadRequest(NamedTuple):
    """A request that breaks a rule: to be refused by a status below 500, without harm to the server.

    ``what``: the rule. ``accepted``: whether a server may also answer it."""

    name: str
    what: str
    build: Callable[[Subject], Message]
    accepted: bool = False

    def send(self, subject: Subject) -> HttpAnswer:
        """Raises NotApplicable: it cannot be built for this model or server."""
        return subject.send(self.build(subject))

    def check(self, subject: Subject) -> None:
        """Raises FailedCheck: the answer is none of the expected ones, or the server is not as before."""
        answer = self.send(subject)
        afterwards = subject.alive()
        require(not afterwards, f"{answer}; {afterwards}")
        allowed = 400 <= answer.status < 500 or (self.accepted and answer.status == 200)
        require(allowed, f"{'accepted' if answer.status == 200 else 'answered'}: {answer}")
