"""Says that the model loads, that the server is ready, and that the model was reloaded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import psutil

from drum_litestar.execution.executor import Executor
from drum_litestar.http.app_options import normalize_prefix
from drum_litestar.launcher.announcements.curl_line import Target
from drum_litestar.launcher.announcements.ready_report import ReadyReport, shown_memory
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.observability.logs.log_format import LIFECYCLE_LOGGER
from drum_litestar.predictors.protocol import ModelCard

INTERVAL: Final = 0.1
"""Seconds between two changes of the status line."""

_log = logging.getLogger(LIFECYCLE_LOGGER)


class Announcer:
    """Tells the operator of the start. All methods run on the event loop."""

    def __init__(
        self,
        plan: LaunchPlan,
        sockets: Sequence[socket.socket],
        show_status: Callable[[str], None] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``plan`` is the prepared one. Without ``sockets`` it is not known where clients reach the server.
        ``show_status`` rewrites the last line of the terminal; None without one."""
        self._plan = plan
        self._sockets = sockets
        self._show_status = show_status
        self._clock = clock

    @contextlib.contextmanager
    def progress(self, text: Callable[[], str]) -> Iterator[Callable[[], float]]:
        """Show ``text`` and the seconds of the block in the status line, while the block runs. Yields a function that
        returns these seconds."""
        began = self._clock()
        loop = asyncio.get_running_loop()

        def elapsed() -> float:
            return self._clock() - began

        timer: asyncio.Handle | None = None

        def tick() -> None:
            nonlocal timer
            self._show(f"{text()} ... {elapsed():.1f} s")
            timer = loop.call_later(INTERVAL, tick) if self._show_status is not None else None

        if self._show_status is not None:
            timer = loop.call_soon(tick)
        try:
            yield elapsed
        finally:
            if timer is not None:
                timer.cancel()
            self._show("")

    def _show(self, text: str) -> None:
        if self._show_status is not None:
            self._show_status(text)

    def quiet(self) -> None:
        """Show no progress any more: a stop has begun."""
        self._show("")
        self._show_status = None

    def loading(self, what: str = "Loading") -> contextlib.AbstractContextManager[Callable[[], float]]:
        """:meth:`progress` of a load of the model folder."""
        target = self._plan.spec.target_type
        model = f"{self._plan.spec.code_dir}{f' ({target.value})' if target is not None else ''}"
        return self.progress(lambda: f"{what} {model}")

    async def ready(self, executor: Executor, card: ModelCard, seconds: float) -> None:
        """Say that the model can be asked; on a terminal, where several workers load, also how far they are.

        ``seconds`` is what the load took.
        """
        target = self._target()
        memory = await asyncio.to_thread(_resident, executor.pids())
        if executor.state != "ready":  # it stops already
            return
        report = ReadyReport(self._plan, card, target, seconds, _workers(executor).get("ready", 0), memory)
        _log.info("%s", report.line(), extra={**report.fields, "block": report.block()})
        if self._show_status is not None:
            await self._others_ready(executor)

    async def _others_ready(self, executor: Executor) -> None:
        """Show the workers that still load; say when all are ready."""
        count = self._plan.settings.workers.count
        if not _workers(executor).get("starting"):
            return
        settled = asyncio.Event()

        def state() -> str:
            workers = _workers(executor)
            if not workers.get("starting"):
                settled.set()
            return f"{workers.get('ready', 0)} of {count} workers are ready"

        with self.progress(state):
            await settled.wait()
        if _workers(executor).get("ready") == count:
            memory = await asyncio.to_thread(_resident, executor.pids())
            _log.info("all %d workers are ready, %s", count, shown_memory(memory))

    def reloaded(self, seconds: float) -> None:
        """Say that the model was loaded again."""
        _log.info("The model is reloaded, in %.1f s", seconds)

    def _target(self) -> Target:
        settings = self._plan.settings
        if not self._sockets:
            return Target("", "")
        return Target.of(
            self._sockets,
            host=settings.listen.address.host,
            tls=settings.tls.certfile is not None,
            url_prefix=normalize_prefix(settings.listen.url_prefix or ""),
        )


def _workers(executor: Executor) -> dict[str, int]:
    """Numbers of model workers by state; empty for a model in this process."""
    found: dict[str, int] = executor.stats().get("executor_workers_by_state", {})
    return found


def _resident(pids: Sequence[int]) -> int:
    """Resident bytes of processes and of what they have started (a Java predictor's server)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += each.memory_info().rss
    return total
