"""Helpers for tests of ``drum_litestar.http``: a stand-in for the middleware stack."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drum_litestar.request_state import request_state
from http_serving import Serving


class Stack:
    """Sets what the middleware stack sets in the scope; records how each request ended."""

    def __init__(self, timeout: float | None = None, with_disconnect: bool = False) -> None:
        self.timeout = timeout
        self.with_disconnect = with_disconnect
        self.ended = threading.Semaphore(0)
        self.errors: list[BaseException] = []
        self.tickets: list[Any] = []
        self.started: list[int] = []
        self.leave: Callable[[], None] | None = None

    def __call__(self, app: Any) -> Any:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            request = request_state(scope)
            request.request_id = "rid"
            if self.timeout is not None:
                request.deadline = asyncio.get_running_loop().time() + self.timeout
                request.timeout = self.timeout
            if self.with_disconnect:
                request.on_disconnect = self.register

            async def noting_send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    self.started.append(message["status"])
                await send(message)

            try:
                await app(scope, receive, noting_send)
            except BaseException as error:
                self.errors.append(error)
                raise
            finally:
                self.ended.release()

        return wrapped

    def register(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.leave = callback

        def undo() -> None:
            self.leave = None

        return undo

    def wait_ended(self) -> None:
        assert self.ended.acquire(timeout=60)


def pending(server: Serving) -> int:
    """Return the number of tickets in use, after the callbacks that are due on the server's loop."""

    async def count() -> int:
        return int(server.executor.stats()["executor_pending"])

    return asyncio.run_coroutine_threadsafe(count(), server.loop).result(60)


def spool_files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
