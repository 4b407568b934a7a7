"""Memory and CPU that this process may use, by cgroup (v2, v1 or hybrid) or else by the system.

All files are read below a root directory, ``/`` in production and a fixture tree of a container runtime in tests. No
function raises: a file that is absent or unreadable means "no such limit".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import psutil

ROOT = Path("/")


class MemoryStatus(NamedTuple):
    """Limits and use of memory in bytes. ``limit`` is None when no cgroup limit below the system's memory applies."""

    total: int
    """Physical memory of the machine."""
    available: int
    """What can still be allocated: the system's figure, or the cgroup's headroom when that is smaller."""
    free: int
    """Unused memory (page cache counted as used), by the same rule."""
    limit: int | None
    """The smallest limit among this process's cgroup and its visible ancestors."""
    used: int | None
    """Use in the cgroup that has the limit, page cache included, as ``docker stats`` and DRUM read it."""
    max_used: int | None
    """Highest use so far; None where the kernel does not count it (cgroup v2 before Linux 5.19)."""
    oom_kills: int | None
    """Processes killed by the kernel for lack of memory in this cgroup and below; None where it is not counted."""


class _Group(NamedTuple):
    """The cgroup directories of this process from its own up to the visible root, for one controller."""

    version: int
    directories: tuple[Path, ...]


def memory_status(root: Path = ROOT) -> MemoryStatus:
    """Read the limits and the current use of memory."""
    total, available, free = _system_memory(root)
    group = _find_group(root, "memory")
    levels = [level for level in map(_MemoryLevel, _directories(group)) if level.limit is not None]
    binding = min(levels, key=lambda level: level.limit or 0, default=None)
    limit = binding.limit if binding is not None and binding.limit is not None and binding.limit < total else None
    for level in levels:
        if level.limit is not None and level.limit < total and level.used is not None:
            available = min(available, max(0, level.limit - level.working_set))
            free = min(free, max(0, level.limit - level.used))
    return MemoryStatus(
        total=total,
        available=available,
        free=free,
        limit=limit,
        used=binding.used if binding is not None and limit is not None else None,
        max_used=binding.max_used if binding is not None and limit is not None else None,
        oom_kills=_oom_kills(group),
    )


def cgroup_version(root: Path = ROOT) -> int | None:
    """Return 1 or 2, the version of the cgroup hierarchy that limits this process's memory; None outside of any."""
    group = _find_group(root, "memory")
    return None if group is None else group.version


def memory_headroom(root: Path = ROOT) -> int | None:
    """Bytes that can still be allocated before the system or a cgroup limit is reached; None when unknown."""
    status = memory_status(root)
    return status.available if status.total else None


def cpu_quota(root: Path = ROOT) -> float | None:
    """CPUs' worth of time that the cgroup and its ancestors allow, e.g. 1.5; None without a quota."""
    quotas = [quota for quota in map(_directory_quota, _directories(_find_group(root, "cpu"))) if quota is not None]
    return min(quotas, default=None)


def usable_cpus(root: Path = ROOT) -> float:
    """CPUs that this process can keep busy: its affinity, or the quota when that is smaller."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return float(affinity) if quota is None else min(float(affinity), quota)


class _MemoryLevel:
    """The memory files of one cgroup directory, v1 or v2 (their names never overlap)."""

    def __init__(self, directory: Path) -> None:
        own = _first_int(directory, "memory.max", "memory.limit_in_bytes")
        stat = _key_values(directory / "memory.stat")
        # v1 only: the smallest limit above, also of ancestors that a container cannot see.
        limits = [limit for limit in (own, stat.get("hierarchical_memory_limit")) if limit is not None]
        self.limit = min(limits, default=None)
        self.used = _first_int(directory, "memory.current", "memory.usage_in_bytes")
        self.max_used = _first_int(directory, "memory.peak", "memory.max_usage_in_bytes")
        # What the kernel drops before it kills: the same "working set" that Kubernetes evicts on.
        reclaimable = stat.get("total_inactive_file", stat.get("inactive_file", 0))
        self.working_set = max(0, (self.used or 0) - reclaimable)


def _oom_kills(group: _Group | None) -> int | None:
    """Counted at the top visible level on v2 (hierarchical) and at the process's own on v1 (not hierarchical)."""
    if group is None:
        return None
    if group.version == 1:
        return _key_values(group.directories[0] / "memory.oom_control").get("oom_kill")
    counts = [_key_values(directory / "memory.events").get("oom_kill") for directory in group.directories]
    return max((count for count in counts if count is not None), default=None)


