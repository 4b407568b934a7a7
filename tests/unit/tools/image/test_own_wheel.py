"""The wheel of an image whose server no package index has: of what this server was installed from."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from drum_litestar import __version__
from drum_litestar.cli.main import main
from drum_litestar.errors import StartupError
from drum_litestar.tools.image.own_wheel import own_wheel

BACKEND = """\
import pathlib, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "mine-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as wheel:
        wheel.writestr("mine-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: mine\\nVersion: 1\\n")
        wheel.writestr("mine-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("mine-1.dist-info/RECORD", "")
    return name
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def installed(folder: Path, origin: dict[str, Any] | None) -> Distribution:
    """A distribution as pip would have recorded it."""
    info = folder / "mine-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    if origin is not None:
        (info / "direct_url.json").write_text(json.dumps(origin))
    return Distribution.at(info)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A project that needs nothing to be built with."""
    folder = tmp_path / "my source"
    folder.mkdir()
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(PROJECT)
    return folder


def test_a_package_of_an_index_is_taken_from_there(tmp_path: Path) -> None:
    assert own_wheel(installed(tmp_path, None), tmp_path) is None


def test_a_source_gets_a_wheel(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = installed(tmp_path, {"url": source.as_uri(), "dir_info": {"editable": True}})
    assert own_wheel(found, tmp_path / "out") == tmp_path / "out" / "mine-1-py3-none-any.whl"
    assert capsys.readouterr().err == f"Making a wheel of {source}, which is what runs here\n"


def test_a_wheel_that_is_there_is_taken(tmp_path: Path) -> None:
    wheel = tmp_path / "mine-1-py3-none-any.whl"
    wheel.touch()
    assert own_wheel(installed(tmp_path, {"url": wheel.as_uri(), "archive_info": {}}), tmp_path) == wheel


def test_a_source_that_is_gone(tmp_path: Path) -> None:
    found = installed(tmp_path, {"url": (tmp_path / "gone").as_uri(), "dir_info": {}})
    with pytest.raises(StartupError, match=r"gone, which is not there any more\. Name a wheel of it with --wheel FILE"):
        own_wheel(found, tmp_path)


def test_a_source_that_cannot_be_built(tmp_path: Path, source: Path) -> None:
    (source / "backend.py").write_text("raise RuntimeError('no compiler')\n")
    with pytest.raises(StartupError) as caught:
        own_wheel(installed(tmp_path, {"url": source.as_uri(), "dir_info": {}}), tmp_path / "out")
    assert str(caught.value).startswith(
        f"pip has made no wheel of {source}: exit code 1. Name a wheel of it with --wheel"
    )
    assert "no compiler" in str(caught.value)


def test_a_repository_is_asked_for_the_same_commit(tmp_path: Path, source: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(source)]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    (source / "backend.py").write_text("raise RuntimeError('a later commit')\n")
    subprocess.run([*git, "commit", "-qam", "second"], check=True)
    origin = {"url": source.as_uri(), "vcs_info": {"vcs": "git", "commit_id": commit}}
    made = own_wheel(installed(tmp_path, origin), tmp_path / "out")
    assert made == tmp_path / "out" / "mine-1-py3-none-any.whl"


def test_without_pip(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StartupError, match="has no pip to make it") as caught:
        own_wheel(installed(tmp_path, {"url": source.as_uri(), "dir_info": {}}), tmp_path)
    assert sys.executable in str(caught.value)


@pytest.mark.slow
def test_the_context_of_this_checkout_has_its_wheel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Needs the package index for the build backend."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "custom.py").touch()
    context = tmp_path / "context"
    assert main(["build", str(model), "--tag", "m:1", "--context-only", str(context)]) == 0
    assert (context / "wheels" / f"drum_litestar-{__version__}-py3-none-any.whl").is_file()
    assert f"--build-arg VERSION={__version__} " in capsys.readouterr().out
