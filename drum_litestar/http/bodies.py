"""Reading a request body from ASGI's ``receive``: bounded, counted, and into memory or a spool file."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar

from litestar.types import Receive, Scope

from drum_litestar.errors import BodyTooLargeError, DiskFullError
from drum_litestar.execution.queue_limits import MemoryShare
from drum_litestar.http.app_options import MEBIBYTE, BodyLimits
from drum_litestar.http.spool import SpoolDirectory, SpoolFile, discard_all
from drum_litestar.predictors.protocol import Payload

logger = logging.getLogger(__name__)

T = TypeVar("T")

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk, its owner's share, or what one file may take is used up."""

WRITE_BLOCK = MEBIBYTE
"""Bytes gathered before a thread is asked to write them, while the queue's memory has room for them."""


class ClientGoneError(Exception):
    """The client left while it was sending. There is nobody to answer."""


class BodyStream:
    """The chunks of one request body, never more than ``limit`` bytes of them."""

    __slots__ = ("_limit", "_receive", "announced", "done", "size")

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        """Raises BodyTooLargeError when ``Content-Length`` already says so."""
        self._receive = receive
        self._limit = limit
        self.size = 0
        self.done = False
        self.announced = _content_length(scope)
        if self.announced > limit:
            raise BodyTooLargeError(limit)

    async def read(self) -> bytes:
        """The next non-empty chunk; ``b""`` at the end. Raises ClientGoneError and BodyTooLargeError."""
        while not self.done:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            self.done = not message.get("more_body", False)
            chunk = message.get("body", b"")
            if chunk:
                self.size += len(chunk)
                if self.size > self._limit:
                    raise BodyTooLargeError(self._limit)
                return chunk
        return b""


def _content_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


class Spool:
    """The spool files of one request, and how much of it is kept in memory."""

    __slots__ = ("_directory", "_files", "held", "memory", "threshold")

    def __init__(self, directory: SpoolDirectory, limits: BodyLimits, memory: MemoryShare) -> None:
        """``memory`` counts what of the request's body is in memory."""
        self._directory = directory
        self._files: list[SpoolFile] = []
        self.threshold = limits.spool_threshold
        self.memory = memory
        self.held = 0
        """Bytes that this request's sinks keep in memory for good."""

    def new_file(self) -> SpoolFile:
        file = SpoolFile(self._directory)
        self._files.append(file)
        return file

    async def discard(self) -> None:
        """Remove all files, in a thread, even when the caller is cancelled meanwhile. Idempotent."""
        files, self._files = self._files, []
        if files:
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, discard_all, files))


class Sink:
    """Collects one payload: in memory while the request's threshold and the queue's memory last, then in a file."""

    __slots__ = ("_chunks", "_counted", "_file", "_pending", "_spool", "size")

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._chunks: list[bytes] = []
        self._file: SpoolFile | None = None
        self._pending = 0
        self._counted = 0
        self.size = 0

    async def write(self, chunk: bytes) -> None:
        """Raises DiskFullError, and OSError for other troubles of the disk."""
        size = len(chunk)
        self._chunks.append(chunk)
        self._pending += size
        self.size += size
        fits = self._spool.memory.reserve(size)
        if fits:
            self._counted += size
        if self._file is None:
            self._spool.held += size
            if fits and self._spool.held <= self._spool.threshold:
                return
            self._spool.held -= self.size
            self._file = self._spool.new_file()
        if not fits or self._pending >= WRITE_BLOCK:
            await self._flush(self._file.write)

    async def finish(self) -> tuple[bytes | None, str | None]:
        """``(data, None)`` or ``(None, path)``. Raises as :meth:`write` does."""
        if self._file is None:
            # bytes() copies only what older parsers hand out, a bytearray
            return bytes(self._chunks[0]) if len(self._chunks) == 1 else b"".join(self._chunks), None
        return None, await self._flush(self._file.finish)

    async def _flush(self, write: Callable[[list[bytes]], T]) -> T:
        chunks, self._chunks, self._pending = self._chunks, [], 0
        result = await _in_thread(write, chunks)
        counted, self._counted = self._counted, 0
        self._spool.memory.give_back(counted)
        return result


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    try:
        return await asyncio.get_running_loop().run_in_executor(None, function, *args)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        logger.error("A request body could not be stored: %s", error)
        raise DiskFullError from error


async def read_raw(
    stream: BodyStream, spool: Spool, *, mimetype: str | None = None, charset: str | None = None
) -> Payload:
    """The whole body as one payload."""
    chunk = await stream.read()
    # Nearly every request: it came with its head, in one piece.
    if stream.done and len(chunk) <= spool.threshold and spool.memory.reserve(len(chunk)):
        return Payload(data=chunk, size=len(chunk), mimetype=mimetype, charset=charset)
    sink = Sink(spool)
    while chunk:
        await sink.write(chunk)
        chunk = await stream.read()
    data, path = await sink.finish()
    return Payload(data=data, path=path, size=sink.size, mimetype=mimetype, charset=charset)
