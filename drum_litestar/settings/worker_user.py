"""``DRUM_WORKER_USER``: a user that exists, that this process may become, and that can run this Python."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

from drum_litestar.errors import SettingsError

_PACKAGE_ROOT = str(Path(__file__).parents[2])
_TRIAL = "import sys; sys.path[0] = {root!r}; import drum_litestar, msgspec"


def run_as(user: str) -> dict[str, Any]:
    """Popen's arguments for running as ``user``, with that user's home. Raises KeyError for an unknown one."""
    from pwd import getpwnam

    account = getpwnam(user)
    environ = {**os.environ, "HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
    if account.pw_uid == os.geteuid():  # even that change would need root's rights
        return {"env": environ}
    groups = os.getgrouplist(account.pw_name, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups, "env": environ}


def check_worker_user(user: str, *, own_python: bool = True) -> None:
    """Raise SettingsError, one line, when no worker could run as ``user``.

    Starts a short-lived process of this interpreter as that user, which alone knows of permissions, access lists and
    mount options. Not with ``own_python`` False: another interpreter is asked by the launcher, as that user."""
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


def _why_python_fails(user: str) -> str | None:
    """Why this interpreter does not run, or does not find this package, as ``user``; None when it does.

    Raises SettingsError when the user cannot be changed.
    """
    import subprocess

    try:
        done = subprocess.run(
            [sys.executable, "-c", _TRIAL.format(root=_PACKAGE_ROOT)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            **run_as(user),
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
