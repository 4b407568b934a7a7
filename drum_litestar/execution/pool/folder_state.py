"""What is known of the model folder after its first load: how reloads and replacements of workers fared.

A worker cannot be given the state of the folder that another one has loaded: it reads the files that are there. So a
broken folder leaves the workers that run as they are, and costs each worker that dies.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any


class FolderState:
    """Counts loads, and remembers why the last one failed."""

    def __init__(self) -> None:
        self.load_error = ""
        """Why the last worker that should replace another one could not load; empty once one has loaded since."""
        self.reload_error = ""
        """Why the last reload failed; empty once no worker is left that was loaded before it."""
        self.failures = 0
        """Loads in a row that failed because of what is in the folder."""
        self._reloads = {"succeeded": 0, "failed": 0}
        self._loaded_at: float | None = None
        self._newest_stale = 0

    @property
    def error(self) -> str:
        """Why the folder could not be loaded again; empty when it could."""
        return self.reload_error or self.load_error

    @property
    def broken_for(self) -> int:
        """How many loads in a row have failed that are no passing failure, as the first one may be unless a reload has
        failed before it."""
        return max(0, self.failures - (0 if self.reload_error else 1))

    def stale(self, numbers: Iterable[int]) -> int:
        """How many of the workers ``numbers`` were loaded before the reload that failed."""
        return sum(number <= self._newest_stale for number in numbers) if self.reload_error else 0

    def load_failed(self, reason: str, *, by_folder: bool) -> bool:
        """A replacement did not become ready. ``by_folder``: because of what is in the folder, not by a crash.

        Returns whether ``reason`` is a new one.
        """
        new = reason not in (self.load_error, self.reload_error)
        self.failures += by_folder
        self.load_error = reason
        return new

    def loaded(self, ready: Iterable[int]) -> bool:
        """A worker has loaded the folder; ``ready``: the numbers of all that are in service now.

        Returns whether loads had failed before.
        """
        failed = bool(self.load_error)
        self.load_error, self.failures = "", 0
        if self._loaded_at is None or (self.reload_error and not self.stale(ready)):
            self._loaded_at = time.time()
            self.reload_error = ""
        return failed

    def reload_succeeded(self) -> None:
        """Every worker has loaded the folder again."""
        self._reloads["succeeded"] += 1
        self._loaded_at = time.time()
        self.reload_error = ""

    def reload_failed(self, reason: str, newest_stale: int) -> None:
        """``newest_stale``: the number of the youngest worker that was there when the reload began."""
        self._reloads["failed"] += 1
        self.reload_error, self._newest_stale = reason, newest_stale

    def stats(self) -> dict[str, Any]:
        """Under their ``/stats/`` names; ``executor_loaded_at`` in seconds since the epoch."""
        return {
            "executor_reloads": {**self._reloads},
            "executor_reload_error": self.reload_error or None,
            "executor_load_error": self.load_error or None,
            "executor_loaded_at": self._loaded_at,
        }
