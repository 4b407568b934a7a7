"""``DRUM_WORKER_USER``: errors before any worker starts, tried with child processes of another user."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drum_litestar.errors import SettingsError
from drum_litestar.launcher.worker_user import check_worker_user

USER = "nobody"
pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter and write to; pytest's own are private."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def python(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path for another interpreter, which becomes ``sys.executable``."""
    home = open_folder / "home"
    home.mkdir()
    monkeypatch.setattr(sys, "executable", str(home / "python3"))
    return home / "python3"


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def refusal() -> str:
    with pytest.raises(SettingsError) as caught:
        check_worker_user(USER)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_interpreter_in_a_private_home(python: Path) -> None:
    script(python, "exit 0")
    python.parent.chmod(0o700)
    text = refusal()
    assert text.startswith(f"DRUM_WORKER_USER='{USER}': this user cannot run the Python interpreter '{python}'")
    assert "(Permission denied)" in text
    assert "chmod o+rX" in text
    python.parent.chmod(0o711)
    check_worker_user(USER)


def test_packages_in_a_private_home(python: Path) -> None:
    script(python, "echo 'Traceback (most recent call last):' >&2\necho 'ModuleNotFoundError: msgspec' >&2\nexit 1")
    assert f"'{python}' (ModuleNotFoundError: msgspec)" in refusal()
    script(python, "exit 3")
    assert f"'{python}' (exit code 3)" in refusal()


def test_the_check_runs_as_that_user(python: Path, open_folder: Path) -> None:
    script(python, f'echo "$(id -u) $(id -g) $USER $HOME" > {open_folder}/seen')
    check_worker_user(USER)
    account = pwd.getpwnam(USER)
    assert (open_folder / "seen").read_text().split() == [
        str(account.pw_uid),
        str(account.pw_gid),
        USER,
        account.pw_dir,
    ]


def test_this_interpreter_finds_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """This Python can run the check's code: run as root, which stands in for another user."""
    monkeypatch.setattr(pwd, "getpwnam", lambda name: pwd.struct_passwd((name, "x", 0, 0, "", "/", "/bin/sh")))
    monkeypatch.setattr(os, "geteuid", iter((1, 0, 1)).__next__)
    check_worker_user(USER)


def test_the_check_imports_the_package(python: Path, open_folder: Path) -> None:
    """Also from a checkout that the user cannot read, while the interpreter has all other packages."""
    script(python, f'printf "%s\\n" "$@" > {open_folder}/seen')
    check_worker_user(USER)
    assert "import drum_litestar, msgspec" in (open_folder / "seen").read_text()


def test_root_without_the_right_to_change_users(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*command: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert refusal().startswith(f"DRUM_WORKER_USER='{USER}': this process may not change its user")


def test_the_servers_own_user_is_not_checked(python: Path) -> None:
    assert not python.exists()
    check_worker_user("root")


def test_a_name_that_the_machine_does_not_know() -> None:
    with pytest.raises(SettingsError, match="DRUM_WORKER_USER='no-such-user': there is no such user") as caught:
        check_worker_user("no-such-user")
    assert caught.value.exit_code == 2


def test_only_root_may_name_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(SettingsError, match="only root can run workers as another user"):
        check_worker_user("root")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    check_worker_user("root")
