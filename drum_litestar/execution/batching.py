"""Micro-batching: structured CSV calls that wait are merged into one call of the model (opt-in).

Here it is decided who waits for whom; that merging changes nothing for the model is the predictor's affair
(:class:`drum_litestar.predictors.protocol.BatchPredictor`), which splits or refuses what does not fit. So what is
compared here need not be exact, only cheap: nothing is parsed, rows are lines.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import TypeAlias

from drum_litestar.execution.pending import PendingCall
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Payload

_log = logging.getLogger(__name__)

LARGEST_BODY = 128 * 1024
"""Bytes. Larger bodies have enough rows to pay for a call of their own."""
LARGEST_CALL = 4 * 1024 * 1024
"""Bytes of all bodies in one merged call."""

MergeKey: TypeAlias = "tuple[bytes, str | None, str | None, bool]"
"""Header line, media type, charset, and whether it is a file part: calls are merged only where all are equal."""


class Batcher:
    """Groups the calls in line. Event-driven, on the loop's thread; it keeps no call, only the line does.

    A call that finds the line empty waits for mates: ``max_wait`` seconds, or with 0 until what the event loop has
    already received is in line too. It waits no longer when the merged call is full, or when a call that cannot join
    stands behind it: first come, first served holds between groups.
    """

    def __init__(self, max_rows: int, max_wait: float, release: Callable[[], None]) -> None:
        """``release`` is called when a group that was held may go."""
        self.max_rows = max_rows
        self._max_wait = max_wait
        self._release = release
        self._enabled = self._decided = False
        self._held: asyncio.Handle | None = None
        self._held_key: MergeKey | None = None
        self._held_rows = 0
        self._due = False
        """It goes at the end of this turn of the event loop, whoever comes."""

    @property
    def enabled(self) -> bool:
        return self._enabled

    def model_loaded(self, card: ModelCard) -> None:
        """Merge calls if this model's can be. Another worker's card for the same model changes nothing."""
        if not self._decided:
            self._decided = True
            self._enabled = card.batchable
            if not card.batchable:
                _log.warning("Micro-batching is off: calls of this model cannot be merged")

    def stop(self) -> None:
        """Merge nothing any more: the predictor has found that it changes answers, and has said so in the log."""
        self._enabled = False

    def reconsider(self) -> None:
        """The next card is another model's."""
        self._decided = False

    def measure(self, entry: PendingCall) -> bool:
        """Note the call's rows and whom it may be merged with; False for nobody."""
        if not self._enabled:
            return False
        payload = csv_payload(entry.call)
        if payload is None or payload.data is None:
            return False
        data = payload.data
        rows = count_rows(data)
        if not 0 < rows < self.max_rows:
            return False
        entry.rows, entry.size = rows, len(data)
        entry.merge_key = (data[: data.find(b"\n")], payload.mimetype, payload.charset, payload.filename is None)
        return True

    def joined(self, entry: PendingCall, *, first: bool) -> None:
        """``entry`` has come to the end of the line; ``first``: it was empty."""
        if first:
            self._hold(entry)
        elif self._held is not None and not self._due:
            self._held_rows += entry.rows
            if entry.merge_key != self._held_key or self._held_rows >= self.max_rows:
                self._held.cancel()
                self._held_until_end_of_turn(entry)

    def choose(self, line: Iterable[PendingCall]) -> list[PendingCall]:
        """Who goes next: the first in line with all that can be merged with it. Empty while they are to wait."""
        entries = iter(line)
        head = next(entries)
        key = head.merge_key
        if key is None:
            return [head]
        if self._held is not None:
            return []
        chosen = [head]
        rows, size = head.rows, head.size
        for entry in entries:
            if rows >= self.max_rows:
                break
            if entry.merge_key == key and rows + entry.rows <= self.max_rows and size + entry.size <= LARGEST_CALL:
                chosen.append(entry)
                rows += entry.rows
                size += entry.size
        return chosen

    def _hold(self, head: PendingCall) -> None:
        if self._held is not None:  # for one that has left the line since
            self._held.cancel()
            self._held = None
        if head.merge_key is None:
            return
        if self._max_wait:
            self._due = False
            self._held_key, self._held_rows = head.merge_key, head.rows
            self._held = head.loop.call_at(head.queued_at + self._max_wait, self._let_go)
        else:
            self._held_until_end_of_turn(head)

    def _held_until_end_of_turn(self, entry: PendingCall) -> None:
        self._due = True
        self._held = entry.loop.call_soon(self._let_go)

    def _let_go(self) -> None:
        self._held = None
        self._release()


def csv_payload(call: ModelCall) -> Payload | None:
    """The CSV of a plain structured prediction that is in memory; None for any other call.

    A body that was spooled because the queue's memory is used up is not read back to be merged: its call runs singly.
    """
    payload = call.x
    if (
        call.kind != "predict"
        or payload is None
        or payload.data is None
        or payload.size > LARGEST_BODY
        or call.colnames is not None
        or call.y is not None
        or call.query
    ):
        return None
    if payload.filename is None:
        return None if payload.mimetype is not None and payload.mimetype.lower().endswith("/mtx") else payload
    return None if PurePath(payload.filename).suffix.lower() == ".mtx" else payload


def count_rows(data: bytes) -> int:
    """Lines after the first one; 0 where quotes may hide line ends, or for no rows at all.

    An upper bound: blank lines count too.
    """
    if b'"' in data:
        return 0
    lines = data.count(b"\n")
    return lines - 1 if data.endswith(b"\n") else lines
