"""Event loop for ``async def`` hooks: runs coroutines and asynchronous iterables for synchronous callers.

Each model has one event loop in one background thread, so that clients which a hook opens in ``load_model`` stay
bound to the loop on which ``score`` and ``chat`` run later. The first asynchronous hook starts it. Its callers are
threads, or jobs in the loop's own thread (:mod:`drum_litestar.predictors.native.hooks.loop_calls`).
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Iterator, Protocol

from drum_litestar.predictors.native.hooks import loop_calls
from drum_litestar.predictors.protocol import HasFileno

logger = logging.getLogger("drum")

_END = object()
"""Stands for the end of an iteration: no future of asyncio can hold a StopIteration."""


class HookLoop:
    """The event loop of one model's hooks. Thread-safe. Implements
    :class:`~drum_litestar.predictors.protocol.CallLoop`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._ended = False
        """Set in the loop's thread, once nothing runs in it any more."""
        self._jobs: set[asyncio.Task[None]] = set()
        self._threads = _BlockingThreads()

    def submit(self, job: Callable[[], None]) -> None:
        """Run ``job`` in the loop's thread; where it waits in :meth:`run` or :meth:`wait`, others go on."""
        loop = self.start()
        if threading.current_thread() is self._thread:
            self._begin(job)
        else:
            loop.call_soon_threadsafe(self._begin, job)

    def _begin(self, job: Callable[[], None]) -> None:
        task = asyncio.ensure_future(loop_calls.drive(job))
        self._jobs.add(task)  # a loop alone does not keep its tasks
        task.add_done_callback(self._jobs.discard)

    def watch(self, file: HasFileno, callback: Callable[[], None]) -> None:
        """Call ``callback`` in the loop's thread whenever ``file`` can be read."""
        loop = self.start()
        loop.call_soon_threadsafe(loop.add_reader, file, callback)

    def unwatch(self, file: HasFileno) -> None:
        """End that; called in the loop's thread."""
        self.start().remove_reader(file)

    def wait(self, future: Future[Any]) -> Any:
        """The result of ``future``, or its exception."""
        return loop_calls.wait_for_thread(future) if loop_calls.inside() else future.result()

    def away(self, function: Callable[[], Any]) -> Any:
        """Call ``function``, which may block: in another thread than the loop's."""
        if not loop_calls.inside():
            return function()
        raised, value = self.wait(self._threads.submit(functools.partial(contextvars.copy_context().run, function)))
        if raised:
            raise value
        return value

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """The result of ``awaitable``, or its exception (SystemExit too) raised here.

        The caller's context variables are visible in it.
        """
        if loop_calls.inside():
            return loop_calls.wait(awaitable)
        try:
            loop = self.start()
        except RuntimeError:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise
        raised, value = asyncio.run_coroutine_threadsafe(_outcome(awaitable), loop).result()
        if raised:
            raise value
        return value

    def start(self) -> asyncio.AbstractEventLoop:
        """The running loop. Raises RuntimeError after :meth:`close`."""
        with self._lock:
            if self._closed:
                raise RuntimeError("The model is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._run_loop, args=(self._loop,), name="drum-litestar-async-hooks", daemon=True
                )
                self._thread.start()
            return self._loop

    def _run_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until :meth:`close`: a SystemExit in a task that a hook has started leaves the loop, after the hook that
        awaits the task has got it; a hook may stop the loop, too. All calls need it."""
        while not self._ended:
            try:
                loop.run_forever()
            except SystemExit as error:  # noqa: PERF203 - rare
                logger.error("A task of the hooks called sys.exit(%r)", error.code)

    def close(self, timeout: float = 5.0) -> None:
        """Cancel the running tasks and end the thread. Idempotent.

        A hook that blocks the loop longer than ``timeout`` seconds keeps its daemon thread until the process ends.
        """
        with self._lock:
            self._closed = True
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is None or thread is None:
            return
        ending = asyncio.run_coroutine_threadsafe(_cancel_all(loop), loop)
        ending.add_done_callback(lambda _: loop.call_soon_threadsafe(self._end, loop))
        thread.join(timeout)
        self._threads.stop()
        if not thread.is_alive():
            loop.close()

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ended = True
        loop.stop()


async def _outcome(awaitable: Awaitable[Any]) -> tuple[bool, Any]:
    """``(False, result)`` or ``(True, exception)``: a SystemExit that leaves its task would stop the loop."""
    try:
        return False, await awaitable
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        return True, error


class _BlockingThreads:
    """Runs functions that may block, as many at once as there are; :meth:`submit` is called in one thread only.

    Daemon threads, unlike those of ``concurrent.futures``, do not hold up the exit of the process.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Future[tuple[bool, Any]]] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._count = 0

    def submit(self, function: Callable[[], Any]) -> Future[tuple[bool, Any]]:
        """``(False, result)`` or ``(True, exception)``: no future of asyncio can hold a StopIteration."""
        outcome: Future[tuple[bool, Any]] = Future()
        self._jobs.put((function, outcome))
        if not self._idle.acquire(blocking=False):
            self._count += 1
            name = f"drum-litestar-blocking-{self._count}"
            threading.Thread(target=self._run, name=name, daemon=True).start()
        return outcome

    def stop(self) -> None:
        """Let each thread end after the functions before this call; does not wait."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, outcome = job
            if outcome.set_running_or_notify_cancel():
                outcome.set_result(_outcome_of(function))
            del job, function, outcome  # a waiting thread must not keep what it has made alive
            self._idle.release()


def _outcome_of(function: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return False, function()
    except BaseException as error:
        return True, error


async def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await loop.shutdown_asyncgens()


def _closers(*objects: Any) -> Iterator[Any]:
    """The close methods of ``objects``, each object once."""
    seen: list[Any] = []
    for each in objects:
        if any(each is other for other in seen):
            continue
        seen.append(each)
        close = getattr(each, "aclose", None) or getattr(each, "close", None)
        if close is not None:
            yield close


class Source(Protocol):
    """An iterator whose producer can be stopped, also from another thread."""

    def __next__(self) -> Any: ...

    def close(self) -> None: ...


class SyncSource(Iterator[Any]):
    """A synchronous iterable whose producer can be closed from another thread than the one that iterates.

    ``call`` calls a function that may block.
    """

    def __init__(self, source: Any, call: Callable[[Callable[[], Any]], Any] | None = None) -> None:
        self._source = source
        self._call = call
        self._iterator = iter(source)
        self._iterating = threading.Lock()
        self._ending = False
        self._closed = False

    def __next__(self) -> Any:
        item = self._advance() if self._call is None else self._call(self._advance)
        if item is _END:
            raise StopIteration
        return item

    def _advance(self) -> Any:
        try:
            with self._iterating:
                return _END if self._ending else next(self._iterator, _END)
        finally:
            if self._ending:
                self.close()

    def close(self) -> None:
        """Run the producer's ``finally`` blocks: now, or after the item that it computes at the moment.

        Idempotent.
        """
        self._ending = True
        if not self._iterating.acquire(blocking=False):
            return
        try:
            if not self._closed:
                self._closed = True
                for close in _closers(self._iterator, self._source):
                    close()
        finally:
            self._iterating.release()


class JobSource(Iterator[Any]):
    """An asynchronous iterable as a synchronous iterator, for a job on the loop: the job's task consumes it."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._iterator = source.__aiter__()
        self._closed = False

    def __next__(self) -> Any:
        if self._closed:
            raise StopIteration
        try:
            return loop_calls.wait(self._iterator.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """Stop the producer and wait until its ``finally`` blocks have run; raises what they raise. Idempotent."""
        if not self._closed:
            self._closed = True
            for close in _closers(self._iterator, self._source):
                result = close()
                if inspect.isawaitable(result):
                    loop_calls.wait(result)


class AsyncSource(Iterator[Any]):
    """The same for a thread.

    One task consumes the source from first item to last, because context managers that span a ``yield`` (timeouts,
    task groups) must be entered and left in the same task. It asks for the next item only when the caller does.
    """

    def __init__(self, hook_loop: HookLoop, source: Any) -> None:
        self._source = source
        self._iterator = source.__aiter__()
        self._loop = hook_loop.start()
        self._wanted: asyncio.Queue[Future[Any]]
        self._ended: Future[None] = Future()
        self._task: asyncio.Task[BaseException | None] | None = None
        self._pumping = False
        self._ending = False
        self._cut: BaseException | None = None
        """What ended the task while no item was wanted: a timeout or a task group around a ``yield`` may cancel it."""
        self._loop.call_soon_threadsafe(self._begin)

    def __next__(self) -> Any:
        if self._ended.done():
            raise self._end_of_items()
        reply: Future[Any] = Future()
        self._loop.call_soon_threadsafe(self._ask, reply)
        return reply.result()

    def close(self) -> None:
        """Stop the producer and wait until its ``finally`` blocks have run; raises what they raise.

        Idempotent. May be called while another thread waits for an item: that iteration then ends.
        """
        self._ending = True
        if not self._ended.done():
            self._loop.call_soon_threadsafe(self._cancel)
        self._ended.result()

    # The methods below run on the loop's thread, so they need no lock.

    def _begin(self) -> None:
        self._wanted = asyncio.Queue()  # before Python 3.10 a queue is bound to the loop of the thread that creates it
        self._task = self._loop.create_task(self._pump())
        self._task.add_done_callback(self._settle)

    def _ask(self, reply: Future[Any]) -> None:
        if self._ended.done():
            reply.set_exception(self._end_of_items())
        else:
            self._wanted.put_nowait(reply)

    def _cancel(self) -> None:
        if self._task is None or not self._pumping:
            return  # _pump checks `_ending` when it starts; a task cancelled before that would skip its `finally`
        self._task.cancel()

    async def _pump(self) -> BaseException | None:
        self._pumping = True
        await self._serve()
        return await self._close_source()

    async def _serve(self) -> None:
        while not self._ending:
            reply: Future[Any] | None = None
            try:
                reply = await self._wanted.get()
                reply.set_result(await self._iterator.__anext__())
            except BaseException as error:
                over = self._ending and isinstance(error, asyncio.CancelledError)
                if reply is not None:
                    reply.set_exception(StopIteration() if over or isinstance(error, StopAsyncIteration) else error)
                elif not over:
                    self._cut = error
                return

    async def _close_source(self) -> BaseException | None:
        try:
            for close in _closers(self._iterator, self._source):
                result = close()
                if inspect.isawaitable(result):
                    await result
        except BaseException as error:
            return error
        return None

    def _settle(self, task: asyncio.Task[BaseException | None]) -> None:
        failure = None if task.cancelled() else task.result()
        while not self._wanted.empty():
            self._wanted.get_nowait().set_exception(self._end_of_items())
        if failure is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(failure)

    def _end_of_items(self) -> BaseException:
        """What cut the items off, once; then StopIteration."""
        cut, self._cut = self._cut, None
        return StopIteration() if cut is None else cut
