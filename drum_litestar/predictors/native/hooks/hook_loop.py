"""Event loop for ``async def`` hooks: runs coroutines and asynchronous iterables for synchronous callers.

Each model has one event loop in one background thread, so that clients which a hook opens in ``load_model`` stay
bound to the loop on which ``score`` and ``chat`` run later. The first asynchronous hook starts it. Its callers are
threads, or jobs in the loop's own thread (:mod:`drum_litestar.predictors.native.hooks.loop_calls`).
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Iterator, Protocol

from drum_litestar.predictors.native.hooks import loop_calls
from drum_litestar.predictors.protocol import HasFileno

_THREADS = 64
"""Synchronous iterables of asynchronous hooks that may be asked for an item at once."""
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
        self._jobs: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(_THREADS, "drum-litestar-iterables")

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
        return self.wait(self._threads.submit(contextvars.copy_context().run, function))

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
                    target=self._loop.run_forever, name="drum-litestar-async-hooks", daemon=True
                )
                self._thread.start()
            return self._loop

    def close(self, timeout: float = 5.0) -> None:
        """Cancel the running tasks and end the thread. Idempotent.

        A hook that blocks the loop longer than ``timeout`` seconds keeps its daemon thread until the process ends.
        """
        with self._lock:
            self._closed = True
            loop, thread, self._loop = self._loop, self._thread, None
        self._threads.shutdown(wait=False)
        if loop is None or thread is None:
            return
        ending = asyncio.run_coroutine_threadsafe(_cancel_all(loop), loop)
        ending.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
        thread.join(timeout)
        if not thread.is_alive():
            loop.close()


async def _outcome(awaitable: Awaitable[Any]) -> tuple[bool, Any]:
    """``(False, result)`` or ``(True, exception)``: a SystemExit that leaves its task would stop the loop."""
    try:
        return False, await awaitable
    except asyncio.CancelledError:
        raise
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
        self._loop.call_soon_threadsafe(self._begin)

    def __next__(self) -> Any:
        if self._ended.done():
            raise StopIteration
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
            reply.set_exception(StopIteration())
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
                if reply is not None:
                    over = isinstance(error, (StopAsyncIteration, asyncio.CancelledError))
                    reply.set_exception(StopIteration() if over else error)
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
            self._wanted.get_nowait().set_exception(StopIteration())
        if failure is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(failure)
