"""The requests of the last moments: what the console lists, and what it counts while somebody looks."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

import msgspec

from drum_litestar.middleware.access_log import OnRequestEnd
from drum_litestar.request_context import request_id_var
from drum_litestar.route_table import OTHER, REST, RouteTable

KEPT: Final = 100
"""Requests that are listed."""


class EndedRequest(msgspec.Struct, frozen=True, array_like=True):
    """One answered request. Nothing of it is the client's own but the id, whose characters are restricted."""

    number: int
    """Counts up from 1."""
    ended: float
    """Seconds since the epoch."""
    request_id: str
    method: str
    route: str
    """The route's template, or of several with a varying end the first; empty for a path that no route has, which may
    hold anything."""
    status: int
    seconds: float


class RecentRequests(msgspec.Struct, frozen=True):
    """The last requests, the newest first."""

    requests: list[EndedRequest]


class RequestLog:
    """Keeps the last :data:`KEPT` requests. Those of the console itself, of probes and of monitoring are left out.

    Not thread-safe: everything runs on the event loop's thread.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._routes = RouteTable()
        self._recent: deque[tuple[int, float, str, str, str, int, float]] = deque(maxlen=KEPT)
        """The fields of each: a tuple is made in a fraction of a struct's time."""
        self._window: list[float] | None = None
        self.count = 0
        """Requests so far."""
        self.errors: Counter[str] = Counter()
        """Answers of 400 and above so far, by status."""

    def set_routes(self, routes: RouteTable) -> None:
        """Set the table that finds a request's route."""
        self._routes = routes

    def recording(self, on_request_end: OnRequestEnd | None) -> OnRequestEnd:
        """A callback for the end of each request that records it, and calls ``on_request_end``."""

        def ended(method: str, path: str, template: str | None, status: int, seconds: float) -> None:
            if on_request_end is not None:
                on_request_end(method, path, template, status, seconds)
            self.ended(method, path, template, status, seconds)

        return ended

    def ended(self, method: str, path: str, template: str | None, status: int, seconds: float) -> None:
        """Record one request; ``template`` is None where it was refused before its route was found."""
        match = self._routes.find(path)
        route = match.route
        if route.is_polled or route.access in ("probe", "public") or route.tag == "console":
            return
        shown = template or match.template or ("" if route is OTHER else route.paths[0].replace(REST, "…"))
        self.count += 1
        self._recent.append((self.count, self._clock(), request_id_var.get(), method, shown, status, seconds))
        if status >= 400:
            self.errors[str(status)] += 1
        if self._window is not None:
            self._window.append(seconds)

    def recent(self) -> list[EndedRequest]:
        """The last requests, the newest first."""
        return [EndedRequest(*each) for each in reversed(self._recent)]

    def take_times(self) -> list[float]:
        """Seconds of each request since the last call; from the first call on they are kept."""
        taken, self._window = self._window or [], []
        return taken

    def stop_times(self) -> None:
        """Keep no times any more: nobody looks."""
        self._window = None
