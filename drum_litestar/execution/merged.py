"""One call of the model on behalf of several callers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drum_litestar.execution.pending import PendingCall
from drum_litestar.predictors.protocol import ModelCall

if TYPE_CHECKING:
    from drum_litestar.execution.admission import Admission
    from drum_litestar.execution.invoke import Part
    from drum_litestar.execution.slots import Slot


class MergedCall:
    """Holds one slot for all its members, each of whom keeps its own ticket, deadline and cancellation.

    Nobody pays for a mate:

    - A member that goes away is only not answered.
    - A member whose deadline passes gets its 504, and its worker is condemned, as for a single call: it may hang. For
      the same reason the others are sent back to the head of the line, to run singly elsewhere, while the merged call
      goes on. Whichever comes first answers them. The worker is killed once nobody waits for it any more.
    - When the worker dies, they are sent back too: the one who kills it again dies alone.
    """

    def __init__(self, admission: Admission, members: list[PendingCall]) -> None:
        self.members = members
        self.rows = sum(member.rows for member in members)
        """About: lines, not parsed rows."""
        self._admission = admission
        self._slot: Slot | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answered = 0
        self._sent_back = 0

    @property
    def calls(self) -> list[ModelCall]:
        return [member.call for member in self.members]

    def start(self, slot: Slot) -> None:
        """Run on ``slot`` until the work ends."""
        self._slot = slot
        self._set_timer()
        slot.run_merged(self)

    def answer(self, part: Part) -> None:
        """Answer some of the members; :meth:`end` is to follow on the last part."""
        self._answered = part.first + len(part.replies)
        for member, reply in zip(self.members[part.first : self._answered], part.replies, strict=True):
            member.answer(reply)
        self._admission.tally.merged_answer(part, self.rows)
        if not part.batching and self._admission.batcher is not None:
            self._admission.batcher.stop()

    def lost(self) -> None:
        """The worker has died with the call in its hands; :meth:`end` follows."""
        self._send_back()

    def end(self) -> None:
        """The work is really over: the slot is free. Idempotent."""
        if self._slot is not None:
            self._slot = None
            if self._timer is not None:
                self._timer.cancel()
            self._admission.ended(self.members, sent_back=self._sent_back)

    def _set_timer(self) -> None:
        """For the first deadline of those who are not answered yet."""
        deadlines = [member.deadline for member in self.members[self._answered :] if member.deadline is not None]
        self._timer = self.members[0].loop.call_at(min(deadlines), self._deadline_passed) if deadlines else None

    def _deadline_passed(self) -> None:
        assert self._slot is not None
        now = self.members[0].loop.time()
        late = [m for m in self.members[self._answered :] if m.deadline is not None and m.deadline <= now]
        if not late:  # those it was set for are answered
            self._set_timer()
            return
        self._timer = None  # whoever is left has its own again
        for member in late:
            member.expire()
        self._slot.condemn()
        self._send_back()
        self._check_hopeless()

    def _send_back(self) -> None:
        """Let those who wait for an answer be served elsewhere as well; at most once."""
        if self._sent_back:
            return
        waiting = [member for member in self.members if not member.future.done()]
        self._sent_back = len(waiting)
        for member in waiting:
            member.future.add_done_callback(self._check_hopeless)
        self._admission.send_back(waiting)

    def _check_hopeless(self, _answered: object = None) -> None:
        if self._slot is not None and all(member.future.done() for member in self.members):
            self._slot.overdue(self)
