"""A storm against a real server (``benchmarks/costs/storm.py`` prints its table)."""

from __future__ import annotations

import pytest

from support.servers.faults import Faults
from support.servers.storm import SETTINGS, Storm

LARGE = (pytest.mark.slow, pytest.mark.timeout(1800))


@pytest.mark.parametrize("requests", [500, pytest.param(10_000, marks=LARGE)])
def test_all_requests_are_answered_and_nothing_is_left(faults: Faults, requests: int) -> None:
    storm = Storm(faults.start(env=SETTINGS), requests)
    storm.prepare()
    storm.run()
    print(storm.table())
    storm.check()
