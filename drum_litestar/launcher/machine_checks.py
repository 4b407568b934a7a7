"""Checks of settings on this machine: certificates, the workers' interpreter and their user."""

from __future__ import annotations

from drum_litestar.launcher.worker_interpreter import find_interpreter
from drum_litestar.launcher.worker_user import check_worker_user
from drum_litestar.server.tls import build_context
from drum_litestar.settings.server_settings import ServerSettings


def check_machine(settings: ServerSettings) -> None:
    """Raise SettingsError, one line, for certificates, an interpreter or a user that cannot be used."""
    if settings.tls.certfile:
        build_context(settings.tls)
    workers = settings.workers
    if workers.python is not None:
        find_interpreter(workers.python)
    if workers.user is not None:
        check_worker_user(workers.user, own_python=workers.python is None)
