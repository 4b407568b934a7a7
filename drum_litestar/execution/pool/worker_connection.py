"""The worker's end of the socket: blocking, shared by the threads that answer."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence

from drum_litestar.execution.pool import memory_file, wire
from drum_litestar.execution.streaming import WINDOW
from drum_litestar.predictors.protocol import ModelCall

_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Connection:
    """Frames in, frames out. One thread receives; any thread may send."""

    def __init__(self, sock: socket.socket) -> None:
        sock.set_inheritable(False)
        sock.setblocking(True)
        self._sock = sock
        self._reader = wire.FrameReader()
        self._files: deque[int] = deque()
        """Descriptors of memory files, in the order of their frames."""
        self._lock = threading.Lock()
        self.muted = False
        self.at_end = False
        """The server is gone."""

    def fileno(self) -> int:
        return self._sock.fileno()

    def mute(self) -> None:
        """Send nothing any more: a frame may have been cut, and the server could not read what follows. It sees the
        end of the stream and fails this worker's calls, even if user code swallows the stop and goes on."""
        self.muted = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def send(self, message: wire.FromWorker, *body: bytes) -> None:
        """Send one whole frame. Raises OSError when the server is gone."""
        buffers: Sequence[bytes | memoryview] = wire.frame(message, *body)
        with self._lock:
            while buffers and not self.muted:
                try:
                    sent = self._sock.sendmsg(buffers)
                except OSError:
                    if self.muted:
                        return
                    raise
                buffers = wire.unsent(buffers, sent)

    def receive(self, *, block: bool = True) -> tuple[wire.ToWorker, bytes | memoryview] | None:
        """The next message and its body (which may be a view: use it before the next call).

        None at the end of the stream (:attr:`at_end` is set then), and with ``block`` false where there is none yet.
        """
        while True:
            parts = self._reader.next()
            if parts is not None:
                message = wire.decode_to_worker(parts[0])
                if not isinstance(message, wire.InMemoryFile):
                    return message, parts[1]
                meta, body = memory_file.frame(self._files.popleft())
                return wire.decode_to_worker(meta), body
            flags = _CLOSE_ON_EXEC | (0 if block else socket.MSG_DONTWAIT)
            try:
                size, ancillary, flags, _ = self._sock.recvmsg_into([self._reader.space()], memory_file.SPACE, flags)
            except BlockingIOError:
                return None
            except ConnectionError:
                size = 0
            if not size:
                self.at_end = True
                return None
            if flags & socket.MSG_CTRUNC:  # which frame has lost its file is not known
                raise OSError(errno.EMFILE, "No descriptor is left for a large body: does the model leave files open?")
            self._files.extend(memory_file.received(ancillary))
            self._reader.added(size)


class Inbox:
    """Received messages of a worker with one thread, which are not processed yet.

    The socket is read only between two calls and between two chunks of a stream.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._calls: OrderedDict[int, ModelCall | list[ModelCall]] = OrderedDict()
        self._flow: SerialFlow | None = None
        self.closing = False
        """The worker was told to stop, or its server is gone."""

    def take(self) -> tuple[int, ModelCall | list[ModelCall], SerialFlow] | None:
        """Wait for the next call, or the calls of the next batch; None when the worker must end."""
        self.poll()  # the next call may have been cancelled
        while not self._calls:
            if self.closing:
                return None
            self.poll(block=True)
        if self._connection.muted:
            return None
        call_id, call = self._calls.popitem(last=False)
        self._flow = SerialFlow(self, call_id)
        return call_id, call, self._flow

    def poll(self, *, block: bool = False) -> None:
        """Read what has arrived; with ``block`` wait for at least one message."""
        self.closing = self.closing or self._connection.muted  # user code may have swallowed the stop
        while not self.closing and (received := self._connection.receive(block=block)) is not None:
            self._sort(*received)
            block = False
        self.closing = self.closing or self._connection.at_end

    def _sort(self, message: wire.ToWorker, body: bytes | memoryview) -> None:
        if isinstance(message, wire.Call):
            self._calls[message.id] = wire.fill(message.call, body)
        elif isinstance(message, wire.Batch):
            self._calls[message.id] = message.calls
        elif isinstance(message, wire.Cancel):
            if self._calls.pop(message.id, None) is None and self._flow is not None and self._flow.id == message.id:
                self._flow.stopped = True
        elif isinstance(message, wire.Grant):
            if self._flow is not None and self._flow.id == message.id:
                self._flow.credit += message.size
        elif isinstance(message, wire.Stop):
            self.closing = True


class SerialFlow:
    """Credit of a stream whose thread also reads the socket."""

    def __init__(self, inbox: Inbox, call_id: int) -> None:
        self._inbox = inbox
        self.id = call_id
        self.credit = WINDOW
        self.stopped = False

    def ready(self) -> bool:
        self._inbox.poll()
        while not self.stopped and not self._inbox.closing and self.credit <= 0:
            self._inbox.poll(block=True)
        return not self.stopped and not self._inbox.closing

    def spend(self, size: int) -> None:
        self.credit -= size
