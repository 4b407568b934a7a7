"""Readers of a request body from ASGI's ``receive``: bounded, counted, into memory or a spool file."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar

from litestar.types import Receive, Scope

from drum_litestar.errors import DiskFullError
from drum_litestar.execution.queue_limits import MemoryShare
from drum_litestar.http.spool import SpoolDirectory, SpoolFile, discard_all
from drum_litestar.predictors.protocol import Payload
from drum_litestar.settings.groups.limits import UploadSettings

logger = logging.getLogger(__name__)

T = TypeVar("T")

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""``errno`` of a full disk, a quota, and a limit of file sizes."""

WRITE_BLOCK = 1024 * 1024
"""Bytes that are buffered before a thread writes them, while they fit into the queue's memory."""


class ClientGoneError(Exception):
    """The client disconnected while it was sending. No response can reach it."""


class BodyStream:
    """The chunks of one request body, whose size the middleware limits."""

    __slots__ = ("_receive", "announced", "done", "size")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self.size = 0
        self.done = False
        self.announced = _content_length(scope)

    async def read(self) -> bytes:
        """Return the next non-empty chunk; ``b""`` at the end. Raises ClientGoneError, and what the middleware raises
        in ``receive``: BodyTooLargeError."""
        while not self.done:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            self.done = not message.get("more_body", False)
            chunk = message.get("body", b"")
            if chunk:
                self.size += len(chunk)
                return chunk
        return b""


def _content_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


class Spool:
    """The spool files of one request, and a counter of its bytes in memory."""

    __slots__ = ("_directory", "_files", "held", "memory", "threshold")

    def __init__(self, directory: SpoolDirectory, uploads: UploadSettings, memory: MemoryShare) -> None:
        """``memory``: the request's share of the queue's memory; counts the bytes of its body that are not on disk."""
        self._directory = directory
        self._files: list[SpoolFile] = []
        self.threshold = uploads.spool_threshold
        self.memory = memory
        self.held = 0
        """Bytes that the request's sinks keep in memory until the call is sent."""

    def new_file(self) -> SpoolFile:
        """Add a spool file to the request."""
        file = SpoolFile(self._directory)
        self._files.append(file)
        return file

    async def discard(self) -> None:
        """Remove all files in a thread, also if the caller is cancelled meanwhile. Idempotent."""
        files, self._files = self._files, []
        if files:
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, discard_all, files))


class Sink:
    """Collects one payload: in memory up to the request's threshold and the queue's memory, then in a file."""

    __slots__ = ("_chunks", "_counted", "_file", "_pending", "_spool", "size")

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._chunks: list[bytes] = []
        self._file: SpoolFile | None = None
        self._pending = 0
        self._counted = 0
        self.size = 0

    async def write(self, chunk: bytes) -> None:
        """Add a chunk. Raises DiskFullError, and OSError for other errors of the disk."""
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
        """Return ``(data, None)`` or ``(None, path)``. Raises as :meth:`write` does."""
        if self._file is None:
            # bytes() copies only a bytearray, which older parsers return
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
    """Read the whole body as one payload. Raises what ``stream`` and :class:`Sink` raise."""
    chunk = await stream.read()
    # The fast path of nearly every request: the body arrived in one piece.
    if stream.done and len(chunk) <= spool.threshold and spool.memory.reserve(len(chunk)):
        return Payload(data=chunk, size=len(chunk), mimetype=mimetype, charset=charset)
    sink = Sink(spool)
    while chunk:
        await sink.write(chunk)
        chunk = await stream.read()
    data, path = await sink.finish()
    return Payload(data=data, path=path, size=sink.size, mimetype=mimetype, charset=charset)
