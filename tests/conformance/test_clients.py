"""Clients of other projects against our server: every call of theirs succeeds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import conformance_table as table
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with table.our_server(tmp_path_factory.mktemp("ours")) as addresses:
        yield addresses


@pytest.mark.parametrize("client", table.CLIENTS, ids=lambda client: client.title)
def test_every_call_of_a_client(client: table.Client, ours: tuple[str, str]) -> None:
    table.DEFAULT_CACHE.mkdir(parents=True, exist_ok=True)
    try:
        python: Path = table.environment(table.DEFAULT_CACHE, client.packages)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot be installed: {error}")
    calls = table.run_client(python, client, *ours)
    if any("libb64" in problem for problem in calls.values()):
        pytest.skip("the load generator needs Debian's libb64-0d")
    assert {call: problem for call, problem in calls.items() if problem != "ok"} == {}
    assert calls
