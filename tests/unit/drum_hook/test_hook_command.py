from __future__ import annotations

import sys
from pathlib import Path

import pytest

from drum_litestar.drum_hook import command
from drum_litestar.drum_hook.command import COMMENT, hook_status, switch
from drum_litestar.errors import StartupError
from drum_litestar.launcher.cli import main

LINE = "import sys\n"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed line that this process has read."""
    path = tmp_path / command.PTH_NAME
    path.write_text(LINE)
    monkeypatch.setattr(command, "pth_path", lambda: path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, type(sys.implementation)(name="drum_litestar_hook")])
    monkeypatch.delenv("DRUM_LITESTAR_HOOK", raising=False)
    return path


def test_switching_there_and_back(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hook", "status"]) == 0
    assert capsys.readouterr().out.startswith(f"enabled ({path})")
    for _ in range(2):
        assert main(["hook", "disable"]) == 0
        assert path.read_text() == COMMENT + LINE
    capsys.readouterr()
    assert main(["hook", "status"]) == 1
    assert capsys.readouterr().out.startswith(f"disabled ({path}")
    for _ in range(2):
        assert main(["hook", "enable"]) == 0
        assert path.read_text() == LINE
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_switching_spares_hard_links(path: Path, tmp_path: Path) -> None:
    """Some installers link the same file into every environment."""
    other = tmp_path / "other.pth"
    other.hardlink_to(path)
    switch(path, enable=False)
    assert other.read_text() == LINE


def test_missing_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.unlink()
    assert main(["hook", "status"]) == 1
    assert "pip install" in capsys.readouterr().out
    assert main(["hook", "enable"]) == 1
    assert "pip install" in capsys.readouterr().err


def test_folder_that_cannot_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(StartupError, match=r"cannot write .*: Permission denied"):
        switch(path, enable=False)


def test_status_of_a_line_that_python_has_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [])
    status = hook_status(path)
    assert not status.active
    assert status.text.startswith("not in force")


def test_status_with_the_variable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_LITESTAR_HOOK", "0")
    assert hook_status(path) == (False, "disabled by DRUM_LITESTAR_HOOK=0")
