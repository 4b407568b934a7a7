"""``DRUM_WORKER_PYTHON``: which file it names. Nothing is run here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from drum_litestar.errors import SettingsError


def subject_of(path: str) -> str:
    """The parameter and its value, as messages begin."""
    return f"DRUM_WORKER_PYTHON='{path}'"


def find_interpreter(text: str) -> str:
    """Absolute path of the interpreter that ``text`` names: a file, a virtual environment's folder, or a command on
    the path. Links are kept, since a virtual environment is known by the link's place.

    Raises SettingsError, one line.
    """
    if not text.strip():
        raise SettingsError(f"{subject_of(text)} names no interpreter")
    path = Path(text).expanduser()
    if not path.exists() and os.sep not in text:
        path = Path(shutil.which(text) or path)
    try:
        if path.is_dir():
            inside = [path / "bin" / name for name in ("python", "python3")]
            path = next((each for each in inside if each.exists()), inside[0])
            if not path.exists():
                raise SettingsError(f"{subject_of(text)} is a directory without an interpreter: it has no bin/python")
        if not path.exists():
            command = "" if os.sep in text else ", and no such command on the path"
            raise SettingsError(f"{subject_of(text)}: there is no such file{command}")
    except OSError as error:  # a directory above it may not be entered
        raise SettingsError(f"{subject_of(text)} cannot be reached: {error.strerror}") from error
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise SettingsError(f"{subject_of(text)} is not executable")
    return os.path.abspath(path)  # noqa: PTH100 - Path.resolve would follow the link
