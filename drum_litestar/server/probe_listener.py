"""The port of the probes: a second one on the same event loop, whose connections nothing of the first one limits.

It opens with the main port and outlives it: while the server drains, its probes still say so, and metrics are read.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Final, cast

import uvicorn
from uvicorn.server import ServerState

from drum_litestar.middleware.asgi import ASGIApp
from drum_litestar.server.sockets import describe

BACKLOG: Final = 128

_logger: Final = logging.getLogger(__name__)


class ProbeListener:
    """Serves ``app`` on ``sockets``, in plain HTTP. Its requests are not among those that a shutdown waits for."""

    def __init__(
        self, app: ASGIApp, sockets: Sequence[socket.socket], protocol: type[asyncio.Protocol], keep_alive: float
    ) -> None:
        """``protocol`` as for :func:`drum_litestar.server.uvicorn_server.run_server`; ``keep_alive`` in seconds."""
        self._config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=cast("int", keep_alive),
        )
        self._sockets = sockets
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        """Accept connections."""
        self._config.load()
        protocol: Callable[[], asyncio.Protocol] = functools.partial(
            cast("Callable[..., asyncio.Protocol]", self._config.http_protocol_class),
            config=self._config,
            server_state=self._state,
            app_state={},
        )
        loop = asyncio.get_running_loop()
        self._servers = [await loop.create_server(protocol, sock=sock, backlog=BACKLOG) for sock in self._sockets]
        _logger.info("Probes and metrics on %s", describe(self._sockets, "http"))

    def tick(self, default_headers: list[tuple[bytes, bytes]]) -> None:
        """Take over the headers of all responses (``Date``), which are renewed each second."""
        self._state.default_headers = default_headers

    def close(self) -> None:
        """Close the port and its connections at once."""
        for server in self._servers:
            server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
