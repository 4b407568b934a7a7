"""uvicorn for the proxy, until its mode is done or a signal stops it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Final

import uvicorn

from drum_litestar.errors import UsageError
from drum_litestar.settings.address import Address
from drum_litestar.tools.compare.live.proxy import Proxy
from drum_litestar.tools.compare.progress import LOGGER

GRACE_SECONDS: Final = 30
"""Timeout in seconds of running requests once the proxy is stopping."""


def listen(address: Address) -> socket.socket:
    """Bind a socket. Raises UsageError, naming ``--listen``, when that fails."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=2048)
    except OSError as error:
        raise UsageError(
            f"--listen {address}: cannot listen there: {error.strerror or error}. "
            "Choose another port (0 takes a free one), or stop what uses it."
        ) from error


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to :func:`serve`: uvicorn would raise them again before the report is written."""
        yield


async def serve(proxy: Proxy, bound: socket.socket, done: asyncio.Event) -> None:
    """Serve until ``done`` is set or SIGINT or SIGTERM arrives; running requests finish. Another signal aborts them."""
    config = uvicorn.Config(
        proxy, lifespan="off", ws="none", access_log=False, log_config=None, log_level="critical",
        server_header=False, date_header=False, proxy_headers=False, timeout_graceful_shutdown=GRACE_SECONDS,
    )  # fmt: skip
    server = _Server(config)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True
        done.set()

    handled = (signal.SIGINT, signal.SIGTERM) if sys.platform != "win32" else ()
    for number in handled:
        loop.add_signal_handler(number, stop)
    host, port = bound.getsockname()[:2]
    LOGGER.info("listening on http://%s", Address(host, port))
    serving = asyncio.ensure_future(server.serve([bound]))
    try:
        waiting = asyncio.ensure_future(done.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        server.should_exit = True
        await serving
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
