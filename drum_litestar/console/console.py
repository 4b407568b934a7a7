"""The console of one server: joins what it keeps with what the server has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from drum_litestar.console.event_log import EventLog, Faults
from drum_litestar.console.live_feed import LiveFeed, LiveStream
from drum_litestar.console.overview import Overview, overview
from drum_litestar.console.request_log import RecentRequests, RequestLog
from drum_litestar.errors import RequestError
from drum_litestar.execution.executor import Executor
from drum_litestar.predictors.protocol import ModelCall, Reply
from drum_litestar.request_state import RequestState

TIMES_HEADER: Final = b"x-drum-times"
"""Header of a request that asks for ``Server-Timing`` in the answer."""


class Console:
    """Implements :class:`drum_litestar.http.app_options.CallConsole`."""

    def __init__(
        self,
        *,
        name: str,
        versions: dict[str, str],
        settings: Sequence[dict[str, Any]],
        show_stacktrace: bool,
    ) -> None:
        """``settings``: each as ``drum-litestar settings --json`` has it, with secrets masked."""
        self._name = name
        self._versions = versions
        self._settings = settings
        self._refused: Counter[str] = Counter()
        self.requests = RequestLog()
        self.events = EventLog(show_stacktrace=show_stacktrace)
        self.feed = LiveFeed(self.requests, self.events, lambda: dict(self._refused))

    # what other parts report

    def noted(self, call: ModelCall, headers: Iterable[tuple[bytes, bytes]]) -> ModelCall:
        """``call`` with a mark for what its answer shall tell besides."""
        timed = False
        for name, _ in headers:  # of each call: any() over a generator would take several times as long
            if name == TIMES_HEADER:
                timed = True
        if not (timed or self.events.show_stacktrace):
            return call
        return msgspec.structs.replace(call, timed=timed, explained=self.events.show_stacktrace)

    def call_failed(self, request: RequestState, status: int, answer: Reply | RequestError) -> None:
        """The request is answered with ``status``, 500 or above."""
        self.events.call_failed(request, status, answer)

    def refused(self, reason: str) -> None:
        """A request was refused; ``reason`` is one of a few fixed words."""
        self._refused[reason] += 1

    def worker_restarted(self, cause: str) -> None:
        """A model worker is replaced; ``cause`` is one of a few fixed words."""
        self.events.worker_restarted(cause)

    # what the page asks for

    def overview(self, executor: Executor) -> Overview:
        """The server and its model."""
        return overview(
            executor,
            name=self._name,
            versions=self._versions,
            settings=self._settings,
            history=self.events.events(),
            show_stacktrace=self.events.show_stacktrace,
        )

    def recent(self) -> RecentRequests:
        """The last requests."""
        return RecentRequests(self.requests.recent())

    def faults(self) -> Faults:
        """The last errors."""
        return Faults(self.events.faults(), self.events.show_stacktrace)

    def live(self, executor: Executor) -> LiveStream:
        """The live figures, for one viewer."""
        return self.feed.open(executor)
