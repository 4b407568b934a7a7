from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from types import SimpleNamespace

import pytest

from drum_litestar import __version__
from drum_litestar.cli.main import main
from drum_litestar.drum_hook import hook_command
from drum_litestar.drum_hook.hook_command import COMMENT, hook_status, switch
from drum_litestar.errors import StartupError

LINE = Path(hook_command.__file__).with_name(hook_command.PTH_NAME).read_text()
DEFAULT_LINE = LINE.replace("default=False", "default=True")
ROOT = Path(hook_command.__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed line that is active in this process."""
    path = tmp_path / hook_command.PTH_NAME
    path.write_text(LINE)
    monkeypatch.setattr(hook_command, "pth_path", lambda: path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, SimpleNamespace(name="drum_litestar_hook")])
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


def test_default_there_and_back(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``disable`` keeps it for ``enable``; ``--no-default`` leaves the line as it was installed."""

    def hook(*words: str) -> str:
        assert main(["hook", *words]) == 0
        return capsys.readouterr().out

    for _ in range(2):
        assert hook("enable", "--default").endswith("without DRUM_SERVER_TYPE `drum server` runs this backend\n")
        assert path.read_text() == DEFAULT_LINE
        assert hook_status(path).default
    hook("disable")
    assert path.read_text() == COMMENT + DEFAULT_LINE
    status = hook_status(path)
    assert (status.active, status.default) == (False, False)
    assert "as the default of `drum server`" in status.text
    hook("enable")
    assert path.read_text() == DEFAULT_LINE
    assert hook("enable", "--no-default").endswith("`drum server` runs DRUM's own server\n")
    assert path.read_text() == LINE
    assert not hook_status(path).default


def test_default_of_a_disabled_hook_enables_it(path: Path) -> None:
    switch(path, enable=False)
    assert switch(path, enable=True, default=True)
    assert path.read_text() == DEFAULT_LINE


def test_default_needs_this_versions_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("import sys; sys.older_hook = True\n")
    assert main(["hook", "enable", "--default"]) == 1
    assert f"{path} is outdated" in capsys.readouterr().err
    assert main(["hook", "disable"]) == 0


@pytest.mark.parametrize("words", [["status", "--default"], ["disable", "--no-default"]])
def test_default_goes_with_enable(path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hook", *words]) == 2
    assert "'hook enable'" in capsys.readouterr().err
    assert path.read_text() == LINE


def test_switching_keeps_who_may_read_the_line(path: Path) -> None:
    """Python silently skips a line that it may not read."""
    path.chmod(0o644)
    previous = os.umask(0o077)
    try:
        switch(path, enable=True, default=True)
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o777 == 0o644


def test_switching_spares_hard_links(path: Path, tmp_path: Path) -> None:
    """Some installers hard-link the file into every environment."""
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
    assert hook_status(path) == (False, "disabled by DRUM_LITESTAR_HOOK=0", False)


CODE = "from drum_litestar.cli.main import main; raise SystemExit(main(['hook', 'status']))"
REINSTALL = "Bring it back with: pip install"


class Installation:
    """A separate environment with this package's metadata and line, as installers leave them."""

    def __init__(self, home: Path) -> None:
        venv.EnvBuilder(with_pip=False).create(home)
        self.python = home / "bin" / "python"
        (self.folder,) = home.glob("lib/python*/site-packages")
        self.line = self.folder / hook_command.PTH_NAME
        self.info = self.folder / f"drum_litestar-{__version__}.dist-info"
        self.info.mkdir()
        (self.info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: drum-litestar\nVersion: {__version__}\n")
        (self.folder / "code.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")

    def came_from(self, origin: dict[str, object]) -> None:
        (self.info / "direct_url.json").write_text(json.dumps(origin))

    def status(self) -> tuple[int, str]:
        """Exit code and text of `hook status`."""
        done = subprocess.run(
            [self.python, "-c", CODE], capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        return done.returncode, done.stdout.strip() or done.stderr


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "home")


@pytest.mark.parametrize(
    ("origin", "remedy"),
    [
        (None, "--force-reinstall --no-deps drum-litestar"),
        ({"url": "file:///a/my%20checkout", "dir_info": {"editable": True}}, "-e --no-deps '/a/my checkout'"),
        ({"url": "file:///a/checkout", "dir_info": {}}, "--force-reinstall --no-deps /a/checkout"),
        ({"url": "file:///a/drum.whl", "archive_info": {}}, "--force-reinstall --no-deps /a/drum.whl"),
        ({"url": "https://host/repository", "vcs_info": {}}, "--force-reinstall --no-deps drum-litestar"),
    ],
    ids=["index", "editable", "folder", "wheel", "repository"],
)
def test_remedy_fits_the_installation(
    installation: Installation, origin: dict[str, object] | None, remedy: str
) -> None:
    if origin is not None:
        installation.came_from(origin)
    missing = f"not installed ({installation.line} is missing)"
    assert installation.status() == (1, f"{missing}. {REINSTALL} {remedy}")


def test_outdated_line(installation: Installation) -> None:
    """The folder is a site directory, so the line is the cause."""
    installation.line.write_text("import sys; sys.older_hook = True\n")
    code, text = installation.status()
    assert code == 1
    assert text.startswith(f"not in force: {installation.line} is outdated")
    assert REINSTALL in text


def test_line_in_force(installation: Installation) -> None:
    installation.line.write_text(LINE)
    code, text = installation.status()
    assert (code, text.split()[0]) == (0, "enabled")


def test_line_that_has_no_effect(installation: Installation) -> None:
    """The line is current, but the finder was removed."""
    installation.line.write_text(LINE)
    (installation.folder / "zz.pth").write_text("import sys; del sys.meta_path[0]\n")
    code, text = installation.status()
    assert code == 1
    assert text.startswith(f"not in force: {installation.line} is there, but")


def test_line_outside_the_site_directories(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `pip install --target`."""
    monkeypatch.setattr(sys, "meta_path", [])
    assert hook_status(path).text.endswith("which is in no site directory of its own")
