"""Checks of ``DRUM_WORKER_USER``: the user exists, this process may become it, and it can run this Python."""

from __future__ import annotations

import errno
import os
import sys

from drum_litestar.errors import SettingsError
from drum_litestar.execution.pool.interpreter import command, identity


def check_worker_user(user: str, *, own_python: bool = True) -> None:
    """Raise SettingsError, one line, when no worker could run as ``user``.

    Starts a short-lived process of this interpreter as that user: no other check covers permissions, access lists and
    mount options. With ``own_python`` False the process is left out, because
    :func:`drum_litestar.launcher.worker_interpreter.probe` starts the workers' own interpreter as that user.
    """
    subject = f"DRUM_WORKER_USER='{user}'"
    try:
        from pwd import getpwnam
    except ImportError:
        raise SettingsError(f"{subject}: this platform cannot change the user of a process") from None
    try:
        account = getpwnam(user)
    except KeyError:
        raise SettingsError(f"{subject}: there is no such user") from None
    if os.geteuid() == account.pw_uid:
        return
    if os.geteuid() != 0:
        raise SettingsError(f"{subject}: only root can run workers as another user")
    reason = _why_python_fails(user) if own_python else None
    if reason is not None:
        raise SettingsError(
            f"{subject}: this user cannot run the Python interpreter '{sys.executable}' ({reason}). Let it read the "
            "interpreter, its packages and all directories above them (chmod o+rX), or install them elsewhere"
        )


def worker_uid(user: str | None) -> int | None:
    """User id of ``DRUM_WORKER_USER``. Raises SettingsError for a name that this machine does not know."""
    if user is None:
        return None
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise SettingsError(f"DRUM_WORKER_USER names the user '{user}', which this machine does not know") from None


def _why_python_fails(user: str) -> str | None:
    """Reason why this interpreter does not run, or does not find this package, as ``user``; None when it does.

    Raises SettingsError when this process may not change its user.
    """
    import subprocess

    try:
        done = subprocess.run(
            command(None, "import drum_litestar, msgspec"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            **identity(None, user),
        )
    except OSError as error:
        if error.errno == errno.EPERM:
            raise SettingsError(
                f"DRUM_WORKER_USER='{user}': this process may not change its user (it lacks the capabilities SETUID "
                "and SETGID)"
            ) from error
        return error.strerror
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {done.returncode}"]
    return lines[-1] if done.returncode else None
