"""A server under test on a pseudo-terminal: what a person sees, and keys that are pressed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from support.servers.process import clean_environment

ERASE = "\r\x1b[K"
COLOUR = re.compile("\x1b\\[[0-9;]*m")
CTRL_C = b"\x03"


class OnTerminal:
    """A process whose three standard streams are a terminal that it controls, so that Ctrl+C signals it."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, columns: int = 200) -> None:
        self._keys, screen = pty.openpty()
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            stdin=screen,
            stdout=screen,
            stderr=screen,
            env=clean_environment({"TERM": "xterm", **env}),
            cwd=cwd,
        )
        os.close(screen)
        self._written = ""
        self._more = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._keys, 65536)
            except OSError:  # Linux's end of file: no process has the terminal open any more
                data = b""
            with self._more:
                self._written += data.decode(errors="replace")
                self._ended = not data
                self._more.notify_all()
            if not data:
                return

    def press(self, key: bytes) -> None:
        os.write(self._keys, key)

    def raw(self) -> str:
        """All that was written, with control sequences."""
        with self._more:
            return self._written

    def lines(self) -> list[str]:
        """What stays on the screen: a line that was erased is gone, and colours too."""
        shown = (line.rpartition(ERASE)[2] for line in self.raw().replace("\r\n", "\n").split("\n"))
        return [COLOUR.sub("", line) for line in shown]

    def wait_for(self, text: str, timeout: float = 120.0) -> None:
        """Return when ``text`` has been written."""
        with self._more:
            self._more.wait_for(lambda: text in self._written or self._ended, timeout)
            assert text in self._written, f"no {text!r} in:\n{self._written[-4000:]}"

    def wait_exit(self, timeout: float = 120.0) -> int:
        """The exit code, once all output is read."""
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        os.close(self._keys)


@contextlib.contextmanager
def on_terminal(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, columns: int = 200
) -> Iterator[OnTerminal]:
    """Run ``command`` on a terminal; killed at the end, unless it has ended."""
    running = OnTerminal(command, env=env or {}, cwd=cwd, columns=columns)
    try:
        yield running
    finally:
        running.close()
