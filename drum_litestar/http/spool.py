"""Files for request bodies that are too large for memory.

One directory per process, held by a lock on a file inside it. A directory that nobody holds was left by a crash; the
next start removes it. Everything here blocks, so the event loop calls it through threads.
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
    """True when no living process holds ``directory``'s lock."""
    try:
        with (directory / LOCK_NAME).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class SpoolDirectory:
    """Makes spool files below ``parent``; created with the first file, removed by :meth:`close`."""

    def __init__(self, parent: str | None = None, owner: int | None = None) -> None:
        """``owner`` is the user id that gets the files, None to leave them ours."""
        self._parent = Path(parent or tempfile.gettempdir())
        self._owner = owner
        self._guard = threading.Lock()
        self._path: Path | None = None
        self._lock: BinaryIO | None = None

    def sweep(self) -> None:
        """Remove what crashed processes left behind. Never raises: a full disk must not stop the start."""
        if fcntl is None:
            return
        for directory in self._parent.glob(f"{PREFIX}*"):
            if _is_abandoned(directory):
                logger.info("Removing spool files of a process that has died: %s", directory)
                shutil.rmtree(directory, ignore_errors=True)

    def create(self) -> tuple[BinaryIO, str]:
        """A new empty file, open for writing, and its path. Raises OSError."""
        try:
            descriptor, path = tempfile.mkstemp(dir=self._directory())
        except FileNotFoundError:  # a cleaner of old temporary files was here
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
                (path / "unlocked").rename(path / LOCK_NAME)  # a sweeper sees the name only with the lock held
                if self._owner is not None:
                    path.chmod(0o711)  # others may open a file whose random name they were told
                self._path, self._lock = path, lock
            return self._path


class SpoolFile:
    """One body on its way to disk. Methods may run in different threads; ``discard`` wins over a late write.

    It is open only while it is written to: a thousand uploads at once would need as many descriptors again as they have
    connections.
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
        """Append the last ``chunks``; the path, whose file is the owner's from now on: who is not root in all respects
        could not open it again. Raises OSError, also when there is no file."""
        if chunks:
            self.write(chunks)
        with self._guard:
            if self._path is None or self._discarded:
                raise OSError("nothing was spooled")
            self._directory.hand_over(self._path)
            return self._path

    def discard(self) -> None:
        """Remove the file, whatever state it is in."""
        with self._guard:
            self._discarded = True
            if self._path is not None:
                Path(self._path).unlink(missing_ok=True)


def discard_all(files: Sequence[SpoolFile]) -> None:
    for file in files:
        file.discard()
