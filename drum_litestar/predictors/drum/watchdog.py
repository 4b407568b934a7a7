"""Liveness check of the model server beside a worker. When it fails, the worker ends and the pool starts a new one.

DRUM's watchdog kills every process of the container (contract, 5.5); this one ends only its own process, with that
process's children (section 8, Q-26).
"""

from __future__ import annotations

import http.client
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from drum_litestar.settings.boolean_words import watchdog_enabled
from drum_litestar.settings.runtime_params import parameters as runtime_params

SWITCH: Final = "USE_NIM_WATCHDOG"
REQUEST_TIMEOUT: Final = "NIM_WATCHDOG_REQUEST_TIMEOUT"
MAX_ATTEMPTS: Final = "NIM_WATCHDOG_MAX_ATTEMPTS"
INTERVAL: Final = 10.0
BACKOFF: Final = 4.0
"""Seconds, times the square of the number of failures: the wait before the next attempt."""

logger = logging.getLogger("drum")


def end_this_process() -> None:
    """Send SIGTERM to this process: the worker cleans up and exits, and its supervisor replaces it."""
    os.kill(os.getpid(), signal.SIGTERM)


class SidecarWatchdog:
    """Polls ``url + route``. Any HTTP answer counts as alive.

    Failures before the first answer are ignored, because a model server may take an hour to start.
    """

    def __init__(
        self,
        url: str,
        route: str,
        *,
        timeout: float = 120.0,
        attempts: int = 3,
        interval: float = INTERVAL,
        backoff: float = BACKOFF,
        on_dead: Callable[[], None] = end_this_process,
    ) -> None:
        """Start the watchdog's thread. ``timeout``: seconds for one answer; ``attempts``: consecutive failures after
        which ``on_dead`` is called."""
        self._target, self._route = urlsplit(url), route
        self._timeout, self._attempts = timeout, attempts
        self._interval, self._backoff = interval, backoff
        self._on_dead = on_dead
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sidecar-watchdog", daemon=True)
        self._thread.start()

    @classmethod
    def from_environment(
        cls, url: str | None, route: str, environ: Mapping[str, str] = os.environ
    ) -> SidecarWatchdog | None:
        """The watchdog that ``USE_NIM_WATCHDOG`` enables; None when it is off or ``url`` is None.

        Invalid values are replaced by DRUM's defaults, with a warning.
        """
        if url is None or not watchdog_enabled(str(_parameter(SWITCH, environ))):
            return None
        return cls(
            url, route, timeout=_number(REQUEST_TIMEOUT, 120, environ), attempts=_number(MAX_ATTEMPTS, 3, environ)
        )

    def close(self) -> None:
        """Stop the watchdog. Idempotent; ``on_dead`` may call it."""
        self._closing.set()
        if self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _run(self) -> None:
        while not self._alive():  # not yet started
            if self._closing.wait(self._interval):
                return
        failures = 0
        while failures < self._attempts:
            if self._closing.wait(self._backoff * failures**2 if failures else self._interval):
                return
            failures = 0 if self._alive() else failures + 1
            if failures:
                logger.warning("The model server does not answer (%d of %d attempts)", failures, self._attempts)
        if not self._closing.is_set():
            logger.error("The model server at %s is dead: the worker exits", self._target.geturl())
            self._on_dead()

    def _alive(self) -> bool:
        connection = http.client.HTTPConnection(self._target.hostname or "", self._target.port, timeout=self._timeout)
        try:
            connection.request("GET", self._route)
            connection.getresponse().read(1)
        except (OSError, http.client.HTTPException):
            return False
        else:
            return True
        finally:
            connection.close()


def _parameter(name: str, environ: Mapping[str, str]) -> Any:
    try:
        return runtime_params.read_bare(environ.get(runtime_params.variable(name)))
    except runtime_params.RuntimeParameterError as error:
        logger.warning("runtime parameter %s: %s; it is ignored", name, error)
        return None


def _number(name: str, default: int, environ: Mapping[str, str]) -> int:
    value = _parameter(name, environ)
    if value is None:
        return default
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number > 0:
        return number
    logger.warning("runtime parameter %s: value %r is no whole number above 0; %d is used", name, value, default)
    return default
