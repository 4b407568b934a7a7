"""Memory and CPU limits: fixture trees of real container runtimes, and this machine."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from drum_litestar.observability.metrics.resources import cpu_quota, memory_headroom, memory_status, usable_cpus

GIB = 1024**3
MIB = 1024**2
UNLIMITED_V1 = "9223372036854771712"

Tree = dict[str, str]


def build(root: Path, tree: Tree) -> Path:
    for name, text in {"proc/meminfo": meminfo(16 * GIB, 12 * GIB, 8 * GIB), **tree}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def meminfo(total: int, available: int, free: int) -> str:
    return "\n".join(
        f"{name}: {size // 1024} kB"
        for name, size in (("MemTotal", total), ("MemFree", free), ("MemAvailable", available))
    )


def mount(point: str, kind: str, options: str = "rw", mount_root: str = "/") -> str:
    return f"31 23 0:28 {mount_root} {point} rw,nosuid - {kind} {kind} {options}"


V2 = mount("/sys/fs/cgroup", "cgroup2", "rw,nsdelegate")

DOCKER_V2: Tree = {  # private cgroup namespace: the container's cgroup is the visible root
    "proc/self/cgroup": "0::/",
    "proc/self/mountinfo": V2,
    "sys/fs/cgroup/memory.max": str(2 * GIB),
    "sys/fs/cgroup/memory.current": str(1536 * MIB),
    "sys/fs/cgroup/memory.peak": str(1800 * MIB),
    "sys/fs/cgroup/memory.stat": f"anon {1 * GIB}\ninactive_file {512 * MIB}\nactive_file 0",
    "sys/fs/cgroup/memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 0",
    "sys/fs/cgroup/cpu.max": "150000 100000",
}

DOCKER_V1: Tree = {  # the mounts show the container's own cgroup as their root
    "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc",
    "proc/self/mountinfo": "\n".join(
        (
            mount("/sys/fs/cgroup/memory", "cgroup", "rw,memory", "/docker/abc"),
            mount("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct", "/docker/abc"),
        )
    ),
    "sys/fs/cgroup/memory/memory.limit_in_bytes": str(1 * GIB),
    "sys/fs/cgroup/memory/memory.usage_in_bytes": str(700 * MIB),
    "sys/fs/cgroup/memory/memory.max_usage_in_bytes": str(900 * MIB),
    "sys/fs/cgroup/memory/memory.stat": f"hierarchical_memory_limit {1 * GIB}\ntotal_inactive_file {200 * MIB}",
    "sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
}

POD = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice"
KUBERNETES_BURSTABLE: Tree = {  # host namespace: the container has no limit of its own, its pod has
    "proc/self/cgroup": f"0::/{POD}/cri-containerd-c1.scope",
    "proc/self/mountinfo": V2,
    "sys/fs/cgroup/kubepods.slice/memory.max": str(14 * GIB),
    "sys/fs/cgroup/kubepods.slice/memory.current": str(13 * GIB),
    "sys/fs/cgroup/kubepods.slice/cpu.max": "max 100000",
    f"sys/fs/cgroup/{POD}/memory.max": str(4 * GIB),
    f"sys/fs/cgroup/{POD}/memory.current": str(3 * GIB),
    f"sys/fs/cgroup/{POD}/memory.events": "oom 1\noom_kill 1",
    f"sys/fs/cgroup/{POD}/cpu.max": "200000 100000",
    f"sys/fs/cgroup/{POD}/cri-containerd-c1.scope/memory.max": "max",
    f"sys/fs/cgroup/{POD}/cri-containerd-c1.scope/memory.current": str(2 * GIB),
    f"sys/fs/cgroup/{POD}/cri-containerd-c1.scope/memory.events": "oom 0\noom_kill 0",
    f"sys/fs/cgroup/{POD}/cri-containerd-c1.scope/cpu.max": "max 100000",
}

SYSTEMD_SLICE: Tree = {
    "proc/self/cgroup": "0::/system.slice/drum.service",
    "proc/self/mountinfo": V2,
    "sys/fs/cgroup/system.slice/memory.max": "max",
    "sys/fs/cgroup/system.slice/drum.service/memory.max": str(3 * GIB),
    "sys/fs/cgroup/system.slice/drum.service/memory.current": str(1 * GIB),
    "sys/fs/cgroup/system.slice/drum.service/memory.stat": "inactive_file 0",
}

HYBRID: Tree = {  # v2 is mounted without controllers beside v1
    "proc/self/cgroup": "4:memory:/user.slice\n0::/user.slice",
    "proc/self/mountinfo": "\n".join(
        (
            mount("/sys/fs/cgroup/unified", "cgroup2"),
            mount("/sys/fs/cgroup/memory", "cgroup", "rw,memory"),
        )
    ),
    "sys/fs/cgroup/unified/user.slice/cgroup.procs": "1",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": UNLIMITED_V1,
    "sys/fs/cgroup/memory/user.slice/memory.limit_in_bytes": str(6 * GIB),
    "sys/fs/cgroup/memory/user.slice/memory.usage_in_bytes": str(1 * GIB),
}


@pytest.mark.parametrize(
    ("tree", "limit", "used", "max_used", "available", "oom", "cpus"),
    [
        pytest.param(DOCKER_V2, 2 * GIB, 1536 * MIB, 1800 * MIB, 1 * GIB, 3, 1.5, id="docker-v2"),
        pytest.param(DOCKER_V1, 1 * GIB, 700 * MIB, 900 * MIB, 524 * MIB, 4, 0.5, id="docker-v1"),
        pytest.param(KUBERNETES_BURSTABLE, 4 * GIB, 3 * GIB, None, 1 * GIB, 1, 2.0, id="kubernetes-burstable"),
        pytest.param(SYSTEMD_SLICE, 3 * GIB, 1 * GIB, None, 2 * GIB, None, None, id="systemd-slice"),
        pytest.param(HYBRID, 6 * GIB, 1 * GIB, None, 5 * GIB, None, None, id="hybrid"),
    ],
)
def test_layouts(
    tmp_path: Path,
    tree: Tree,
    limit: int,
    used: int,
    max_used: int | None,
    available: int,
    oom: int | None,
    cpus: float | None,
) -> None:
    root = build(tmp_path, tree)
    status = memory_status(root)
    assert (status.limit, status.used, status.max_used) == (limit, used, max_used)
    assert (status.total, status.available, status.oom_kills) == (16 * GIB, available, oom)
    assert status.free == min(8 * GIB, limit - used)
    assert memory_headroom(root) == available
    assert cpu_quota(root) == cpus
    assert usable_cpus(root) == min(len(os.sched_getaffinity(0)), cpus or 1e9)


def test_an_ancestor_that_is_nearer_its_limit_decides_the_headroom(tmp_path: Path) -> None:
    tree = {**KUBERNETES_BURSTABLE, "sys/fs/cgroup/kubepods.slice/memory.current": str(14 * GIB - 100 * MIB)}
    assert memory_headroom(build(tmp_path, tree)) == 100 * MIB


@pytest.mark.parametrize("limit", [UNLIMITED_V1, str(64 * GIB), "max", ""])
def test_no_limit_below_the_system_is_no_limit(tmp_path: Path, limit: str) -> None:
    status = memory_status(build(tmp_path, {**DOCKER_V2, "sys/fs/cgroup/memory.max": limit}))
    assert (status.limit, status.used, status.max_used) == (None, None, None)
    assert status.available == 12 * GIB


def test_a_hidden_v1_parent_limits_too(tmp_path: Path) -> None:
    tree = {
        **DOCKER_V1,
        "sys/fs/cgroup/memory/memory.limit_in_bytes": UNLIMITED_V1,
        "sys/fs/cgroup/memory/memory.stat": f"hierarchical_memory_limit {2 * GIB}",
    }
    assert memory_status(build(tmp_path, tree)).limit == 2 * GIB


def test_a_host_path_inside_a_container_falls_back_to_what_is_mounted(tmp_path: Path) -> None:
    tree = {**DOCKER_V2, "proc/self/cgroup": "0::/../../system.slice/docker-abc.scope"}
    assert memory_status(build(tmp_path, tree)).limit == 2 * GIB


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    status = memory_status(build(tmp_path, {}))
    assert status == (16 * GIB, 12 * GIB, 8 * GIB, None, None, None, None)
    assert cpu_quota(tmp_path) is None


def test_nothing_readable_is_unknown(tmp_path: Path) -> None:
    assert memory_headroom(tmp_path) is None


def test_this_machine() -> None:
    status = memory_status()
    assert status.total == psutil.virtual_memory().total
    assert 0 < status.available <= status.total
    assert memory_headroom() is not None
    assert usable_cpus() > 0
