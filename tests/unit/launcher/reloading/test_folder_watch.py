from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import MissingExtraError, SettingsError
from drum_litestar.launcher.reloading.folder_watch import FolderWatch, changed, folder_watch, ignored, snapshot, some_of
from drum_litestar.settings.groups.serving import ModelSettings
from drum_litestar.settings.resolve import resolve
from support.files import replace_text
from support.predictors.executors import until

Act = Callable[["Reloads"], Awaitable[None]]


@pytest.mark.parametrize(
    "name",
    [
        ".custom.py.swp", ".swp", "4913", "custom.py~", "#custom.py#", ".#custom.py", "custom.py___jb_tmp___",
        "custom.py___jb_old___", ".goutputstream-X1", "model.pkl.part", "x.tmp", "custom.cpython-311.pyc", "server.log",
        "server.log.1", "SERVER.LOG", ".DS_Store", ".env",
    ],
)  # fmt: skip
def test_files_that_do_not_matter(name: str) -> None:
    assert ignored(name)


@pytest.mark.parametrize(
    "name", ["custom.py", "model.pkl", "model-metadata.yaml", "49130", "data.csv", "catalog.json", "log", "x#y", "tmp"]
)
def test_files_that_matter(name: str) -> None:
    assert not ignored(name)


def test_what_changed(tmp_path: Path) -> None:
    for name in ("custom.py", "package/helper.py", "gone.txt", "__pycache__/a.py", ".git/config", "venv/lib/b.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("1")
    (tmp_path / "dangling").symlink_to("nowhere")
    before = snapshot(tmp_path)
    assert sorted(before) == ["custom.py", "gone.txt", "package/helper.py"]
    (tmp_path / "gone.txt").unlink()
    (tmp_path / "package" / "helper.py").write_text("22")
    (tmp_path / "new.pkl").write_bytes(b"")
    assert changed(before, snapshot(tmp_path)) == ["gone.txt", "new.pkl", "package/helper.py"]
    assert snapshot(tmp_path / "no folder") == {}


def test_the_line_does_not_grow_with_the_folder() -> None:
    assert some_of(["custom.py"]) == "custom.py"
    assert some_of(["a", "b", "c"]) == "a, b, c"
    assert some_of(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_it_is_off_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    reloads = Reloads(tmp_path)
    assert folder_watch(ModelSettings(), tmp_path, reloads.load) is None
    with pytest.raises(MissingExtraError, match=r"--reload \(DRUM_RELOAD\) needs the package 'watchfiles'"):
        folder_watch(ModelSettings(reload=True), tmp_path, reloads.load)


def test_it_needs_worker_processes() -> None:
    with pytest.raises(SettingsError, match="DRUM_RELOAD needs worker processes, which --executor inline"):
        resolve({"DRUM_RELOAD": "true", "DRUM_EXECUTOR": "inline"}, {})


class Reloads:
    """A watched folder, and what the loads of its model do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.seen: list[str] = []
        """What ``custom.py`` says at each load."""
        self.during: Callable[[], None] = lambda: None
        """What happens while the folder is loaded."""

    def write(self, name: str, text: str = "") -> None:
        replace_text(self.folder / name, text)

    async def load(self) -> None:
        self.seen.append((self.folder / "custom.py").read_text())
        self.during()
        self.count += 1


def watched(folder: Path, act: Callable[[Reloads], Coroutine[Any, Any, None]]) -> Reloads:
    """Run ``act`` while ``folder`` is watched, as if by a server that loads it."""

    async def main() -> None:
        watch = FolderWatch(folder, reloads.load)
        watching = asyncio.ensure_future(watch.run(reloads.load()))
        try:
            await act(reloads)
        finally:
            watching.cancel()
            await asyncio.wait({watching})
        assert watching.cancelled()

    (folder / "custom.py").write_text("0")
    reloads = Reloads(folder)
    asyncio.run(main())
    return reloads


def test_a_burst_of_changes_is_one_reload(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def act(reloads: Reloads) -> None:
        await until(lambda: "Watching" in caplog.text)
        for number in range(20):
            reloads.write(f"part{number}.bin", "x")
        reloads.write("custom.py", "1")
        await until(lambda: reloads.count == 2)

    assert watched(tmp_path, act).seen == ["0", "1"]
    assert "custom.py, part0.bin, part1.bin and 18 more changed: reloading" in caplog.text


def test_what_a_load_writes_is_no_change_and_what_people_save_meanwhile_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def during() -> None:
        (tmp_path / "cache.bin").write_text("x" * (len(reloads) + 1))
        reloads.append(1)
        if len(reloads) == 2:  # a save in the middle of the second load
            replace_text(tmp_path / "custom.py", "2")

    async def act(watched: Reloads) -> None:
        watched.during = during
        await until(lambda: "Watching" in caplog.text)
        watched.write("custom.py", "1")
        await until(lambda: watched.count == 3)
        watched.write("custom.py", "3")
        await until(lambda: watched.count == 4)

    reloads: list[int] = []
    assert watched(tmp_path, act).seen == ["0", "1", "2", "3"]
    assert "cache.bin changed while the model was loading: not taken as a change" in caplog.text
    assert caplog.text.count("custom.py changed: reloading") == 3


def test_a_save_while_the_model_is_loaded_for_the_first_time_counts(tmp_path: Path) -> None:
    async def act(watched: Reloads) -> None:
        watched.during = lambda: watched.write("custom.py", "1") if not watched.count else None
        await until(lambda: watched.count == 2)

    assert watched(tmp_path, act).seen == ["0", "1"]


def test_a_folder_that_cannot_be_watched_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "model"
    folder.mkdir()

    async def nothing() -> None: ...

    async def main() -> None:
        watch = FolderWatch(folder, nothing)
        folder.rmdir()
        watching = asyncio.ensure_future(watch.run(nothing()))
        await until(lambda: "SIGHUP reloads the model" in caplog.text)
        watching.cancel()
        await asyncio.wait({watching})

    asyncio.run(main())
