"""Process 1 of a container: signals are passed on to the server, and orphans are reaped.

The kernel gives every process whose parent has ended to process 1 (a helper that a model's code started and left). Who
does not wait for them collects zombies, until the container's limit of processes is reached. The server cannot wait for
children that it does not know without taking the exit codes of those that it does, so it becomes a child: process 1
keeps nothing but this loop, and images need no `tini`.
"""

from __future__ import annotations

import os
import signal
import sys

PASSED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_FROM_KERNEL = 0x80
"""``si_code`` of a signal that a terminal sent (Ctrl+C): the server has got it as well."""


def become_init() -> int | None:
    """In process 1: fork, and return the server's exit code (128 and its signal's number, if one ended it) when it has
    ended. In the child, and in any other process: None at once, to go on as the server."""
    if os.getpid() != 1:
        return None
    waited = (*PASSED_ON, signal.SIGCHLD)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    sys.stdout.flush()
    sys.stderr.flush()
    server = os.fork()
    if server == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return None
    while True:
        received = signal.sigwaitinfo(waited)
        if received.si_signo != signal.SIGCHLD:
            if received.si_code != _FROM_KERNEL:
                os.kill(server, received.si_signo)
            continue
        code = _reap(server)
        if code is not None:
            return code


def _reap(server: int) -> int | None:
    """Reap every child that has ended; the exit code of ``server`` once it is among them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:  # none is left
            return None
        if pid == 0:
            return None
        if pid == server:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code
