"""A stand-in for the public names of ``datarobot_drum`` that user code imports, for when the real one is absent.

The package beside this file becomes importable under its public name only after every other finder has failed, so
an installed ``datarobot_drum`` always takes precedence.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGE = "datarobot_drum"


class StandinFinder:
    """A meta path finder of last resort for ``datarobot_drum``; submodules are found through its ``__path__``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != PACKAGE:
            return None
        return PathFinder.find_spec(fullname, [str(Path(__file__).parent)], target)


def install_standin() -> None:
    """Make ``import datarobot_drum`` work in this process even where it is not installed. Idempotent."""
    if not any(isinstance(finder, StandinFinder) for finder in sys.meta_path):
        sys.meta_path.append(StandinFinder())
