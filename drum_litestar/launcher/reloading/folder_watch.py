"""``--reload``, for development: the model folder is loaded again when its files change.

What changed is found by comparing the folder with what it was when the model was last loaded; the package watchfiles
only says when to compare.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from drum_litestar.extensions import FILE as EXTENSION_FILE
from drum_litestar.extras import require
from drum_litestar.launcher.reloading.model_reload import RELOAD_LOGGER
from drum_litestar.settings.groups.serving import ModelSettings

_log = logging.getLogger(RELOAD_LOGGER)

QUIET: Final = 0.2
"""Seconds without another change after which a change is taken as complete."""

LONGEST_WAIT: Final = 30.0
"""Seconds after which a change is taken as complete, although files still change."""

NAMED: Final = 3
"""Files that a line names; more are counted."""

_IGNORED_FOLDERS: Final = frozenset({"__pycache__", "node_modules", "venv"})
_IGNORED_FILES: Final = re.compile(
    r"""\.
    | \#.*\#$                               # Emacs
    | .*~$ | 4913$                          # Vim, and many others
    | .*___jb_(tmp|old)___$                 # JetBrains
    | .*\.(swp|swx|tmp|temp|bak|part|crdownload|pyc|pyo|lock|log)$
    | .*\.log\.\d+$
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Hidden files, and those that editors, downloads and loggers leave."""
_SOURCES: Final = (".py", ".yaml", ".yml")
"""Only people write these; other files may be written by the model while it loads."""

Snapshot = Mapping[str, tuple[int, int]]
"""Modification time in ns and size of each file, by its path in the folder."""


def folder_watch(settings: ModelSettings, folder: Path, on_change: Callable[[], Awaitable[None]]) -> FolderWatch | None:
    """The watch that ``settings`` ask for. Raises MissingExtraError without watchfiles."""
    return FolderWatch(folder, on_change) if settings.reload else None


def notifications() -> Callable[..., AsyncIterator[object]]:
    """The function of watchfiles that tells of changes. Raises MissingExtraError without that package."""
    awatch: Callable[..., AsyncIterator[object]] = require("watchfiles", "--reload (DRUM_RELOAD)", "reload").awatch
    return awatch


def ignored(name: str) -> bool:
    """Whether a file of this ``name`` does not matter to the model."""
    return _IGNORED_FILES.match(name) is not None


def snapshot(folder: Path) -> Snapshot:
    """The files that matter. Blocks for as long as the disk takes."""
    found: dict[str, tuple[int, int]] = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _IGNORED_FOLDERS]
        for name in names:
            if not ignored(name):
                path = os.path.join(parent, name)  # noqa: PTH118
                with contextlib.suppress(OSError):  # it is gone again
                    status = os.stat(path)  # noqa: PTH116
                    found[os.path.relpath(path, folder)] = (status.st_mtime_ns, status.st_size)
    return found


def changed(before: Snapshot, after: Snapshot) -> list[str]:
    """The paths that are new, gone or different, in order."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def some_of(paths: list[str]) -> str:
    """``paths`` in words: all of them, or the first ones and how many more."""
    named, rest = paths[:NAMED], len(paths) - NAMED
    return ", ".join(named) + (f" and {rest} more" if rest > 0 else "")


class FolderWatch:
    """Calls back when files of a model folder have changed since it was last loaded."""

    def __init__(self, folder: Path, on_change: Callable[[], Awaitable[None]]) -> None:
        """To be made before the first load begins. ``on_change`` loads the folder again.

        Raises MissingExtraError without watchfiles.
        """
        self._notifications = notifications()
        self._folder = folder
        self._on_change = on_change
        self._loaded = snapshot(folder)
        self._notified = asyncio.Event()
        _log.setLevel(logging.INFO)  # what it says is what it is for

    async def run(self, first_load: Awaitable[None]) -> None:
        """Watch until cancelled. ``first_load`` ends with the first load."""
        notifying = asyncio.ensure_future(self._notify())
        try:
            await first_load
            await self._except_written(self._loaded)
            _log.info("Watching %s: a change reloads the model (for development)", self._folder)
            while True:
                await self._look()
                await self._notified.wait()
                self._notified.clear()
        finally:
            notifying.cancel()

    async def _notify(self) -> None:
        try:
            async for _ in self._notifications(self._folder, watch_filter=None):
                self._notified.set()
        except Exception as error:  # the system's limit of watches, or the folder is gone
            _log.error("Changes of %s are no longer noticed (%s); SIGHUP reloads the model", self._folder, error)

    async def _look(self) -> None:
        """Reload if something has changed."""
        now = await self._settled()
        paths = changed(self._loaded, now)
        self._loaded = now
        if EXTENSION_FILE in paths:
            paths.remove(EXTENSION_FILE)
            _log.warning("%s changed: that takes a restart of the server", EXTENSION_FILE)
        if paths:
            _log.info("%s changed: reloading", some_of(paths))
            await self._on_change()
            await self._except_written(now)

    async def _settled(self) -> Snapshot:
        """The folder once its files rest: a large file, or many, take a while to be written."""
        now = await asyncio.to_thread(snapshot, self._folder)
        for _ in range(round(LONGEST_WAIT / QUIET)):
            await asyncio.sleep(QUIET)
            before, now = now, await asyncio.to_thread(snapshot, self._folder)
            if before == now:
                break
        return now

    async def _except_written(self, before: Snapshot) -> None:
        """What the model wrote while it loaded is no change, or it would be loaded again and again. ``before``: the
        folder when the load began."""
        now = await self._settled()
        written = [path for path in changed(before, now) if not path.endswith(_SOURCES)]
        if written:
            _log.info("%s changed while the model was loading: not taken as a change", some_of(written))
            loaded = {path: state for path, state in self._loaded.items() if path not in written}
            self._loaded = {**loaded, **{path: now[path] for path in written if path in now}}
