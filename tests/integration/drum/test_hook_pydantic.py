"""``drum server`` on this backend beside every kind of pydantic, with the bytes that DRUM itself answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import running
from support.environments.pydantic_environments import Environments
from support.servers.backends import DrumOracle
from support.servers.process import ServerProcess
from support.wire import Answer, csv, get
from support.zoo.registry import HOOKS, ModelFolder

LITESTAR = {"MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE": '{"type":"string","payload":"litestar"}'}
ROWS = b"a,b\n1.5,2\n-3,0.25\n"
REQUESTS = (csv(ROWS), csv(b"a,b\nx,y\n"), csv(b""))
SEEN = {
    "none": "none (ModuleNotFoundError)",
    "broken": "none (RuntimeError)",
    "1.10": "1.10.",
    "2": "2.",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose custom.py uses whichever pydantic there is."""
    return Path(shutil.copytree(HOOKS / "any_pydantic", tmp_path_factory.mktemp("models") / "any_pydantic"))


@pytest.fixture(scope="module")
def recorded(drum_oracle: DrumOracle, model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Answer]:
    """What the real DRUM answers, in an environment where it works."""
    folder = ModelFolder("any_pydantic", lambda path: None, "regression")
    drum = drum_oracle.start(folder, model, tmp_path_factory.mktemp("drum") / "log")
    try:
        drum.wait_ready()
        return [drum.send(request) for request in REQUESTS]
    finally:
        drum.stop()


@pytest.fixture
def served(
    request: pytest.FixtureRequest, environments: Environments, model: Path, tmp_path: Path
) -> Iterator[ServerProcess]:
    environment = environments.make(request.param)
    arguments = ["-cd", str(model), "--target-type", "regression", "--logging-level", "info"]
    with running(environment.start("drum", arguments, tmp_path / "log", LITESTAR)) as server:
        yield server


@pytest.mark.parametrize(("served", "pydantic"), [(name, name) for name in SEEN], indirect=["served"], ids=list(SEEN))
def test_drum_server_answers_as_drum(served: ServerProcess, pydantic: str, recorded: list[Answer]) -> None:
    answers = [served.send(request) for request in REQUESTS]
    assert answers[0].body == b'{"predictions":[2.0,-6.125]}'
    for answer, expected in zip(answers[:1] + answers[2:], recorded[:1] + recorded[2:], strict=True):
        assert (answer.status, answer.header("Content-Type"), answer.body) == (
            expected.status,
            expected.header("Content-Type"),
            expected.body,
        )
    # The text of a failed validation is pydantic's own; without one it is Python's.
    assert answers[1].status == recorded[1].status == 500
    served.wait_output(f"custom.py sees pydantic {SEEN[pydantic]}")
    assert served.send(get("/livez")).status == 200, "this is not our server"


@pytest.mark.parametrize("pydantic", ["1.10", "none", "broken"])
def test_drum_alone_dies_there(environments: Environments, pydantic: str, model: Path) -> None:
    """Otherwise the test above would prove nothing."""
    environment = environments.make(pydantic)
    arguments = ["server", "-cd", str(model), "--target-type", "regression", "--address", "127.0.0.1:0"]
    done = environment.run("drum", *arguments, env={**LITESTAR, "DRUM_LITESTAR_HOOK": "0"})
    assert done.returncode == 1
    assert "pydantic" in done.stderr.splitlines()[-1]
