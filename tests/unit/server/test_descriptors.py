"""The limit of open files, in processes that have one of their own."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

CODE = """
import resource, sys
from drum_litestar.server.descriptors import most_connections, raise_descriptor_limit
notice = raise_descriptor_limit(int(sys.argv[1]))
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
print(notice.text if notice else "")
print(most_connections())
"""
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def limits_of(soft: int, hard: int, connections: int) -> tuple[str, str]:
    """Return the limits of a process that starts with these and raises them, and its warning."""
    if HARD != resource.RLIM_INFINITY and hard > HARD:
        pytest.skip("needs a higher limit of open files")
    limit = f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"'
    command = ["sh", "-c", limit, "sh", sys.executable, "-c", CODE, str(connections)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    limits, said, room = answer.stdout.splitlines()
    assert int(room) == int(limits.split()[0]) - 128
    return limits, said


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    assert limits_of(1024, 4096, 1025) == ("4096 4096", "")


def test_a_hard_limit_below_the_connections_is_a_warning() -> None:
    limits, said = limits_of(256, 512, 1025)
    assert limits == "512 512"
    assert said.startswith(
        "This process may have 512 files and connections open (RLIMIT_NOFILE), but a full queue needs 1153: "
    )
    assert "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH" in said


def test_a_limit_that_is_high_enough_is_left_alone() -> None:
    assert limits_of(4096, 4096, 1025) == ("4096 4096", "")


def test_an_infinite_limit_is_raised_to_the_maximum_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that a hook starts may close every descriptor that could be open."""
    from drum_litestar.server import descriptors

    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: given.append(limits))
    assert descriptors.raise_descriptor_limit(1025) is None
    assert given == [(descriptors.MAX_LIMIT, resource.RLIM_INFINITY)]


def test_a_system_that_refuses_does_not_prevent_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from drum_litestar.server import descriptors

    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    notice = descriptors.raise_descriptor_limit(1025)
    assert notice is not None
    assert "may have 1024 files" in notice.text
