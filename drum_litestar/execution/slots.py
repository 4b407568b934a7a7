"""What computes, as admission sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from drum_litestar.execution.pending import PendingCall


class Slot(Protocol):
    """The right to run one call."""

    def forget(self, entry: PendingCall) -> None:
        """A call that it holds as a preview (see :meth:`SlotSource.preview`) will not run there."""

    def run(self, entry: PendingCall) -> None:
        """Begin to compute. Whatever happens, ``entry.end()`` follows once the work has really ended."""

    def overdue(self, entry: PendingCall) -> None:
        """The running call's deadline has passed (its caller has the answer already)."""


class SlotSource(Protocol):
    """What computes: threads of this process, or model workers."""

    def acquire(self) -> Slot | None:
        """A free slot, marked as taken; None when all are busy."""

    def preview(self, entry: PendingCall) -> None:
        """``entry`` is first in line while all slots are busy. It may be brought to where it will probably run, as
        long as it does not begin there before the one that runs now has ended, and can still leave the line."""
