"""One model worker as the HTTP process sees it: its state, its slots, its running calls."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Literal, Protocol

import msgspec

from drum_litestar.errors import ModelLoadError, RequestError, WorkerDiedError
from drum_litestar.execution.observer import RestartCause
from drum_litestar.execution.pending import BatchedCall, PendingCall
from drum_litestar.execution.pool import wire
from drum_litestar.execution.pool.channel import Channel
from drum_litestar.execution.pool.pool_options import PoolOptions, init_message
from drum_litestar.execution.pool.prefetch import Prefetch
from drum_litestar.execution.pool.process import ChildProcess, describe_exit
from drum_litestar.execution.streaming import ChunkStream
from drum_litestar.predictors.protocol import ModelCard

_log = logging.getLogger(__name__)

LOST = "The model worker terminated unexpectedly while it handled the request"

WorkerState = Literal["starting", "ready", "lost", "retiring", "unhealthy", "stopping", "dead"]
"""``lost``: its socket is closed, its process has not ended yet. ``retiring``: gets no new calls, stops when the last
one has ended. ``unhealthy``: holds a call past its deadline, gets no new ones, is killed once its other calls have
ended. ``stopping``: was told to stop or is being killed."""


class WorkerListener(Protocol):
    """Callbacks of a worker."""

    def worker_ready(self, worker: ModelWorker, card: ModelCard) -> None:
        """The model is loaded."""

    def worker_finished_call(self, worker: ModelWorker) -> None:
        """A call has ended in a worker that stays in service."""

    def worker_unhealthy(self, worker: ModelWorker) -> None:
        """A worker that was ready takes no new calls, because one has missed its deadline."""

    def worker_dead(self, worker: ModelWorker, was: WorkerState, reason: str) -> None:
        """The process has ended and its calls are answered; ``reason`` describes the exit."""


class ModelWorker:
    """A :class:`drum_litestar.execution.pending.Slot` for as many calls at a time as the worker has threads."""

    def __init__(self, number: int, spec: msgspec.Struct, options: PoolOptions, listener: WorkerListener) -> None:
        """Start the process. Raises OSError when the system refuses."""
        self.number = number
        self.state: WorkerState = "starting"
        self.threads = 0
        self.completed = 0
        """Calls of the model: a batch counts once."""
        self.load_failure: ModelLoadError | None = None
        self.replaces: ModelWorker | None = None
        """The worker that retires when this one is ready."""
        self.cause: RestartCause | None = None
        """Why it replaces that one."""
        self.call_limit: int | None = None
        """Calls after which it should be replaced."""
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when it is ready, or dead."""
        self.exited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.calls: dict[int, PendingCall | BatchedCall] = {}
        self._timed_out: set[PendingCall | BatchedCall] = set()
        self._before_loss: WorkerState | None = None
        self._ids = itertools.count(1)
        self._listener = listener
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._killer: asyncio.TimerHandle | None = None
        self._process = ChildProcess(number, options.python, options.workers.user, options.on_output, self._on_exit)
        self._channel = Channel(self._loop, self._process.socket, self._on_frame, self._on_lost)
        self._prefetch = Prefetch(self._channel)
        self._channel.send(wire.frame(init_message(number, spec, options)))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def free(self) -> int:
        """Calls that the worker could take now."""
        return self.threads - len(self.calls) if self.state == "ready" else 0

    @property
    def stuck(self) -> int:
        """Calls past their deadline that have not ended."""
        return len(self._timed_out)

    @property
    def streams(self) -> list[ChunkStream]:
        """Answers that are being streamed."""
        works = self.calls.values()
        return [work.stream for work in works if isinstance(work, PendingCall) and work.stream is not None]

    # Slot

    def run(self, entry: PendingCall) -> None:
        call_id = self._prefetch.claim(entry)
        if call_id is not None:
            self.calls[call_id] = entry
            return
        if entry.prefetched_by is not None:
            entry.prefetched_by.drop_prefetched(entry)
        call_id = next(self._ids)
        self.calls[call_id] = entry
        self._channel.send(wire.call_frame(call_id, entry.call))

    def run_batch(self, batch: BatchedCall) -> None:
        self._prefetch.drop()
        call_id = next(self._ids)
        self.calls[call_id] = batch
        self._channel.send(wire.frame(wire.Batch(call_id, batch.calls)))

    def prefetch(self, entry: PendingCall) -> None:
        """Take a call that still waits, if it is known to be the next here (see :class:`Prefetch`)."""
        if self.threads == 1 and self.calls:
            self._prefetch.send(entry, next(self._ids), self)

    def drop_prefetched(self, entry: PendingCall) -> None:
        self._prefetch.drop()

    def timed_out(self, work: PendingCall | BatchedCall) -> None:
        """Kill the unhealthy worker as soon as no call is left that may still end in time."""
        self._timed_out.add(work)
        self._kill_if_exhausted()

    def mark_unhealthy(self) -> None:
        """Take no new calls: a call here missed its deadline; other calls may still finish."""
        self._prefetch.drop()
        if self.state in ("ready", "retiring"):
            was, self.state = self.state, "unhealthy"
            _log.warning("Worker %d (pid %d) is unhealthy: a call is past its deadline", self.number, self.pid)
            if was == "ready":
                self._listener.worker_unhealthy(self)

    # Orders from the supervisor

    def retire(self) -> None:
        """Take no new calls, and stop when the running ones have ended."""
        if self.state == "ready":
            self.state = "retiring"
            if self._prefetch.entry is not None:
                self._prefetch.entry.dispatch(self)  # it may begin at any moment, so it stays here
            if not self.calls:
                self.stop()

    def stop(self) -> None:
        """Tell the worker to clean up and exit, which closes its streams. It must be loaded and run no other calls."""
        if self.state not in ("stopping", "dead"):
            self.state = "stopping"
            for stream in self.streams:
                stream.cancel()
            self._channel.send(wire.frame(wire.Stop()))
            self._killer = self._loop.call_later(self._options.stop_grace, self._terminate)

    def kill(self) -> None:
        """SIGTERM now, SIGKILL after the grace."""
        if self.state != "dead":
            self.state = "stopping"
            self._terminate()

    def _terminate(self) -> None:
        if self._killer is not None:
            self._killer.cancel()
        self._process.terminate()
        self._killer = self._loop.call_later(self._options.kill_grace, self._process.kill)

    def _kill_if_exhausted(self) -> None:
        if self.state == "unhealthy" and len(self._timed_out) >= len(self.calls):
            self._process.show_stacks()
            self.kill()

    # Messages from the worker. A prefetched call that it began just before it was told to drop it is unknown here: its
    # answer is ignored.

    def _on_frame(self, message: wire.FromWorker, body: memoryview) -> None:
        if isinstance(message, wire.Answer):
            if (entry := self._single(message.id)) is not None:
                del self.calls[message.id]
                self._ended(entry)
                self._options.observer.model_seconds(message.seconds)
                message.reply.body = bytes(body)
                entry.answer(message.reply)
        elif isinstance(message, wire.BatchAnswer):
            self._batch_answered(message)
        elif isinstance(message, wire.Chunk):
            if (entry := self._single(message.id)) is not None:
                entry.feed(bytes(body))
        elif isinstance(message, wire.StreamBegin):
            self._stream_began(message)
        elif isinstance(message, wire.StreamEnd):
            self._stream_ended(message)
        elif isinstance(message, wire.Ready):
            self.threads = message.threads
            if self.state == "starting":
                self.state = "ready"
                self.settled.set_result(None)
                self._listener.worker_ready(self, message.card)
        elif isinstance(message, wire.LoadFailed):
            self.load_failure = ModelLoadError(
                message.reason, exit_code=message.exit_code, detail=message.detail, remedy=message.remedy
            )

    def _single(self, call_id: int) -> PendingCall | None:
        entry = self.calls.get(call_id)
        return entry if isinstance(entry, PendingCall) else None

    def _batch_answered(self, message: wire.BatchAnswer) -> None:
        batch = self.calls.get(message.id)
        if not isinstance(batch, BatchedCall):
            return
        batch.answer(message.part)
        if message.part.last:
            del self.calls[message.id]
            self._ended(batch)

    def _stream_began(self, message: wire.StreamBegin) -> None:
        call_id = message.id
        entry = self._single(call_id)
        if entry is None:
            return
        entry.begin_stream(
            ChunkStream(
                message.head,
                grant=lambda size: self._channel.send(wire.frame(wire.Grant(call_id, size))),
                stop=lambda: self._channel.send(wire.frame(wire.Cancel(call_id))),
                stuck=entry.stuck,
                idle_timeout=self._options.timeouts.stream_idle_timeout or None,
            )
        )

    def _stream_ended(self, message: wire.StreamEnd) -> None:
        entry = self._single(message.id)
        if entry is None:
            return
        del self.calls[message.id]
        if message.failed:
            entry.fail(RequestError("The model failed while streaming"))
        self._ended(entry)
        self._options.observer.model_seconds(message.seconds)

    def _ended(self, work: PendingCall | BatchedCall) -> None:
        """Free the slot, so that the next call goes out before this one's answer is processed."""
        self._timed_out.discard(work)
        self.completed += 1
        work.end()
        if self.state == "ready":
            self._listener.worker_finished_call(self)
        elif self.state == "retiring" and not self.calls:
            self.stop()
        else:
            self._kill_if_exhausted()

    # The end of the worker

    def _on_lost(self) -> None:
        """The socket is closed: the process may still run, but can answer nothing any more."""
        if self.state in ("starting", "ready", "retiring", "unhealthy"):
            self._before_loss, self.state = self.state, "lost"
            self._prefetch.drop()
            self._fail_calls()
            # The worker is exiting by itself, or user code closed the descriptor.
            self._killer = self._loop.call_later(self._options.kill_grace, self._process.kill)

    def _on_exit(self, code: int) -> None:
        self._channel.drain()
        self._channel.close()
        if self._killer is not None:
            self._killer.cancel()
        was, self.state = self._before_loss or self.state, "dead"
        self._prefetch.drop()
        self._fail_calls()
        self._listener.worker_dead(self, was, describe_exit(code))
        if not self.settled.done():
            self.settled.set_result(None)
        self.exited.set_result(None)

    def _fail_calls(self) -> None:
        for call_id in list(self.calls):
            work = self.calls.pop(call_id)
            if isinstance(work, BatchedCall):
                work.worker_died()
            else:
                work.fail(WorkerDiedError(LOST))
            work.end()
