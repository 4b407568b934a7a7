"""Completion scripts in the shells themselves; a shell that is not installed is left out."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
from pathlib import Path

import pytest

from drum_litestar.cli import completion
from drum_litestar.cli.argument_types import SHELLS
from drum_litestar.cli.main import COMMANDS, main, root_parser

CASES = [
    (("ser",), {"server"}),
    (("server", "--addr"), {"--address"}),
    (("server", "--executor", ""), {"pool", "inline"}),
    (("server", "--target-type", "reg"), {"regression"}),
    (("server", "--code-dir", "my"), {"my model/"}),
    (("predict", "da"), {"data.csv"}),
    (("new", ""), {"model"}),
    (("new", "model", "--tar"), {"--target-type"}),
    (("hook", "en"), {"enable"}),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my model").mkdir()
    (tmp_path / "data.csv").touch()
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def require_shell(name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")


def write_script(shell: str, home: Path) -> Path:
    path = home / f"script.{shell}"
    path.write_text(completion.script(shell, root_parser("drum-litestar", *COMMANDS)))
    return path


@pytest.mark.parametrize(
    ("words", "expected"), CASES, ids=lambda value: " ".join(sorted(value) if isinstance(value, set) else value)
)
def test_bash(home: Path, words: tuple[str, ...], expected: set[str]) -> None:
    require_shell("bash")
    script = write_script("bash", home)
    code = f'''
        source "{script}"
        COMP_WORDS=(drum-litestar "$@"); COMP_CWORD=$#
        _drum_litestar
        printf '%s\\n' "${{COMPREPLY[@]}}"
        complete -p drum-litestar >/dev/null
    '''
    done = subprocess.run(["bash", "-c", code, "bash", *words], capture_output=True, text=True, check=True)
    assert {found.rstrip("/") for found in done.stdout.splitlines()} == {each.rstrip("/") for each in expected}
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "expected"), CASES, ids=lambda value: " ".join(sorted(value) if isinstance(value, set) else value)
)
def test_fish(home: Path, words: tuple[str, ...], expected: set[str]) -> None:
    require_shell("fish")
    script = write_script("fish", home)
    line = " ".join(["drum-litestar", *words])
    code = f"source {script}; complete -C '{line}'"
    done = subprocess.run(["fish", "-c", code], capture_output=True, text=True, check=True)
    found = {each.partition("\t")[0].replace("\\ ", " ") for each in done.stdout.splitlines()}
    assert found == expected
    assert done.stderr == ""


def test_zsh(home: Path) -> None:
    """What a user types, in a terminal."""
    require_shell("zsh")
    script = write_script("zsh", home)
    steps = [
        (f"autoload -U compinit; compinit -u -D; source {script}; echo rea''dy\n", b"ready"),
        ("drum-litestar serv\t", b"server "),
        ("--addr\t", b"--address "),
        ("x --executor inl\t", b"inline "),
        ("--target-type regr\t", b"regression "),
        ("--code-dir my\t", rb"my\ model/"),
        ("\x15drum-litestar new \t", b"model "),
        ("--tar\t", b"--target-type "),
    ]
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(TERM="dumb", PS1="> ")
        os.execvp("zsh", ["zsh", "-f", "-i"])
    try:
        for typed, expected in steps:
            os.write(terminal, typed.encode())
            shown = b""
            while expected not in shown:
                assert select.select([terminal], [], [], 60)[0], f"{typed!r} shows {shown!r}"
                shown += os.read(terminal, 4096)
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


@pytest.mark.parametrize("shell", SHELLS)
def test_install(home: Path, shell: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert main(["--install-completion"]) == 0
    (path,) = (each for each in home.rglob("*drum-litestar*") if each.is_file())
    assert str(path) in capsys.readouterr().out
    assert main(["--show-completion", shell]) == 0
    assert capsys.readouterr().out == path.read_text()


def test_shells_are_those_that_the_option_names() -> None:
    assert tuple(completion.SHELLS) == SHELLS


def test_an_unknown_shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert main(["--show-completion"]) == 2
    error = capsys.readouterr().err
    assert "--show-completion knows bash, zsh, fish, but the variable SHELL names 'tcsh'" in error
    assert main(["--show-completion", "tcsh"]) == 2
    assert "choose from 'bash', 'zsh', 'fish'" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data.csv"))
    assert main(["--install-completion", "bash"]) == 2
    assert "cannot be written: Not a directory" in capsys.readouterr().err
