"""Log warnings about refused requests, at most one a minute for each reason, with the setting that decides."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from drum_litestar.settings.declaration import declared
from drum_litestar.settings.resolve import shown_value
from drum_litestar.settings.server_settings import ServerSettings

INTERVAL: Final = 60.0
"""Seconds between two warnings for one reason."""

QUEUE_DEPTH: Final = "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH"

_REASONS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "queue_full": ("503: the queue is full", (QUEUE_DEPTH,)),
    "queue_timeout": ("503: no worker was free, or loaded, in time", ("DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT",)),
    "deadline": ("504: its deadline passed while it waited in the queue", ("DRUM_CLIENT_REQUEST_TIMEOUT",)),
    "body_too_large": ("413: its body is too large", ("DRUM_FASTAPI_MAX_UPLOAD_SIZE",)),
    "form_too_large": ("413: its form is too large", ("DRUM_FORM_MAX_PARTS", "DRUM_FORM_MAX_FIELD_SIZE")),
    "connection_limit": ("503: too many connections are open", ("DRUM_UVICORN_LIMIT_CONCURRENCY",)),
    "rate_limit": ("429: its client sends too many", ("DRUM_RATE_LIMIT_RPM", "DRUM_RATE_LIMIT_BURST")),
}
"""Text and settings of each reason; reasons without a setting are not logged."""

_log = logging.getLogger("drum_litestar.refusals")


class RefusalLog:
    """Warns of the first refusal for each reason in :data:`INTERVAL`; the next warning has the number in between."""

    def __init__(
        self,
        settings: ServerSettings,
        executor_stats: Callable[[], Mapping[str, Any]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``executor_stats`` has the queue's depth, which depends on the model's slots unless it is set."""
        self._settings = settings
        self._executor_stats = executor_stats
        self._clock = clock
        self._until: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def refused(self, reason: str) -> None:
        """Record a refused request; ``reason`` is a label value of ``drum_rejected_total``."""
        if reason not in _REASONS:
            return
        now = self._clock()
        if now < self._until.get(reason, now):
            self._suppressed[reason] += 1
            return
        what, names = _REASONS[reason]
        suppressed = self._suppressed.get(reason, 0)
        more = f" ({suppressed} more since the last such warning)" if suppressed else ""
        _log.warning("A request was refused with %s; the limit is %s%s", what, " ".join(map(self._value, names)), more)
        self._until[reason] = now + INTERVAL
        self._suppressed[reason] = 0

    def _value(self, name: str) -> str:
        setting = next(each for each in declared(ServerSettings) if each.option.name == name)
        value = getattr(getattr(self._settings, setting.group), setting.field)
        if name == QUEUE_DEPTH:
            value = self._executor_stats()["executor_max_queue"]
        unit = f" {setting.option.unit}" if setting.option.unit and not setting.is_size else ""
        return f"{name}={shown_value(setting, value)}{unit}"
