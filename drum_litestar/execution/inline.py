"""The predictor in the HTTP process: for debugging, unit tests and platforms without worker processes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import time
from collections.abc import Callable
from typing import Any

from drum_litestar.context import StdoutFlusher
from drum_litestar.errors import ModelLoadError, RequestError
from drum_litestar.execution import invoke
from drum_litestar.execution.admission import Admission
from drum_litestar.execution.base_executor import BaseExecutor
from drum_litestar.execution.executor import ExecutorOptions, ExecutorState, WorkerStatus
from drum_litestar.execution.pending import BatchedCall, PendingCall
from drum_litestar.execution.runners import ComputeThreads, LoopRunner
from drum_litestar.execution.streaming import ChunkStream, ThreadFlow, produce
from drum_litestar.observability.logs.prints import end_prints
from drum_litestar.predictors.protocol import ModelCard, Predictor, Reply, StreamReply, call_loop
from drum_litestar.request_context import request_id_var

_log = logging.getLogger(__name__)

CLOSE_TIMEOUT = 2.0
"""Seconds that ``Predictor.close`` may take when calls had to be abandoned."""


class InlineExecutor(BaseExecutor):
    """Runs the model in threads of this process.

    A thread cannot be killed: a call past its deadline gets its 504, but keeps its slot until it returns.
    """

    def __init__(
        self,
        build: Callable[[], Predictor],
        options: ExecutorOptions | None = None,
    ) -> None:
        """``build`` makes an unloaded predictor."""
        self._options = options = options or ExecutorOptions()
        super().__init__(error_server=options.error_server)
        self._build = build
        self._admission = Admission(self, options, options.workers.concurrency(1))
        self._predictor: Predictor | None = None
        self._threads: ComputeThreads | None = None
        self._runner: ComputeThreads | LoopRunner | None = None
        """Of the calls; loading and closing have a thread."""
        self._free = 0
        self._stuck: set[PendingCall | BatchedCall] = set()
        """Calls past their deadline whose threads have not returned."""
        self._streams: set[ChunkStream] = set()
        self._flusher = StdoutFlusher()

    def _live_state(self) -> ExecutorState:
        if self._predictor is None:
            return "starting"
        return "unready" if len(self._stuck) >= self._admission.slot_count else "ready"

    def _begin(self) -> None:
        self._threads = ComputeThreads(1, "model")
        self._threads.submit(functools.partial(self._load, asyncio.get_running_loop()))

    def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        """Load in the first compute thread, because some libraries tie a model to the thread that loaded it."""
        try:
            predictor, card = invoke.load(self._build)
        except ModelLoadError as exc:
            _on_loop(loop, self._load_failed, exc)
        except BaseException as exc:
            _on_loop(loop, self._load_failed, ModelLoadError(f"{type(exc).__name__} while loading the model"))
        else:
            _on_loop(loop, self._loaded, predictor, card)

    def _loaded(self, predictor: Predictor, card: ModelCard) -> None:
        assert self._threads is not None
        self._predictor, self._card = predictor, card
        slots = self._options.workers.concurrency(card.concurrency, may_wait=card.may_wait)
        loop = call_loop(predictor)
        if loop is None:
            self._threads.grow(slots)
        self._runner = self._threads if loop is None else LoopRunner(loop)
        self._free = slots
        self._admission.card_changed(card, slots)
        self._end_start()
        self._admission.dispatch_waiting()

    def _load_failed(self, failure: ModelLoadError) -> None:
        self._failure = failure
        self._phase = self._phase or "failed"
        self._end_start()
        self._admission.fail_waiting("Model failed to load")

    async def _stop_model(self, clean: bool) -> None:
        for stream in self._streams:
            stream.cancel()
        if self._threads is None:
            return
        if self._predictor is not None:
            closed = asyncio.get_running_loop().create_future()
            self._threads.submit(functools.partial(self._close, self._predictor, closed))
            # A hook that does not return must not hold up the exit.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(closed, None if clean else CLOSE_TIMEOUT)
        self._threads.stop()
        self._flusher.close()

    def _force_stop(self) -> None:
        """No-op: a thread cannot be stopped."""

    def _close(self, predictor: Predictor, closed: asyncio.Future[None]) -> None:
        invoke.close(predictor)
        _on_loop(closed.get_loop(), _settle, closed)

    def stats(self) -> dict[str, Any]:
        return {
            "executor_workers": self._admission.slot_count,
            "executor_workers_busy": self._admission.running,
            "executor_stuck": len(self._stuck),
            **self._admission.stats(),
        }

    def workers(self) -> list[WorkerStatus]:
        completed = self._admission.counters.completed
        return [WorkerStatus(0, os.getpid(), self.state, self._admission.running, completed)]

    def pids(self) -> list[int]:
        return [os.getpid()]

    # SlotSource and Slot: all threads are alike, so the executor is its own slot

    def acquire(self) -> InlineExecutor | None:
        if self._free <= 0:
            return None
        self._free -= 1
        return self

    def prefetch(self, entry: PendingCall) -> None:
        """No-op: inline calls are not sent anywhere, so nothing can be prefetched."""

    def drop_prefetched(self, entry: PendingCall) -> None:
        """No-op, as :meth:`prefetch` is."""

    def run(self, entry: PendingCall) -> None:
        assert self._runner is not None
        self._runner.submit(functools.partial(self._compute, entry))

    def run_batch(self, batch: BatchedCall) -> None:
        assert self._runner is not None
        self._runner.submit(functools.partial(self._compute_batch, batch, asyncio.get_running_loop()))

    def mark_unhealthy(self) -> None:
        _log.warning("A call is past its deadline; its thread cannot be stopped")

    def timed_out(self, work: PendingCall | BatchedCall) -> None:
        self._stuck.add(work)  # the slot is busy until the thread returns

    def _compute(self, entry: PendingCall) -> None:
        """Answer one call; runs in a compute thread."""
        assert self._predictor is not None
        assert self._runner is not None
        began = time.perf_counter()
        request_id_var.set(entry.call.request_id)
        answer = invoke.invoke(self._predictor, entry.call)
        error: Exception | None = None
        if isinstance(answer, StreamReply):
            flow = ThreadFlow(self._runner.wait)
            _on_loop(entry.loop, self._begin_stream, entry, answer, flow)
            error = produce(answer, flow, lambda piece: _on_loop(entry.loop, entry.feed, piece))
            if error is not None:
                _log.error("The model failed while streaming", exc_info=error)
        end_prints()
        self._flusher.touch()
        request_id_var.set("")
        reply = answer if isinstance(answer, Reply) else None
        _on_loop(entry.loop, self._ended, entry, reply, error, time.perf_counter() - began)

    def _compute_batch(self, batch: BatchedCall, loop: asyncio.AbstractEventLoop) -> None:
        """Answer a batch; runs in a compute thread."""
        assert self._predictor is not None
        for part in invoke.invoke_batch(self._predictor, batch.calls):
            end_prints()
            _on_loop(loop, self._batch_answered, batch, part)
        self._flusher.touch()

    def _batch_answered(self, batch: BatchedCall, part: invoke.BatchPart) -> None:
        batch.answer(part)
        if part.last:
            self._free += 1
            self._stuck.discard(batch)
            batch.end()

    def _begin_stream(self, entry: PendingCall, answer: StreamReply, flow: ThreadFlow) -> None:
        stream = ChunkStream(
            answer.head,
            grant=flow.grant,
            stop=flow.stop,
            stuck=entry.stuck,
            idle_timeout=self._options.timeouts.stream_idle_timeout or None,
        )
        self._streams.add(stream)
        entry.begin_stream(stream)

    def _ended(self, entry: PendingCall, reply: Reply | None, error: Exception | None, seconds: float) -> None:
        self._free += 1
        self._stuck.discard(entry)
        if entry.stream is not None:
            self._streams.discard(entry.stream)
        self._admission.counters.observer.model_seconds(seconds)
        if reply is not None:
            entry.answer(reply)
        elif error is not None:
            entry.fail(RequestError("The model failed while streaming"))
        entry.end()


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _on_loop(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: Any) -> None:
    """Call ``function`` on ``loop`` from a compute thread; no-op once the loop has closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *args)
