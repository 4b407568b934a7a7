"""The HTTP process's end of a worker's socket, on the event loop.

A raw socket with ``add_reader`` instead of a transport: a frame is sent in the loop iteration that dispatches it
(uvloop's transports wait for its end), and large bodies are sent from where they are.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence

import msgspec

from drum_litestar.execution.pool import memory_file, wire

_log = logging.getLogger(__name__)


class Channel:
    """Sends and receives frames; never blocks. ``on_close`` is called once, when the worker's end is closed."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        on_frame: Callable[[wire.FromWorker, memoryview], None],
        on_close: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._on_frame = on_frame
        self._on_close = on_close
        self._reader = wire.FrameReader()
        self._backlog: list[memoryview] = []
        self._files: list[int] = []
        """Descriptors that go with the next bytes sent: they may arrive before their frames."""
        self._closed = False
        sock.setblocking(False)
        loop.add_reader(sock.fileno(), self._readable)

    def send(self, buffers: wire.Buffers) -> None:
        """Send now what the socket accepts, and the rest as soon as it accepts more."""
        if self._closed:
            return
        file = memory_file.with_frame(buffers)
        if file is not None:
            self._files.append(file)
            buffers = wire.frame(wire.InMemoryFile())
        if self._backlog:
            self._backlog.extend(map(memoryview, buffers))
            return
        try:
            sent = self._send(buffers)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._close_files()
            return  # the worker is gone: its end of file, or its exit, comes next
        if sent < sum(map(len, buffers)):
            self._backlog = wire.unsent(buffers, sent)
            self._loop.add_writer(self._sock.fileno(), self._writable)

    def drain(self) -> None:
        """Receive what a worker sent before it exited."""
        while not self._closed and self._readable():
            pass

    def close(self) -> None:
        """Release the socket and the callbacks, whose owner need not wait for the garbage collector. Idempotent."""
        if not self._closed:
            self._closed = True
            del self._on_frame, self._on_close
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._backlog.clear()
            self._close_files()
            self._sock.close()

    def _writable(self) -> None:
        try:
            sent = self._send(self._backlog[:64])
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._backlog.clear()
            self._close_files()
        else:
            self._backlog = wire.unsent(self._backlog, sent)
        if not self._backlog:
            self._loop.remove_writer(self._sock.fileno())

    def _send(self, buffers: Sequence[bytes | memoryview]) -> int:
        if not self._files:
            return self._sock.send(buffers[0]) if len(buffers) == 1 else self._sock.sendmsg(buffers)
        files = self._files[: memory_file.PER_MESSAGE]
        sent = self._sock.sendmsg(buffers, memory_file.ancillary(files))
        for file in files:
            os.close(file)
        del self._files[: len(files)]
        return sent

    def _close_files(self) -> None:
        for file in self._files:
            os.close(file)
        self._files.clear()

    def _readable(self) -> bool:
        """Read once; False when there was nothing (more) to read."""
        try:
            size = self._sock.recv_into(self._reader.space())
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            size = 0
        if not size:
            self._end()
            return False
        self._reader.added(size)
        while not self._closed and (parts := self._reader.next()) is not None:
            try:
                message = wire.decode_from_worker(parts[0])
            except msgspec.DecodeError:
                _log.exception("A model worker sent bytes that are no frame")
                self._end()
                return False
            self._on_frame(message, parts[1])
        return True

    def _end(self) -> None:
        if not self._closed:
            on_close = self._on_close
            self.close()
            on_close()
