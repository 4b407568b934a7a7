"""One child process: its start, its output, its end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from typing import IO

from drum_litestar.execution.pool import wire
from drum_litestar.execution.pool.interpreter import command, identity

_log = logging.getLogger(__name__)

_MAIN = "from drum_litestar.execution.pool.worker_main import main; main({fd})"
_LONGEST_LINE = 64 * 1024


class ChildProcess:
    """A fresh interpreter running :func:`drum_litestar.execution.pool.worker_main.main` on one end of a socket pair.

    Not ``multiprocessing``: that would import the parent's ``__main__`` again in the child, and put its own
    arguments and helper process beside the user's. The child gets a session of its own, so that a Ctrl-C in the
    terminal reaches only the server, and so that helpers which a hook started can be killed with it.
    """

    def __init__(
        self,
        number: int,
        python: str | None,
        user: str | None,
        on_output: Callable[[int, str, str], None],
        on_exit: Callable[[int], None],
    ) -> None:
        """Start the process: some milliseconds. ``python`` None is this interpreter. ``on_exit`` gets the return code
        (negative: a signal's number).

        Raises OSError when the system refuses.
        """
        self._loop = asyncio.get_running_loop()
        self._on_exit = on_exit
        self._exited = False
        self._pidfd = -1
        self.socket, child = socket.socketpair()
        try:
            self._popen: subprocess.Popen[bytes] = subprocess.Popen(
                command(python, _MAIN.format(fd=child.fileno()), f"drum-litestar-worker-{number}"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(child.fileno(),),
                start_new_session=True,
                bufsize=0,
                **identity(python, user),
            )
        except BaseException:
            self.socket.close()
            raise
        finally:
            child.close()
        self.pid = self._popen.pid
        assert self._popen.stdout is not None
        assert self._popen.stderr is not None
        self._outputs = [
            _OutputPipe(self._loop, pipe, functools.partial(on_output, number, name))
            for name, pipe in (("stdout", self._popen.stdout), ("stderr", self._popen.stderr))
        ]
        self._watch()

    def terminate(self) -> None:
        """SIGTERM to the worker: it interrupts user code, if that does not block signals, and cleans up."""
        self._signal(os.kill, signal.SIGTERM)

    def show_stacks(self) -> None:
        """Let the worker print where its threads are, even if one holds the GIL. The hook's own frame is the first."""
        self._signal(os.kill, wire.SHOW_STACKS)

    def kill(self) -> None:
        """SIGKILL to the worker and to all that it started in its session."""
        self._signal(os.killpg, signal.SIGKILL)

    def _signal(self, send: Callable[[int, int], None], number: int) -> None:
        if not self._exited:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                send(self.pid, number)

    def _watch(self) -> None:
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # an old kernel, or a sandbox that forbids it
                self._pidfd = os.pidfd_open(self.pid)
                self._loop.add_reader(self._pidfd, self._reap)
                return
        threading.Thread(target=self._wait, name=f"wait-{self.pid}", daemon=True).start()

    def _wait(self) -> None:
        self._popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed, so no listener is left
            self._loop.call_soon_threadsafe(self._reap)

    def _reap(self) -> None:
        self.kill()  # a zombie keeps its pid, so no other process is hit; this ends helpers that outlived it
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        code = self._popen.wait()
        self._exited = True
        for output in self._outputs:
            output.close()
        on_exit = self._on_exit
        del self._on_exit  # its owner holds this process, and need not wait for the garbage collector
        on_exit(code)


class _OutputPipe:
    """Cuts a child's output into lines."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pipe: IO[bytes], sink: Callable[[str], None]) -> None:
        self._loop = loop
        self._pipe = pipe
        self._sink = sink
        self._rest = b""
        self._open = True
        os.set_blocking(pipe.fileno(), False)
        loop.add_reader(pipe.fileno(), self._readable)

    def _readable(self) -> bool:
        """Read once; False when there was nothing (more) to read."""
        try:
            data = os.read(self._pipe.fileno(), 65536)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._end()
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._sink(line.decode("utf-8", "replace"))
        return True

    def close(self) -> None:
        """Read what is left and close, even if a helper of the child still holds the other end."""
        while self._open and self._readable():
            pass
        self._end()

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._pipe.fileno())
            self._pipe.close()
            if self._rest:
                self._sink(self._rest.decode("utf-8", "replace"))


def describe_exit(code: int) -> str:
    """``code`` in words for the log: ``exit code 3``, or ``signal SIGSEGV``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
