"""What computes, as admission sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from drum_litestar.execution.merged import MergedCall
    from drum_litestar.execution.pending import PendingCall


class Slot(Protocol):
    """The right to run one call, or several that are merged into one."""

    def forget(self, entry: PendingCall) -> None:
        """A call that it holds as a preview (see :meth:`SlotSource.preview`) will not run there."""

    def run(self, entry: PendingCall) -> None:
        """Begin to compute. Whatever happens, ``entry.end()`` follows once the work has really ended."""

    def run_merged(self, merged: MergedCall) -> None:
        """As :meth:`run`, for several calls in one."""

    def condemn(self) -> None:
        """A deadline has passed here, so what runs may hang; somebody may still wait for it."""

    def overdue(self, work: PendingCall | MergedCall) -> None:
        """What runs is past its deadline, and nobody waits for it any more."""


class SlotSource(Protocol):
    """What computes: threads of this process, or model workers."""

    def acquire(self) -> Slot | None:
        """A free slot, marked as taken; None when all are busy."""

    def preview(self, entry: PendingCall) -> None:
        """``entry`` is first in line while all slots are busy. It may be brought to where it will probably run, as
        long as it does not begin there before the one that runs now has ended, and can still leave the line."""
