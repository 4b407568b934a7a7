"""Limit of open files (RLIMIT_NOFILE), raised to what the connections need."""

from __future__ import annotations

from typing import Final

from drum_litestar.settings.notices import Notice, warning

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

MAX_LIMIT: Final = 65_536
"""The limit is not raised above this: programs that a hook starts may close every possible descriptor one by one."""
RESERVE: Final = 128
"""Descriptors beside the clients' connections: sockets and pipes of workers, probes, logs, spool files being
written."""


def most_connections() -> int:
    """How many clients' connections the limit leaves room for, so that workers and probes find descriptors, too; 0 is
    no limit."""
    if resource is None:
        return 0
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else max(1, soft - RESERVE)


def raise_descriptor_limit(connections: int) -> Notice | None:
    """Raise the soft limit of open files as far as the hard one allows; many systems start with a soft one of 1,024.

    Returns a warning when that is less than ``connections`` plus :data:`RESERVE`.
    """
    if resource is None:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_LIMIT if hard == resource.RLIM_INFINITY else min(hard, MAX_LIMIT)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):  # the system or a sandbox refuses
            pass
    if soft == resource.RLIM_INFINITY or soft >= connections + RESERVE:
        return None
    return warning(
        f"This process may have {soft} files and connections open (RLIMIT_NOFILE), but a full queue needs "
        f"{connections + RESERVE}: connections beyond that are closed at once. Raise the hard limit "
        "(ulimit -Hn, LimitNOFILE=, --ulimit nofile=) or lower DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH"
    )
