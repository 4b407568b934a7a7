"""``scripts/matrix --stacks``: stacks of packages that people have, and that this server must work beside."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

import environment_stacks
import pytest
from environment_stacks import STACKS, Stack

from support.environments.matrix import matrix
from support.environments.pydantic_environments import Environments
from support.servers.backends import ROOT
from support.servers.process import clean_environment

FASTAPI = next(stack for stack in STACKS if stack.name == "fastapi")
IMPORT_ERROR = "ImportError: cannot import name 'model_validator' from 'pydantic'"


def test_fastapi_stack_serves(environments: Environments) -> None:
    """The stack's own packages are the real old ones; the rest is linked from environments that are there."""
    environment = environments.make_stack("stack-fastapi", FASTAPI.requirements)
    result = environment_stacks.serve(FASTAPI, environment.home, clean_environment())
    assert result.outcome == "ok", result
    assert result.used == "fastapi 0.99.1, pydantic 1.10.13, python-multipart 0.0.6"
    assert result.drum_alone == IMPORT_ERROR, "the stack would show nothing"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [stack.name for stack in STACKS])
def test_stack(name: str) -> None:
    code, results, errors = matrix("--stacks", name, "--json")
    assert code == 0, f"{errors}\n{results}"
    assert [(result["stack"]["name"], result["outcome"]) for result in results] == [(name, "ok")]


def test_stacks_that_do_not_exist() -> None:
    code, _, errors = matrix("--stacks", "langchian")
    assert code == 2
    assert "there is no stack 'langchian'; the stacks are fastapi, langchain, mlflow, ray, oldest, newest" in errors


def test_stack_that_cannot_be_installed_is_named(environments: Environments, tmp_path: Path) -> None:
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    stack = Stack("impossible", here, ("msgspec==0.0.0.1",), "stack_core")
    result = environment_stacks.run(stack, tmp_path, environments.wheel)
    assert result.outcome == "not installable"
    assert "msgspec==0.0.0.1" in result.detail
    assert not (tmp_path / "impossible").exists()
    assert "| not installable | " in environment_stacks.table([result])


def test_not_installable_is_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    absent = Stack("absent", "2.5", (), "stack_core")
    monkeypatch.setattr(environment_stacks, "STACKS", (absent,))
    monkeypatch.setattr(environment_stacks, "build_wheel", lambda home: home / "no.whl")
    monkeypatch.setattr(sys, "argv", ["stacks"])
    assert environment_stacks.main() == 1
    assert "there is no Python 2.5 with venv on this machine" in capsys.readouterr().out


def test_floors_are_those_of_pyproject(environments: Environments) -> None:
    found = environment_stacks.floors(environments.wheel())
    pyproject = (ROOT / "pyproject.toml").read_text()
    declared = pyproject.partition("\ndependencies = [\n")[2].partition("\n]")[0].splitlines()
    declared = [line for line in declared if not line.lstrip().startswith("#")]
    pinned = dict(line.partition(";")[0].lower().split("==") for line in found)
    names_and_floors = [re.search(r'"([\w.-]+)>=([\w.]+)', line) for line in declared]
    assert pinned == {match[1].lower(): match[2] for match in names_and_floors if match}
    assert len(pinned) == len(declared)
    assert [line for line in found if re.fullmatch(r"uvloop==\S+; *sys_platform != .win32.", line)], "the marker stays"


def test_dependency_without_a_floor(tmp_path: Path) -> None:
    wheel = tmp_path / "some-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("some-1.dist-info/METADATA", "Name: some\nRequires-Dist: litestar<3\n")
    with pytest.raises(ValueError, match=r"pyproject\.toml names no oldest version for 'litestar<3'"):
        environment_stacks.floors(wheel)
