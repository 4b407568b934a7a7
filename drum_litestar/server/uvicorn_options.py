"""The settings as keyword arguments of ``uvicorn.Config``."""

from __future__ import annotations

from typing import Any

from drum_litestar.server.loop_choice import choose_loop
from drum_litestar.server.tls import tls_arguments
from drum_litestar.settings.server_settings import ServerSettings


def uvicorn_options(settings: ServerSettings) -> dict[str, Any]:
    """Keyword arguments for ``uvicorn.Config``, TLS included.

    The caller adds the application, and replaces ``http`` by its own protocol class, which has the limits on time, head
    size and connections (uvicorn's ``limit_concurrency`` would refuse probes too, in plain text). uvicorn's access log,
    request ids and logging set-up are off, because this package has its own. ``workers`` is given because uvicorn would
    otherwise read ``WEB_CONCURRENCY``. Raises SettingsError when the TLS context cannot be built.
    """
    return {
        "host": settings.listen.address.host,
        "port": settings.listen.address.port,
        "loop": choose_loop(settings.loop.kind).name,
        "http": "httptools",
        "ws": "none",
        "lifespan": "on",
        "interface": "asgi3",
        "workers": 1,
        "log_config": None,
        "log_level": settings.log.level,
        "access_log": False,
        "server_header": False,
        "date_header": True,
        "proxy_headers": True,
        "forwarded_allow_ips": settings.listen.forwarded_allow_ips,
        "backlog": settings.connections.backlog,
        "timeout_keep_alive": settings.timeouts.keep_alive,
        "timeout_graceful_shutdown": settings.timeouts.graceful_timeout,
        **tls_arguments(settings.tls),
    }
