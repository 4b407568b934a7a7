"""One model worker as the HTTP process sees it: its state, its slots, the calls in its hands."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging

import msgspec

from drum_litestar.errors import ModelLoadError, RequestError, WorkerDiedError
from drum_litestar.execution.merged import MergedCall
from drum_litestar.execution.pending import PendingCall
from drum_litestar.execution.pool import wire
from drum_litestar.execution.pool.channel import Channel
from drum_litestar.execution.pool.ownership import WorkerOwner, WorkerState
from drum_litestar.execution.pool.pool_options import PoolOptions, init_message
from drum_litestar.execution.pool.prefetch import Preview
from drum_litestar.execution.pool.process import ChildProcess, describe_exit
from drum_litestar.execution.streaming import ChunkStream

_log = logging.getLogger(__name__)

LOST = "The model worker terminated unexpectedly while it handled the request"


class ModelWorker:
    """Is a :class:`drum_litestar.execution.slots.Slot` for as many calls at a time as it has threads."""

    def __init__(self, number: int, spec: msgspec.Struct, options: PoolOptions, owner: WorkerOwner) -> None:
        """Start the process. Raises OSError when the system refuses."""
        self.number = number
        self.state: WorkerState = "starting"
        self.threads = 0
        self.completed = 0
        """Calls of the model: a merged one counts once."""
        self.load_failure: ModelLoadError | None = None
        self.replaces: ModelWorker | None = None
        """The worker that retires when this one is ready."""
        self.call_limit: int | None = None
        """Calls after which it should be replaced."""
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when it is ready, or dead."""
        self.exited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.calls: dict[int, PendingCall | MergedCall] = {}
        self._overdue: set[PendingCall | MergedCall] = set()
        self._before_loss: WorkerState | None = None
        self._ids = itertools.count(1)
        self._owner = owner
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._killer: asyncio.TimerHandle | None = None
        self._process = ChildProcess(number, options.python, options.user, options.on_output, self._on_exit)
        self._channel = Channel(self._loop, self._process.socket, self._on_frame, self._on_lost)
        self._preview = Preview(self, self._channel)
        self._channel.send(wire.frame(init_message(number, spec, options)))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def free(self) -> int:
        """Calls that it could take now."""
        return self.threads - len(self.calls) if self.state == "ready" else 0

    @property
    def streams(self) -> list[ChunkStream]:
        """Answers that are being streamed."""
        works = self.calls.values()
        return [work.stream for work in works if isinstance(work, PendingCall) and work.stream is not None]

    # Slot

    def run(self, entry: PendingCall) -> None:
        call_id = self._preview.claim(entry)
        if call_id is not None:
            self.calls[call_id] = entry
            return
        if entry.preview is not None:
            entry.preview.forget(entry)
        call_id = next(self._ids)
        self.calls[call_id] = entry
        self._channel.send(wire.call_frame(call_id, entry.call))

    def run_merged(self, merged: MergedCall) -> None:
        self._preview.drop()
        call_id = next(self._ids)
        self.calls[call_id] = merged
        self._channel.send(wire.frame(wire.Merged(call_id, merged.calls)))

    def preview(self, entry: PendingCall) -> None:
        """Take a call that still waits, if it is known to be the next here (see :class:`Preview`)."""
        if self.threads == 1 and self.calls:
            self._preview.send(entry, next(self._ids))

    def forget(self, entry: PendingCall) -> None:
        self._preview.drop()

    def overdue(self, work: PendingCall | MergedCall) -> None:
        """Killed as soon as no call is left that may still end in time."""
        self._overdue.add(work)
        self.condemn()
        self._kill_if_hopeless()

    def condemn(self) -> None:
        """No new calls."""
        self._preview.drop()
        if self.state in ("ready", "retiring"):
            was, self.state = self.state, "condemned"
            _log.warning("Worker %d (pid %d) is condemned: a call is past its deadline", self.number, self.pid)
            if was == "ready":
                self._owner.worker_condemned(self)

    # Orders from the supervisor

    def retire(self) -> None:
        """Take no new calls, and stop when those in hand have ended."""
        if self.state == "ready":
            self.state = "retiring"
            if self._preview.entry is not None:
                self._preview.entry.dispatch(self)  # it may begin any moment, so it stays here
            if not self.calls:
                self.stop()

    def stop(self) -> None:
        """Tell it to clean up and exit; streams are closed. With calls in hand, or while it loads, use ``kill``."""
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

    def _kill_if_hopeless(self) -> None:
        if self.state == "condemned" and len(self._overdue) >= len(self.calls):
            self.kill()

    # What it sends. A call that it began in the moment it was to drop it is unknown here: nobody wants its answer.

    def _on_frame(self, message: wire.FromWorker, body: memoryview) -> None:
        if isinstance(message, wire.Answer):
            if (entry := self._single(message.id)) is not None:
                del self.calls[message.id]
                self._ended(entry)
                self._options.observer.model_seconds(message.seconds)
                message.reply.body = bytes(body)
                entry.answer(message.reply)
        elif isinstance(message, wire.MergedAnswer):
            self._merged_answered(message)
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
                self._owner.worker_ready(self, message.card)
        elif isinstance(message, wire.LoadFailed):
            self.load_failure = ModelLoadError(message.message, exit_code=message.exit_code, detail=message.detail)

    def _single(self, call_id: int) -> PendingCall | None:
        entry = self.calls.get(call_id)
        return entry if isinstance(entry, PendingCall) else None

    def _merged_answered(self, message: wire.MergedAnswer) -> None:
        merged = self.calls.get(message.id)
        if not isinstance(merged, MergedCall):
            return
        merged.answer(message.part)
        if message.part.last:
            del self.calls[message.id]
            self._ended(merged)

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
                stuck=functools.partial(self.overdue, entry),
                idle_timeout=self._options.stream_idle_timeout,
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

    def _ended(self, work: PendingCall | MergedCall) -> None:
        """The slot is free: the next call goes out before this one's answer is looked at."""
        self._overdue.discard(work)
        self.completed += 1
        work.end()
        if self.state == "ready":
            self._owner.worker_called(self)
        elif self.state == "retiring" and not self.calls:
            self.stop()
        else:
            self._kill_if_hopeless()

    # Its end

    def _on_lost(self) -> None:
        """The socket is closed: whatever the process still does, it can answer nothing any more."""
        if self.state in ("starting", "ready", "retiring", "condemned"):
            self._before_loss, self.state = self.state, "lost"
            self._preview.drop()
            self._fail_calls()
            # A clean exit on its own is under way, or user code closed the descriptor.
            self._killer = self._loop.call_later(self._options.kill_grace, self._process.kill)

    def _on_exit(self, code: int) -> None:
        self._channel.drain()
        self._channel.close()
        if self._killer is not None:
            self._killer.cancel()
        was, self.state = self._before_loss or self.state, "dead"
        self._preview.drop()
        self._fail_calls()
        self._owner.worker_dead(self, was, describe_exit(code))
        if not self.settled.done():
            self.settled.set_result(None)
        self.exited.set_result(None)

    def _fail_calls(self) -> None:
        for call_id in list(self.calls):
            work = self.calls.pop(call_id)
            if isinstance(work, MergedCall):
                work.lost()
            else:
                work.fail(WorkerDiedError(LOST))
            work.end()
