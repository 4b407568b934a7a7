"""A rolling replacement through a real proxy loses no request (``benchmarks/costs/rollout.py`` prints its table)."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.servers.rollout import LAME_DUCK, replaced_under_load, rollout
from support.zoo import Zoo

LARGE = (pytest.mark.slow, pytest.mark.timeout(1800))


@pytest.mark.parametrize(("rounds", "clients"), [(2, 4), pytest.param(20, 16, marks=LARGE)])
def test_a_rolling_replacement_loses_no_request(zoo: Zoo, tmp_path: Path, rounds: int, clients: int) -> None:
    folder, path = zoo["faults"]
    with rollout(folder, path, tmp_path, LAME_DUCK) as (servers, proxy):
        asking, _ = replaced_under_load(servers, proxy, rounds, clients)
    assert asking.failures == {}
    assert asking.answered > 10 * clients
