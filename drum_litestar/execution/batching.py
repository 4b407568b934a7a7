"""Micro-batching: waiting structured calls, CSV or tensors, are answered by one call of the model.

The :class:`Batcher` decides which calls share a batch and how long they wait for it. That batching changes no answer is
the predictor's responsibility (:class:`drum_litestar.predictors.protocol.BatchPredictor`): it splits or refuses what
does not fit. So the comparison here need not be exact, only cheap: nothing is parsed, rows are lines.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from pathlib import PurePath

from drum_litestar.execution.pending import BatchKey, PendingCall
from drum_litestar.media_types import columnar_type
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Payload

_log = logging.getLogger(__name__)

LARGEST_BODY = 128 * 1024
"""Bytes. Larger bodies have enough rows to be worth a call of their own."""
LARGEST_BATCH = 4 * 1024 * 1024
"""Bytes of all bodies in one batch."""
BYTES_OF_A_ROW = 1024
"""Of an ``infer`` call: more than most rows have, since a row of its own costs a call the most."""
NO_CSV = ("/mtx", "/json")
AUTO_ROWS = 2000
"""Most rows in one batch unless the operator sets them: by then a call's fixed cost is spread over enough of them."""


class Batcher:
    """Groups queued calls. Event-driven, on the event loop's thread; it keeps no call, only the queue does.

    By default it batches calls that wait for a slot, and only if the model's answers are known to be the same. If the
    operator has asked for batches, it batches all that can be batched.

    Then a batchable call that finds the queue empty is held for the flush interval, or with an interval of 0 until the
    calls that the event loop has already received are queued too. It is held no longer when its batch is full, or when
    a call that cannot join the batch is queued behind it: groups are served first in, first out.
    """

    def __init__(self, max_rows: int | None, flush_interval: float, on_flush: Callable[[], None]) -> None:
        """``max_rows``: None if the operator has not asked for batches. ``flush_interval`` is in seconds; ``on_flush``
        is called when a held batch may be dispatched."""
        self.holds = max_rows is not None
        """Batchable calls are held, though a slot may be free."""
        self.max_rows = AUTO_ROWS if max_rows is None else max_rows
        self._flush_interval = flush_interval
        self._on_flush = on_flush
        self._enabled = self._decided = self._row_by_row = False
        self._flush: asyncio.Handle | None = None
        """Set while a batch is held."""
        self._held_key: BatchKey | None = None
        self._held_rows = 0
        self._flush_soon = False
        """The held batch is dispatched at the end of this loop iteration, whatever is queued until then."""

    @property
    def enabled(self) -> bool:
        return self._enabled

    def model_loaded(self, card: ModelCard) -> None:
        """Batch calls if this model's can be. Another worker's card for the same model changes nothing."""
        if not self._decided:
            self._decided = True
            self._enabled = card.batching == "always" or (self.holds and card.batching == "on_request")
            self._row_by_row = card.row_by_row
            if self.holds and not self._enabled:
                _log.warning("Micro-batching is off: calls of this model cannot be batched")

    def disable(self) -> None:
        """Batch nothing any more: the predictor has found that batching changes answers, and has logged it."""
        self._enabled = False

    def model_changes(self) -> None:
        """The next card is that of another model: let it decide."""
        self._decided = False

    def classify(self, entry: PendingCall) -> bool:
        """Set the call's rows, size and batch key; False for a call that is never batched."""
        if not self._enabled or entry.call.timed:  # its times are to be its own
            return False
        if entry.call.kind == "infer":
            return self._classify_infer(entry)
        payload = csv_payload(entry.call)
        if payload is None or payload.data is None:
            return False
        data = payload.data
        rows = count_rows(data)
        if not 0 < rows < self.max_rows:
            return False
        entry.rows, entry.size = rows, len(data)
        entry.batch_key = (data[: data.find(b"\n")], payload.mimetype, payload.charset, payload.filename is None)
        return True

    def _classify_infer(self, entry: PendingCall) -> bool:
        """The worker sees which of these calls have the same signature; their rows are not known here. Hooks get the
        body as it was sent, so their calls run alone."""
        body, json_size = entry.call.body, entry.call.json_size
        if not self._row_by_row or body is None or body.data is None or body.size > LARGEST_BODY or json_size == 0:
            return False
        rows = 1 + body.size // BYTES_OF_A_ROW
        if rows >= self.max_rows:
            return False
        entry.rows, entry.size = rows, body.size
        entry.batch_key = (b"", "infer", "json" if json_size is None else "binary", False)
        return True

    def enqueued(self, entry: PendingCall, *, first: bool) -> None:
        """``entry`` is now the last in the queue; ``first``: the queue was empty."""
        if not self.holds:
            return
        if first:
            self._hold(entry)
        elif self._flush is not None and not self._flush_soon:
            self._held_rows += entry.rows
            if entry.batch_key != self._held_key or self._held_rows >= self.max_rows:
                self._flush.cancel()
                self._flush_at_end_of_iteration(entry)

    def next_batch(self, queue: Collection[PendingCall], slots: int) -> list[PendingCall]:
        """The first call of ``queue`` with all calls that can share its batch; empty while it is held.

        Of calls that nobody has asked to batch it takes one slot's share, so that no slot is idle beside a batch.
        """
        share = len(queue) if self.holds else -(-len(queue) // slots)
        entries = iter(queue)
        head = next(entries)
        key = head.batch_key
        if key is None:
            return [head]
        if self._flush is not None:
            return []
        members = [head]
        rows, size = head.rows, head.size
        for entry in entries:
            if rows >= self.max_rows or len(members) >= share:
                break
            if entry.batch_key == key and rows + entry.rows <= self.max_rows and size + entry.size <= LARGEST_BATCH:
                members.append(entry)
                rows += entry.rows
                size += entry.size
        return members

    def _hold(self, head: PendingCall) -> None:
        if self._flush is not None:  # set for a call that has left the queue since
            self._flush.cancel()
            self._flush = None
        if head.batch_key is None:
            return
        if self._flush_interval:
            self._flush_soon = False
            self._held_key, self._held_rows = head.batch_key, head.rows
            self._flush = head.loop.call_at(head.queued_at + self._flush_interval, self._flushed)
        else:
            self._flush_at_end_of_iteration(head)

    def _flush_at_end_of_iteration(self, entry: PendingCall) -> None:
        self._flush_soon = True
        self._flush = entry.loop.call_soon(self._flushed)

    def _flushed(self) -> None:
        self._flush = None
        self._on_flush()


def csv_payload(call: ModelCall) -> Payload | None:
    """The CSV of a plain structured prediction that is in memory; None for any other call.

    A body that was spooled because the queue's memory is used up is not read back for a batch: its call runs alone.
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
        or call.answer
        or columnar_type(payload.data)
    ):
        return None
    if payload.filename is None:
        return None if payload.mimetype is not None and payload.mimetype.lower().endswith(NO_CSV) else payload
    return None if PurePath(payload.filename).suffix.lower() == ".mtx" else payload


def count_rows(data: bytes) -> int:
    """Lines after the first one; line ends inside of quotes end no line. Blank lines count too."""
    plain = data.split(b'"')[::2] if b'"' in data else (data,)
    lines = sum(part.count(b"\n") for part in plain)
    return lines - 1 if data.endswith(b"\n") else lines
