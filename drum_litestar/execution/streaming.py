"""Streams with flow control: the producer may be ahead of its reader by a bounded number of bytes (its credit).

The consumer half (:class:`ChunkStream`) lives on the event loop. The producer half (:func:`produce`) runs in the
thread that computes, in this process or in a model worker, and asks a :class:`Flow` before it pulls from the model.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from typing import Protocol

from drum_litestar.context import WorkerStop
from drum_litestar.errors import DeadlineExceededError
from drum_litestar.predictors.protocol import StreamHead, StreamReply

WINDOW = 256 * 1024
"""Bytes that a producer may be ahead of its reader."""
PIECE = 64 * 1024
"""Longer chunks are cut, so that one chunk cannot outrun the window by much."""


class ChunkStream:
    """The consumer's half of a stream: implements :class:`drum_litestar.execution.executor.ReplyStream`.

    ``grant(n)`` lets the producer send ``n`` more bytes; ``stop()`` tells it to close its generator. The slot stays
    busy until the producer says that it has ended. ``idle_timeout`` seconds without a byte produced *and* without one
    taken break the stream and stop the producer; ``stuck()`` follows when it has not ended after as long again.
    """

    def __init__(
        self,
        head: StreamHead,
        *,
        grant: Callable[[int], None],
        stop: Callable[[], None],
        stuck: Callable[[], None],
        idle_timeout: float | None,
    ) -> None:
        self.head = head
        self._grant = grant
        self._stop = stop
        self._stuck = stuck
        self._idle_timeout = idle_timeout
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._owed = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._finished = False
        self._cancelled = False
        self._progress = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        if idle_timeout is not None:
            self._timer = self._loop.call_at(self._progress + idle_timeout, self._check_idle)

    # The producer's side, called on the loop

    def feed(self, chunk: bytes) -> None:
        """Take one more piece from the producer."""
        self._progress = self._loop.time()
        if not self._cancelled and not self._finished:
            self._chunks.append(chunk)
            self._wake()

    def finish(self, error: Exception | None = None) -> None:
        """No more pieces will come; ``error`` is raised to the reader after the pieces received. Idempotent."""
        if not self._finished:
            self._finished = True
            self._error = error
            self._wake()

    def ended(self) -> None:
        """The producer has ended: stop the idle timer. To be called once."""
        self.finish()
        del self._grant, self._stop, self._stuck  # they lead to the call, and so back to this stream: a cycle
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # The reader's side

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._finished or self._cancelled:
                error, self._error = self._error, None
                try:
                    raise error if error is not None else StopAsyncIteration
                finally:
                    del error  # its traceback has this frame: a cycle
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        chunk = self._chunks.popleft()
        self._progress = self._loop.time()
        self._owed += len(chunk)
        if self._owed >= WINDOW // 2 and not self._finished:
            self._grant(self._owed)
            self._owed = 0
        return chunk

    async def aclose(self) -> None:
        self.cancel()

    def cancel(self) -> None:
        """Drop the chunks received and tell the producer to stop. Idempotent."""
        if not self._cancelled:
            self._cancelled = True
            self._chunks.clear()
            self._wake()
            if not self._finished:
                self._stop()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _check_idle(self) -> None:
        assert self._idle_timeout is not None
        self._timer = None
        due = self._progress + self._idle_timeout
        now = self._loop.time()
        if now < due:
            self._timer = self._loop.call_at(due, self._check_idle)
        elif self._cancelled or self._finished:
            self._stuck()  # it was told to stop, and has made no progress for as long again
        else:
            self._error = DeadlineExceededError(self._idle_timeout)
            self.cancel()
            self._progress = now
            self._timer = self._loop.call_at(now + self._idle_timeout, self._check_idle)


class Flow(Protocol):
    """A producer's view of its credit."""

    def ready(self) -> bool:
        """Block until there is credit; False when the producer must stop."""

    def spend(self, size: int) -> None:
        """``size`` bytes were sent."""


class ThreadFlow:
    """Credit granted by another thread."""

    def __init__(self, wait: Callable[[Future[None]], object] = Future.result, window: int = WINDOW) -> None:
        """``wait``: how the producer waits for a future."""
        self._credit = window
        self._stopped = False
        self._guard = threading.Lock()
        self._wait = wait
        self._changed: Future[None] = Future()

    def ready(self) -> bool:
        while True:
            with self._guard:
                if self._stopped:
                    return False
                if self._credit > 0:
                    return True
                changed = self._changed = Future()
            self._wait(changed)

    def spend(self, size: int) -> None:
        with self._guard:
            self._credit -= size

    def grant(self, size: int) -> None:
        with self._guard:
            self._credit += size
            self._wake()

    def stop(self) -> None:
        with self._guard:
            self._stopped = True
            self._wake()

    def _wake(self) -> None:
        if not self._changed.done():
            self._changed.set_result(None)


def pieces(chunk: bytes) -> Iterator[bytes]:
    """``chunk`` in parts of at most :data:`PIECE` bytes; nothing for an empty one."""
    if 0 < len(chunk) <= PIECE:
        yield chunk
    else:
        for start in range(0, len(chunk), PIECE):
            yield chunk[start : start + PIECE]


def produce(stream: StreamReply, flow: Flow, send: Callable[[bytes], None]) -> Exception | None:
    """Pull the model's chunks as credit allows and ``send`` them; close the generator in every case.

    Returns what the generator raised, for the log and the reader: the status has been sent already. ``SystemExit``
    counts as an error like others, and so does a cancellation: a timeout or a task group around a ``yield`` may cancel
    the call while it waits for credit, and a task group that is closed there raises a group with ``GeneratorExit``.
    """
    error: Exception | None = None
    try:
        chunks = iter(stream.chunks)
        while flow.ready():
            try:
                chunk = next(chunks)
            except StopIteration:
                break
            for index, piece in enumerate(pieces(chunk)):
                if index and not flow.ready():
                    return None
                send(piece)
                flow.spend(len(piece))
    except (WorkerStop, KeyboardInterrupt):
        raise
    except BaseException as exc:
        error = _as_exception(exc)
    finally:
        try:
            stream.close()
        except (WorkerStop, KeyboardInterrupt):
            raise
        except BaseException as exc:
            error = error or _as_exception(exc)
    return error


def _as_exception(error: BaseException) -> Exception:
    if isinstance(error, Exception):
        return error
    did = f"called sys.exit({error.code!r})" if isinstance(error, SystemExit) else f"raised {error!r}"
    made = RuntimeError(f"the hook {did}")
    made.__cause__ = error
    return made
