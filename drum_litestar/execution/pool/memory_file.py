"""Large frames travel to a worker in files in memory: one copy in, one out, and nobody waits for the other side.

A socket takes a large frame only piece by piece, while the worker reads. Of a file in memory it takes the descriptor
(``SCM_RIGHTS``), so that a worker of another user can read it; the frame that comes with it is
:class:`~drum_litestar.execution.pool.wire.InMemoryFile`. The kernel frees the memory with the last descriptor, whoever
dies.
"""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Iterable, Sequence
from typing import List, Tuple

from drum_litestar.execution.pool import wire

AVAILABLE = hasattr(os, "memfd_create")
"""On Linux. Elsewhere all frames go through the socket."""
SMALLEST = 64 * 1024
"""Bytes. Smaller frames fit into the socket's buffer."""
LARGEST = 16 * 1024 * 1024
"""Bytes. The event loop would be busy with copying a larger frame for too long."""
PER_MESSAGE = 32
"""Most descriptors in one message of the socket."""
SPACE = socket.CMSG_SPACE(PER_MESSAGE * array.array("i").itemsize)
"""Bytes that they take at most."""

Ancillary = List[Tuple[int, int, bytes]]


def with_frame(buffers: Sequence[bytes]) -> int | None:
    """The descriptor of a new file with the frame; None if it is small or huge, or no such file can be had."""
    if not AVAILABLE or not SMALLEST < sum(map(len, buffers)) <= LARGEST:
        return None
    try:
        file = os.memfd_create("frame", os.MFD_CLOEXEC)
    except OSError:
        return None
    try:
        for buffer in buffers:
            rest = memoryview(buffer)
            while rest:
                rest = rest[os.write(file, rest) :]
    except OSError:  # no memory is left
        os.close(file)
        return None
    return file


def frame(file: int) -> tuple[bytes, bytes]:
    """Meta part and body of the frame in the file, which is closed."""
    try:
        meta, body = wire.PREFIX.unpack(os.pread(file, wire.PREFIX.size, 0))
        return os.pread(file, meta, wire.PREFIX.size), os.pread(file, body, wire.PREFIX.size + meta)
    finally:
        os.close(file)


def ancillary(files: Iterable[int]) -> list[tuple[int, int, array.array[int]]]:
    """The descriptors as ``sendmsg`` takes them."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))]


def received(data: Ancillary) -> list[int]:
    """The descriptors in what ``recvmsg`` gave."""
    files = array.array("i")
    for level, kind, raw in data:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            files.frombytes(raw[: len(raw) - len(raw) % files.itemsize])
    return files.tolist()
