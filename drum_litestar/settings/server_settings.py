"""The server's settings as one frozen value, and what uvicorn gets of them."""

from __future__ import annotations

from typing import Any

import msgspec

from drum_litestar.settings.groups.edge import (
    AccessSettings,
    CorsSettings,
    LogSettings,
    LoopSettings,
    RateLimitSettings,
    TlsSettings,
)
from drum_litestar.settings.groups.limits import ConnectionSettings, TimeoutSettings, UploadSettings
from drum_litestar.settings.groups.serving import AdmissionSettings, ListenSettings, ModelSettings, WorkerSettings


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All groups. Built by :func:`drum_litestar.settings.resolve.resolve`; the defaults alone are a valid value."""

    listen: ListenSettings = ListenSettings()
    model: ModelSettings = ModelSettings()
    workers: WorkerSettings = WorkerSettings()
    admission: AdmissionSettings = AdmissionSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    connections: ConnectionSettings = ConnectionSettings()
    uploads: UploadSettings = UploadSettings()
    rate_limit: RateLimitSettings = RateLimitSettings()
    cors: CorsSettings = CorsSettings()
    tls: TlsSettings = TlsSettings()
    access: AccessSettings = AccessSettings()
    log: LogSettings = LogSettings()
    loop: LoopSettings = LoopSettings()

    def slots(self, concurrency: int = 1) -> int:
        """Calls that may compute at once over all workers.

        ``concurrency`` is the model's own wish for one worker (``ModelCard.concurrency``); the operator's wins.
        """
        slots = self.workers.count * (self.workers.threads or concurrency)
        return min(slots, self.admission.max_concurrent or slots)

    def to_uvicorn(self) -> dict[str, Any]:
        """Keyword arguments for ``uvicorn.Config``, TLS included.

        The caller adds the application, and replaces ``http`` by its own protocol class, which has the limits on
        time, head size and connections (uvicorn's ``limit_concurrency`` would refuse probes too, in plain text).
        Access log, request ids and logging set-up are ours, so uvicorn's are off. ``workers`` is given because
        uvicorn would otherwise read ``WEB_CONCURRENCY``. Raises SettingsError when TLS cannot work.
        """
        from drum_litestar.settings.loop import choose_loop
        from drum_litestar.settings.tls import uvicorn_arguments

        return {
            "host": self.listen.address.host,
            "port": self.listen.address.port,
            "loop": choose_loop(self.loop.kind).name,
            "http": "httptools",
            "ws": "none",
            "lifespan": "on",
            "interface": "asgi3",
            "workers": 1,
            "log_config": None,
            "log_level": self.log.level,
            "access_log": False,
            "server_header": False,
            "date_header": True,
            "proxy_headers": True,
            "forwarded_allow_ips": self.listen.forwarded_allow_ips,
            "backlog": self.connections.backlog,
            "timeout_keep_alive": self.timeouts.keep_alive,
            "timeout_graceful_shutdown": self.timeouts.graceful,
            **uvicorn_arguments(self.tls),
        }
