"""``DRUM_WORKER_PYTHON``: each interpreter that cannot run workers is rejected in one line with the remedy."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest

from drum_litestar.errors import SettingsError, StartupError
from drum_litestar.launcher.machine_checks import check_machine
from drum_litestar.launcher.worker_interpreter import find_interpreter, probe
from drum_litestar.settings.resolve import resolve
from support.environments.worker_pythons import bare

MACHINE_OFFSET = 18
"""Offset of ``e_machine`` in an ELF header."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A virtual environment of Python 3.8 without any package."""
    return bare(tmp_path / "venv", "3.8")


def at_start(home: Path, code: str) -> None:
    """Make the interpreter of ``home`` run ``code`` at its start."""
    (site,) = home.glob("lib/python3*/site-packages")
    (site / "sitecustomize.py").write_text(code)


def refusal(path: object) -> str:
    with pytest.raises(SettingsError) as caught:
        check_machine(resolve({"DRUM_WORKER_PYTHON": str(path)}, {}).settings)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def unusable(path: Path, **options: float) -> str:
    with pytest.raises(StartupError) as caught:
        probe(find_interpreter(str(path)), **options).require()  # type: ignore[arg-type]
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"DRUM_WORKER_PYTHON='{find_interpreter(str(path))}'")
    return str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    missing = tmp_path / "python3.8"
    assert refusal(missing) == f"DRUM_WORKER_PYTHON='{missing}': there is no such file"


def test_no_such_command() -> None:
    text = "DRUM_WORKER_PYTHON='no-such-python3.8': there is no such file, and no such command on the path"
    assert refusal("no-such-python3.8") == text
    assert refusal(" ") == "DRUM_WORKER_PYTHON='' names no interpreter"


def test_a_file_that_is_not_executable(tmp_path: Path) -> None:
    file = tmp_path / "python"
    file.write_text("")
    assert refusal(file) == f"DRUM_WORKER_PYTHON='{file}' is not executable"


def test_a_directory_without_an_interpreter(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"DRUM_WORKER_PYTHON='{tmp_path}' is a directory without an interpreter: it has no bin/python"
    )


def test_the_inline_executor_has_no_workers() -> None:
    with pytest.raises(SettingsError, match="DRUM_WORKER_PYTHON needs worker processes"):
        resolve({"DRUM_WORKER_PYTHON": sys.executable, "DRUM_EXECUTOR": "inline"}, {})


def test_a_folder_a_file_and_a_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = home / "bin" / "python"
    assert find_interpreter(str(home)) == str(python)  # not where the link leads: that is another environment
    assert find_interpreter(str(python)) == str(python)
    monkeypatch.chdir(home.parent)
    assert find_interpreter("venv") == str(python)
    monkeypatch.chdir("/")
    monkeypatch.setenv("PATH", str(home / "bin"))
    assert find_interpreter("python") == str(python)


def test_what_is_missing_is_named_with_the_command(home: Path) -> None:
    python = home / "bin" / "python"
    text = unusable(home)
    assert "model workers need msgspec>=0.16, pandas>=1.5, numpy there (Python 3.8." in text
    assert " has none of them). " in text
    assert text.endswith(f"Install with: {python} -m pip install 'msgspec>=0.16' 'pandas>=1.5' numpy")


def test_an_old_msgspec(home: Path) -> None:
    (site,) = home.glob("lib/python3*/site-packages")
    for name, version in (("msgspec", "0.9.1"), ("pandas", "2.0.3"), ("numpy", "1.24.4")):
        (site / name).mkdir()
        (site / name / "__init__.py").touch()
        info = site / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    text = unusable(home)
    assert "has msgspec 0.9.1, pandas 2.0.3, numpy 1.24.4" in text
    assert text.endswith("-m pip install 'msgspec>=0.16'")
    (site / "msgspec-0.9.1.dist-info").rename(site / "msgspec-0.18.6.dist-info")
    (site / "msgspec-0.18.6.dist-info" / "METADATA").write_text("Name: msgspec\nVersion: 0.18.6\n")
    (site / "msgspec" / "__init__.py").write_text("import nothing_like_this")
    text = unusable(home)
    assert "msgspec cannot be imported: No module named 'nothing_like_this'" in text
    assert text.endswith("-m pip install --force-reinstall 'msgspec>=0.16'")


def test_what_an_interrupted_installation_left_counts_as_absent(home: Path) -> None:
    (site,) = home.glob("lib/python3*/site-packages")
    for name, text in (("half", "Name: half\n"), ("pandas", "Name: pandas\n"), ("empty", "")):
        (site / f"{name}-1.0.dist-info").mkdir()
        (site / f"{name}-1.0.dist-info" / "METADATA").write_text(text)
    assert "model workers need msgspec>=0.16, pandas>=1.5, numpy there" in unusable(home)


def test_python_3_7(tmp_path: Path) -> None:
    assert "is Python 3.7." in (text := unusable(bare(tmp_path / "old", "3.7")))
    assert text.endswith("; 3.8 or later is needed")


def test_another_architecture(tmp_path: Path) -> None:
    """A copy of this interpreter's file for an unknown machine type."""
    image = bytearray(Path(sys.executable).resolve().read_bytes())
    image[MACHINE_OFFSET : MACHINE_OFFSET + 2] = struct.pack("<H", 0x1057)
    file = tmp_path / "python"
    file.write_bytes(image)
    file.chmod(0o755)
    assert unusable(file).endswith("cannot be run: Exec format error")


def test_one_that_hangs_at_start(home: Path) -> None:
    at_start(home, "import threading; threading.Event().wait()")
    assert unusable(home, timeout=1.0).endswith("has not answered after 1 s: it hangs at start")


def test_one_that_fails_at_start(home: Path) -> None:
    at_start(home, "import os; os.write(2, b'no licence\\n'); os._exit(3)")
    assert unusable(home).endswith("does not run Python code (exit code 3): no licence")


def test_one_that_prints_at_start(home: Path) -> None:
    at_start(home, "import sys; sys.stdout.write('welcome'); sys.stderr.write('to this machine')")
    answer = probe(str(home / "bin" / "python"))
    assert answer.version[:2] == (3, 8)
    assert answer.version_of("numpy") is None
    assert not answer.has_module("strictyaml")


def test_it_is_not_told_of_the_servers_python(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    assert probe(str(home / "bin" / "python")).version[:2] == (3, 8)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_as_the_user_of_the_workers(home: Path) -> None:
    home.chmod(0o700)
    with pytest.raises(StartupError, match=r"\(as user 'nobody'\) cannot be run: Permission denied"):
        probe(str(home / "bin" / "python"), user="nobody")
