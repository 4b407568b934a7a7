"""Keeps the wanted number of model workers alive: start, death, replacement, recycling, reload, stop.

Everything is driven by what workers and timers report; nothing polls.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.observer import RestartCause
from drum_litestar.execution.pool.folder_state import FolderState
from drum_litestar.execution.pool.memory import MemoryGuard
from drum_litestar.execution.pool.model_worker import ModelWorker, WorkerState
from drum_litestar.execution.pool.pool_options import PoolOptions
from drum_litestar.predictors.protocol import ModelCard

_log = logging.getLogger(__name__)

RECYCLE_PAUSE = 10.0
"""Seconds before a planned replacement is tried again that failed, or that memory did not allow."""


class CrashLoop:
    """Back-off and give-up rule for workers that die before they are ready. Times are in seconds."""

    def __init__(self, *, deaths: int, window: float, backoff: float, backoff_limit: float) -> None:
        """``deaths`` within ``window`` exhaust the attempts. The wait begins with ``backoff`` and doubles."""
        self._deaths: deque[float] = deque(maxlen=deaths)
        self._window = window
        self._backoff = backoff
        self._limit = backoff_limit
        self._count = 0

    def died(self, now: float) -> float:
        """Count a death; returns the wait before the next attempt."""
        self._deaths.append(now)
        self._count += 1
        return min(self._limit, self._backoff * 2.0 ** min(self._count - 1, 20))

    def cleared(self) -> None:
        """Reset the count: a worker is ready."""
        self._deaths.clear()
        self._count = 0

    @property
    def exhausted(self) -> bool:
        """As many deaths as allowed lie within the window."""
        return len(self._deaths) == self._deaths.maxlen and self._deaths[-1] - self._deaths[0] <= self._window


class SupervisorListener(Protocol):
    """Callbacks of the supervisor."""

    def capacity_changed(self) -> None:
        """A worker has become ready, or a ready one is no longer."""

    def card_changed(self, card: ModelCard, threads: int) -> None:
        """A worker with this card is ready."""

    def gave_up(self, failure: ModelLoadError) -> None:
        """No worker will be started any more."""


class Supervisor:
    """Owns the workers. All methods run on the event loop."""

    def __init__(self, spec: msgspec.Struct, options: PoolOptions, listener: SupervisorListener) -> None:
        self.workers: list[ModelWorker] = []
        """Every worker whose process exists."""
        self.restarts: Counter[str] = Counter()
        self.loaded_once = False
        self.folder = FolderState()
        self._spec = spec
        self._options = options
        self._listener = listener
        self._numbers = itertools.count(1)
        self._crashes = CrashLoop(
            deaths=options.crash_loop_deaths,
            window=options.crash_loop_window,
            backoff=options.backoff,
            backoff_limit=options.backoff_limit,
        )
        self._memory = MemoryGuard(options.memory_headroom, options.workers.max_memory_mb * 1024 * 1024)
        self._retry: asyncio.TimerHandle | None = None
        self._recycle_after = 0.0
        self._reloading = asyncio.Lock()
        self._closed = False

    @property
    def ready(self) -> list[ModelWorker]:
        return [worker for worker in self.workers if worker.state == "ready"]

    @property
    def out_of_service(self) -> bool:
        """No worker is left, and the folder is known not to load: calls would wait in vain."""
        return self.folder.broken_for > 0 and not self.ready

    # Starting

    def start(self) -> None:
        """Start missing workers as far as back-off and memory allow; called again at each event that may help."""
        while not self._closed and self._retry is None:
            present = sum(w.state in ("starting", "ready") and w.replaces is None for w in self.workers)
            if present >= self._options.workers.count or not self._may_start():
                return
            self._spawn()

    def _may_start(self) -> bool:
        """Whether to start one more now: one at a time while the model's size is unknown, memory is short, or the model
        folder could not be loaded."""
        if self.folder.failures and any(worker.state == "starting" for worker in self.workers):
            return False
        if self._options.memory_headroom is None:
            return True
        loading = sum(worker.state == "starting" for worker in self.workers)
        model = next((worker for worker in self.workers if worker.threads), None)
        if model is None:
            return not loading
        if self._memory.fits(model.pid, copies=loading + 1):
            return True
        if loading or len(self.ready) < len(self.workers):
            return False  # when those that load are ready or those that stop have ended, more is known or free
        _log.warning("Memory is short for %d model workers", self._options.workers.count)
        return True

    def _spawn(self, replaces: ModelWorker | None = None, cause: RestartCause | None = None) -> ModelWorker | None:
        """Start a worker, or a planned replacement of ``replaces`` for ``cause``. None when that is impossible."""
        try:
            worker = ModelWorker(next(self._numbers), self._spec, self._options, self)
        except (OSError, KeyError) as exc:  # no memory or descriptors for a process; an unknown user
            self._died_early(f"a model worker could not be started: {exc}", None, replaces, cause)
            return None
        worker.replaces, worker.cause = replaces, cause
        if self._options.workers.max_requests:
            jitter = self._options.workers.max_requests_jitter
            worker.call_limit = max(1, self._options.workers.max_requests + random.randint(-jitter, jitter))
        self.workers.append(worker)
        _log.info("Model worker %d starts (pid %d)", worker.number, worker.pid)
        return worker

    # WorkerListener

    def worker_ready(self, worker: ModelWorker, card: ModelCard) -> None:
        _log.info("Model worker %d is ready (pid %d)", worker.number, worker.pid)
        self.loaded_once = True
        self._crashes.cleared()
        old, worker.replaces = worker.replaces, None
        self._listener.card_changed(card, worker.threads)
        if old is not None:
            old.retire()  # before calls are dispatched: the prefetched one may begin at any moment and stays there
            if worker.cause is not None:
                self._count(worker.cause)
        self._note_loaded(worker)
        self._listener.capacity_changed()
        self.start()

    def _note_loaded(self, worker: ModelWorker) -> None:
        numbers = [other.number for other in self.ready]
        if self.folder.loaded(numbers):
            _log.warning("The model folder can be loaded again: model worker %d is ready", worker.number)
            if not self._reloading.locked() and (stale := self.folder.stale(numbers)):
                _log.warning("%d model worker(s) still serve what was loaded before: SIGHUP replaces them", stale)

    def worker_finished_call(self, worker: ModelWorker) -> None:
        if worker.call_limit is not None and worker.completed >= worker.call_limit:
            self._recycle(worker, "max_requests")
        elif self._memory.too_large(worker.pid):
            self._recycle(worker, "memory")

    def worker_unhealthy(self, worker: ModelWorker) -> None:
        self._lost(worker, "deadline")
        self._listener.capacity_changed()
        self.start()

    def worker_dead(self, worker: ModelWorker, was: WorkerState, reason: str) -> None:
        self.workers.remove(worker)
        self._memory.forget(worker.pid)
        if was == "starting":
            self._died_early(reason, worker.load_failure, worker.replaces, worker.cause)
        elif was == "ready":
            _log.error("Model worker %d (pid %d) died: %s", worker.number, worker.pid, reason)
            self._lost(worker, "died")
            if self._options.workers.death_policy == "exit":
                self._give_up(ModelLoadError(f"A model worker died ({reason})"))
        else:
            _log.info("Model worker %d (pid %d) has ended: %s", worker.number, worker.pid, reason)
        self._listener.capacity_changed()
        self.start()

    def _lost(self, worker: ModelWorker, cause: RestartCause) -> None:
        """``worker`` is out of service unplanned. A planned replacement that loads for it becomes its successor."""
        self._count(cause)
        for other in self.workers:
            if other.replaces is worker:
                other.replaces = None

    def _died_early(
        self, reason: str, failure: ModelLoadError | None, replaces: ModelWorker | None, cause: RestartCause | None
    ) -> None:
        """A worker died, or said that it cannot load the model, before it was ready."""
        if self._closed:
            return
        if failure is not None and not self.loaded_once:
            self._give_up(failure, said=True)
        elif replaces is not None:
            self._not_replaced(reason, failure, replaces, cause)
        elif failure is not None or self.folder.reload_error:
            self._cannot_load(failure or ModelLoadError(reason))
        else:
            self._crashed(reason)

    def _not_replaced(
        self, reason: str, failure: ModelLoadError | None, old: ModelWorker, cause: RestartCause | None
    ) -> None:
        """A planned replacement did not become ready: ``old`` stays in service."""
        pause = RECYCLE_PAUSE
        if cause != "reload":  # else the reload fails, and says so
            self._count("load_failed")
            new_reason = self.folder.load_failed(str(failure or reason), by_folder=failure is not None)
            pause = max(pause, self._load_wait())
            _log.error(
                "Model worker %d is not replaced (%s) and goes on: %s. Next try in %g s or later",
                *(old.number, cause, failure or reason, pause),
                extra={"traceback": failure.detail if failure is not None and new_reason else ""},
            )
        self._recycle_after = asyncio.get_running_loop().time() + pause

    def _cannot_load(self, failure: ModelLoadError) -> None:
        """The folder, as it is now, cannot be loaded for a worker that is missing. The workers that run go on; the
        server never ends because of it, and a mended folder is found by the next try."""
        self._count("load_failed")
        new_reason = self.folder.load_failed(str(failure), by_folder=True)
        wait = self._load_wait()
        if self.ready:
            rest = f"{len(self.ready)} of {self._options.workers.count} model workers go on"
        else:
            rest = "no model worker is left, and calls " + ("get 503" if self.folder.broken_for else "wait")
        _log.error(
            "A model worker did not become ready: %s. What was loaded before cannot be loaded from the model folder as "
            "it is now: %s. Next try in %g s, or at SIGHUP",
            *(failure, rest, wait),
            extra={"traceback": failure.detail if new_reason else ""},
        )
        self._retry_in(wait)

    def _load_wait(self) -> float:
        """Seconds until the next try to load: soon after the first failure, then longer and longer."""
        times, options = self.folder.broken_for, self._options
        if not times:
            return options.backoff
        return float(min(options.load_backoff_limit, options.load_backoff * 2.0 ** min(times - 1, 20)))

    def _crashed(self, reason: str) -> None:
        """A worker died without a word before it was ready. That may be over soon, or is beyond this server."""
        _log.error("A model worker did not become ready: %s", reason)
        delay = self._crashes.died(asyncio.get_running_loop().time())
        if self._crashes.exhausted and not self.ready:
            deaths = self._options.crash_loop_deaths
            self._give_up(ModelLoadError(f"The model worker died {deaths} times before it was ready ({reason})"))
            return
        self._count("load_failed")
        self._retry_in(delay)

    def _retry_in(self, seconds: float) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(seconds, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.start()

    def _give_up(self, failure: ModelLoadError, *, said: bool = False) -> None:
        """Start no more workers. ``said``: ``failure`` is the model's own error, which needs no further line."""
        if not self._closed:
            self._close()
            if not said:
                _log.error("No more model workers are started")
            for worker in self.workers:
                if worker.state == "starting":
                    worker.kill()
            self._listener.gave_up(failure)

    def _count(self, cause: RestartCause) -> None:
        self.restarts[cause] += 1
        self._options.observer.worker_restarted(cause)

    # Planned replacement: the new one is ready before the old one retires

    def _recycle(self, worker: ModelWorker, cause: RestartCause) -> None:
        now = asyncio.get_running_loop().time()
        if self._closed or now < self._recycle_after or any(other.replaces for other in self.workers):
            return  # called again after the next call
        self._recycle_after = now + RECYCLE_PAUSE
        if not self._memory.fits(worker.pid):
            self._memory.warn_once(f"Recycling ({cause})")
        elif self._spawn(replaces=worker, cause=cause) is not None:
            self._recycle_after = now

    async def reload(self, make_spec: Callable[[], msgspec.Struct] | None) -> None:
        """Replace every worker, one after the other, by one that loads the model folder again, and start missing ones.
        The spec that ``make_spec`` makes, in a thread, replaces the present one.

        Raises ModelLoadError when a new one does not become ready, or does not fit into memory; the remaining old ones
        stay in service.
        """
        async with self._reloading:
            newest = max((worker.number for worker in self.workers), default=0)
            try:
                if make_spec is not None:
                    self._spec = await asyncio.to_thread(make_spec)
                await self._reload_all()
            except ModelLoadError as failure:
                self.folder.reload_failed(str(failure), newest)
                raise
            self.folder.reload_succeeded()

    async def _reload_all(self) -> None:
        for old in list(self.workers):
            await asyncio.shield(old.settled)
            while any(other.replaces for other in self.workers):  # a recycling is under way
                await asyncio.shield(next(other.settled for other in self.workers if other.replaces))
            if old.state == "ready" and not self._closed:
                await self._replace(old)
        if self._retry is not None and not self._closed:  # workers are missing: no wait for the next try
            self._retry.cancel()
            self._try_again()
        for new in [worker for worker in self.workers if worker.state == "starting"]:
            await self._settled(new)

    async def _replace(self, old: ModelWorker) -> None:
        if not self._memory.fits(old.pid):
            raise ModelLoadError("The model is not reloaded: a second model worker does not fit into memory")
        new = self._spawn(replaces=old, cause="reload")
        if new is None:
            raise ModelLoadError("The model is not reloaded: a model worker could not be started")
        await self._settled(new)

    async def _settled(self, new: ModelWorker) -> None:
        """Wait until ``new`` is ready. Raises ModelLoadError when it is not going to be."""
        await asyncio.shield(new.settled)
        if not new.threads:
            raise new.load_failure or ModelLoadError("The model is not reloaded: the new model worker died")

    # Stopping

    async def stop(self) -> None:
        """Stop all workers and wait for their end; those that load or run calls other than streams are killed."""
        self._close()
        for worker in self.workers:
            if worker.state == "starting" or len(worker.streams) < len(worker.calls):
                worker.kill()
            else:
                worker.stop()
        await asyncio.gather(*(asyncio.shield(worker.exited) for worker in self.workers))

    def force_stop(self) -> None:
        """Kill workers that are still cleaning up."""
        for worker in self.workers:
            worker.kill()

    def _close(self) -> None:
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
