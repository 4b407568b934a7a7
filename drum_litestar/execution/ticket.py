"""A request's place in line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drum_litestar.execution.queue_limits import MemoryShare

if TYPE_CHECKING:
    from drum_litestar.execution.admission import Admission


class AdmissionTicket:
    """A place in line. It is free again when its holder has released it *and* no call of it still computes."""

    __slots__ = ("_admission", "_released", "busy", "memory", "taken_at", "waited")

    def __init__(self, admission: Admission, taken_at: float) -> None:
        self._admission = admission
        self._released = False
        self.busy = 0
        self.memory = MemoryShare(admission.memory)
        self.taken_at = taken_at
        self.waited = 0.0
        """Seconds that the queue's timeout has lost already, while the model was loading."""

    def allowance(self, deadline: float | None) -> float:
        """Seconds that a request with ``deadline`` was granted in all, for the text of a 504."""
        fixed = self._admission.request_timeout
        return round((deadline or self.taken_at) - self.taken_at, 1) if fixed is None else fixed

    def release(self) -> None:
        if not self._released:
            self._released = True
            self.memory.leave()
            self.settle()

    def settle(self) -> None:
        """Free the place if nothing needs it any more; called when the last call of the ticket has ended."""
        if self._released and not self.busy:
            self._admission.place_freed()
