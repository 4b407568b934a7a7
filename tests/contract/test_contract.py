"""One suite over every executor: each contract case against a real server with a real model.

``pytest tests/contract --against drum`` runs the same cases against the real DRUM, but for those that name a
deliberate difference: it proves the cases themselves.
"""

from __future__ import annotations

import pytest

from contract.cases import all_cases
from support.cases import Case
from support.servers.fleet import Fleet
from support.wire import get

EXECUTORS = ("inline", "pool")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    against_drum = metafunc.config.getoption("--against") == "drum"
    parameters = [
        pytest.param(backend, folder, case, id=f"{backend}-{folder}-{case.name}")
        for backend in (("drum",) if against_drum else EXECUTORS)
        for folder, cases in all_cases().items()
        for case in cases
        if not (against_drum and (case.differs or case.fatal))
    ]
    metafunc.parametrize(("backend", "folder", "case"), parameters)


def test_case(fleet: Fleet, backend: str, folder: str, case: Case) -> None:
    """The case's answer; and after an error the server still answers."""
    server, path = fleet.serving(backend, folder)
    answer = server.send(case.request)
    case.check(answer, path)
    if case.status >= 400:
        assert server.send(get("/ping/")).status == 200
