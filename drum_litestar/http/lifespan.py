"""Lifespan of the application: spool directory, worker context, hooks, model, in the order of their dependencies."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from drum_litestar.context import WorkerContext
from drum_litestar.execution.executor import Executor
from drum_litestar.http.app_options import AppOptions, LifespanHook
from drum_litestar.http.spool import SpoolDirectory


@asynccontextmanager
async def model_lifespan(
    executor: Executor, context: WorkerContext, spool_directory: SpoolDirectory, options: AppOptions
) -> AsyncIterator[None]:
    """Run startup hooks, then begin to load the model (the server listens meanwhile); shut down in reverse.

    Shutdown: running calls finish within the grace period, then the model stops, then the context's stop and cleanup
    callbacks run, then the shutdown hooks. A failure in one step does not skip the others.
    """
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(spool_directory.sweep)
        stack.push_async_callback(asyncio.to_thread, spool_directory.close)
        for hook in options.on_shutdown:
            stack.push_async_callback(_run, hook, context)
        context.start()
        stack.push_async_callback(context.aclose)
        for hook in options.on_startup:
            await _run(hook, context)
        await executor.start()
        stack.push_async_callback(executor.shutdown, options.graceful_timeout)
        yield


async def _run(hook: LifespanHook, context: WorkerContext) -> None:
    result = hook(context)
    if inspect.isawaitable(result):
        await result