def _directory_quota(directory: Path) -> float | None:
    words = _text(directory / "cpu.max").split()
    if not words:
        words = [_text(directory / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    try:
        quota, period = (int(word) for word in words)
    except ValueError:  # "max 100000", or no such files
        return None
    return quota / period if quota > 0 and period > 0 else None


def _system_memory(root: Path) -> tuple[int, int, int]:
    """Total, available and free bytes from ``/proc/meminfo``; psutil on other systems than Linux."""
    fields = _key_values(root / "proc/meminfo")
    if "MemTotal:" in fields:
        free = fields.get("MemFree:", 0)
        return fields["MemTotal:"] * 1024, fields.get("MemAvailable:", free) * 1024, free * 1024
    if root != ROOT:
        return 0, 0, 0
    memory = psutil.virtual_memory()
    return memory.total, memory.available, memory.free


def _directories(group: _Group | None) -> tuple[Path, ...]:
    return group.directories if group is not None else ()


def _find_group(root: Path, controller: str) -> _Group | None:
    """The directories of ``controller``: v1 when it is mounted as v1 (also in a hybrid layout), else v2."""
    memberships = dict(_memberships(root))
    mounts = list(_mounts(root))
    for version, name in ((1, controller), (2, "")):
        path = memberships.get(name)
        mount = next((found for found in mounts if found[0] == version and (version == 2 or name in found[3])), None)
        if path is None or mount is None:
            continue
        _, mount_root, mount_point, _ = mount
        own = mount_point / _relative(path, mount_root)
        if not own.is_dir():  # a path of the host's namespace seen from inside a container: only its top is mounted
            own = mount_point
        depth = len(own.relative_to(mount_point).parts)
        return _Group(version, (own, *list(own.parents)[:depth]))
    return None


def _memberships(root: Path) -> Iterator[tuple[str, str]]:
    """``(controller, path)`` of each line of ``/proc/self/cgroup``; the v2 line has the empty controller."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" or controllers:
            for controller in controllers.split(","):
                yield controller, path


def _mounts(root: Path) -> Iterator[tuple[int, str, Path, tuple[str, ...]]]:
    """``(version, root inside the hierarchy, mount point, controllers)`` of each cgroup mount."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        words, kind = before.split(" "), after.split(" ")
        if len(words) < 5 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        version = 2 if kind[0] == "cgroup2" else 1
        point = root / words[4].replace("\\040", " ").lstrip("/")
        yield version, words[3], point, tuple(kind[-1].split(","))


def _relative(path: str, mount_root: str) -> PurePosixPath:
    """``path`` of a process in the hierarchy, as seen below a mount that shows only ``mount_root`` of it."""
    whole = PurePosixPath(path)
    try:
        return whole.relative_to(mount_root)
    except ValueError:  # a private cgroup namespace: the path is already relative to what is mounted
        return PurePosixPath(*(part for part in whole.parts if part not in ("/", "..")))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _first_int(directory: Path, *names: str) -> int | None:
    """The number in the first file that exists; None for ``max`` or no file."""
    for name in names:
        text = _text(directory / name)
        if text:
            return int(text) if text.isdigit() else None
    return None


def _key_values(path: Path) -> dict[str, int]:
    """Lines of ``key number ...`` as a dict."""
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) >= 2 and pair[1].isdigit()}
