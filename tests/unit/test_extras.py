from __future__ import annotations

import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from drum_litestar.errors import MissingExtraError
from drum_litestar.execution.pool.interpreter import command
from drum_litestar.extras import require
from drum_litestar.pip_command import EXTRAS, pip
from drum_litestar.predictors.native.frameworks.artifacts import FRAMEWORKS


def test_present() -> None:
    assert require("json.decoder", "decoding", "json").__name__ == "json.decoder"


def test_absent_names_the_command() -> None:
    with pytest.raises(MissingExtraError) as caught:
        require("no_such_package.part", "reading models", "onnx")
    assert str(caught.value) == (
        "reading models needs the package 'no_such_package', which is not installed. "
        f"Install it with: {pip()} install onnxruntime"
    )
    assert caught.value.exit_code == 1


def test_broken_installation_is_not_a_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        require("broken_package", "x", "y")


def test_in_an_interpreter_of_the_models_own() -> None:
    """The message names that interpreter's pip and the framework, because this package is not installed there."""
    code = "from drum_litestar.errors import MissingExtraError\nprint(MissingExtraError('It', 'sklearn'))"
    told = subprocess.run(command(sys.executable, code), capture_output=True, text=True, check=True).stdout
    assert told.rstrip().endswith(f"Install it with: {shlex.quote(sys.executable)} -m pip install scikit-learn")


@pytest.mark.parametrize("there", [True, False])
def test_pip_is_the_module_of_the_interpreter_unless_the_command_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    other = tmp_path / "pip"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if there:
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert pip() == ("pip" if there else f"{shlex.quote(sys.executable)} -m pip")


def test_the_extras_are_the_projects() -> None:
    needs = [Requirement(text) for text in metadata.requires("drum-litestar") or ()]

    def brings(extra: str) -> set[str]:
        """Without those of the package itself, which have markers too."""
        chosen = [need for need in needs if need.marker and "extra" in str(need.marker)]
        taken = [need for need in chosen if need.marker and need.marker.evaluate({"extra": extra})]
        names = {str(canonicalize_name(need.name)) for need in taken}
        return names if extra != "redis" else {"redis"}  # litestar[redis], whose other part is always there

    assert {extra: brings(extra) for extra in EXTRAS} == {
        extra: {canonicalize_name(Requirement(name).name) for name in shlex.split(names)}
        for extra, names in EXTRAS.items()
    }


@pytest.mark.parametrize("extra", [framework.extra for framework in FRAMEWORKS])
def test_every_framework_has_a_command(extra: str) -> None:
    assert extra in EXTRAS
