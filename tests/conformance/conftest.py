"""The subjects of the cases: the model of ``--base-url``, or models of servers of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from conftest import running
from drum_litestar.tools.conformance.http_target import HttpTarget
from drum_litestar.tools.conformance.subject import Subject
from support.servers.backends import start_ours
from support.zoo import Zoo

COLUMNS = {
    "inputs": [
        {"name": "a", "datatype": "FP64", "shape": [3], "data": [0.5, 1.5, 2.5]},
        {"name": "b", "datatype": "INT64", "shape": [3], "data": [1, 2, 3]},
        {"name": "c", "datatype": "BYTES", "shape": [3], "data": ["x", "é", ""]},
    ]
}
OURS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "one tensor": ("sklearn_missing", None),
    "columns": ("transform", COLUMNS),
}
"""Model folders of the zoo: one tensor that the metadata describe, with a free dimension; columns of an example, with
several outputs."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "subject" in metafunc.fixturenames:
        given = metafunc.config.getoption("--base-url")
        metafunc.parametrize("subject", [given] if given else list(OURS), indirect=True, scope="module")


@pytest.fixture(scope="module")
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    if request.param not in OURS:
        path = request.config.getoption("--example")
        example = json.loads(Path(path).read_bytes()) if path else None
        with closing(HttpTarget(request.param)) as target:
            yield Subject(target, request.config.getoption("--model"), example=example)
        return
    zoo: Zoo = request.getfixturevalue("zoo")
    name, example = OURS[request.param]
    folder, path = zoo[name]
    log = tmp_path_factory.mktemp("conformance") / "server.log"
    server = start_ours(folder, path, log, env={"DRUM_MODEL_NAME": "prices"})
    with running(server), closing(HttpTarget(f"http://127.0.0.1:{server.port}")) as target:
        yield Subject(target, "prices", example=example)
