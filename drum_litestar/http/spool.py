"""Spool files for request bodies that are too large for memory.

One directory per process, locked through a file inside it. A directory whose lock is free was left by a crash; the
next start removes it. All functions block, so the event loop calls them in threads.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows: no locks, so no sweep
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

PREFIX = "drum-litestar-spool-"
LOCK_NAME = "lock"


def _is_abandoned(directory: Path) -> bool:
    """Whether no process holds the lock of ``directory``."""
    try:
        with (directory / LOCK_NAME).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class SpoolDirectory:
    """Directory of the spool files below ``parent``; created with the first file, removed by :meth:`close`."""

    def __init__(self, parent: str | None = None, owner: int | None = None) -> None:
        """``owner``: user id to which complete files are given; None keeps this process's."""
        self._parent = Path(parent or tempfile.gettempdir())
        self._owner = owner
        self._guard = threading.Lock()
        self._path: Path | None = None
        self._lock: BinaryIO | None = None

    def sweep(self) -> None:
        """Remove directories of crashed processes. Never raises: an error of the disk must not prevent the start."""
        if fcntl is None:
            return
        for directory in self._parent.glob(f"{PREFIX}*"):
            if _is_abandoned(directory):
                logger.info("Removing spool files of a process that has died: %s", directory)
                shutil.rmtree(directory, ignore_errors=True)

    def create(self) -> tuple[BinaryIO, str]:
        """Create an empty file; returns it open for writing, and its path. Raises OSError."""
        try:
            descriptor, path = tempfile.mkstemp(dir=self._directory())
        except FileNotFoundError:  # removed by a cleaner of temporary files
            self.close()
            descriptor, path = tempfile.mkstemp(dir=self._directory())
        return os.fdopen(descriptor, "wb"), path

    def hand_over(self, path: str) -> None:
        """Give the complete file at ``path`` to the owner. Raises OSError."""
        if self._owner is not None:
            os.chown(path, self._owner, -1)

    def close(self) -> None:
        """Remove the directory with everything in it."""
        with self._guard:
            if self._path is not None:
                shutil.rmtree(self._path, ignore_errors=True)
            if self._lock is not None:
                self._lock.close()
            self._path = self._lock = None

    def _directory(self) -> Path:
        with self._guard:
            if self._path is None:
                path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._parent))
                lock = (path / "unlocked").open("wb")
                if fcntl is not None:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                (path / "unlocked").rename(path / LOCK_NAME)  # visible to a sweep only after the lock is held
                if self._owner is not None:
                    path.chmod(0o711)  # other users can open a file whose random name they are given
                self._path, self._lock = path, lock
            return self._path


class SpoolFile:
    """Spool file of one body. Methods may run in different threads; after :meth:`discard` writes are ignored.

    It is open only while it is written to: else a thousand concurrent uploads would need a descriptor each beside
    that of their connection.
    """

    def __init__(self, directory: SpoolDirectory) -> None:
        self._directory = directory
        self._guard = threading.Lock()
        self._path: str | None = None
        self._discarded = False

    def write(self, chunks: Sequence[bytes]) -> None:
        """Append ``chunks``. Raises OSError (disk full)."""
        with self._guard:
            if self._discarded:
                return
            if self._path is None:
                file, self._path = self._directory.create()
            else:
                file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND), "wb")
            with file:
                file.writelines(chunks)

    def finish(self, chunks: Sequence[bytes] = ()) -> str:
        """Append the last ``chunks``, give the file to its owner, and return its path.

        After that, a process without all of root's capabilities could not open it again. Raises OSError, also when
        there is no file.
        """
        if chunks:
            self.write(chunks)
        with self._guard:
            if self._path is None or self._discarded:
                raise OSError("nothing was spooled")
            self._directory.hand_over(self._path)
            return self._path

    def discard(self) -> None:
        """Remove the file, complete or not."""
        with self._guard:
            self._discarded = True
            if self._path is not None:
                Path(self._path).unlink(missing_ok=True)


def discard_all(files: Sequence[SpoolFile]) -> None:
    """Remove ``files``, in one call of a thread."""
    for file in files:
        file.discard()
