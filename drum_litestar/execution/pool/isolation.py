"""Process setup of a worker: user code sees what its user set, and the worker cannot outlive the server."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import os
import signal
import sys

from drum_litestar.execution.pool import wire

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MIB = 1024 * 1024


def enter(init: wire.Init) -> None:
    """Prepare the process, before any user code is imported."""
    _die_with(init.parent)
    keep_freed_memory()
    sys.argv = list(init.argv)
    if init.path is not None:
        sys.path[:] = init.path
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # it is a pipe now, but is read line by line
    faulthandler.enable()  # the traceback of a segfault reaches the log through stderr
    faulthandler.register(wire.SHOW_STACKS)


def _die_with(parent: int) -> None:
    """Die when the server dies, even if user code holds the GIL then. On other systems than Linux the worker
    notices it by the end of the socket's stream."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the server died before the request above
        os._exit(0)


def keep_freed_memory() -> None:
    """Let the C library keep up to 64 MiB of freed memory for the next call's arrays, instead of giving every array
    over 128 KiB back to the kernel and faulting it in again: a fifth of the time of a 10,000-row prediction. Blocks of
    32 MiB and more still go back at once. Settings of the operator for the allocator take precedence."""
    configured = any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get(
        "GLIBC_TUNABLES", ""
    )
    if sys.platform != "linux" or configured:
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * _MIB)
        libc.mallopt(_M_TRIM_THRESHOLD, 64 * _MIB)
