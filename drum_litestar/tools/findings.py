"""Findings of ``check``, and the test whether a module can be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

Level = Literal["ok", "info", "warning", "blocking"]
BLOCKING: Literal["blocking"] = "blocking"
"""The server would not start, or could not serve this folder."""

IMPORT_TIMEOUT = 120.0


class Finding(msgspec.Struct, frozen=True):
    """One line of the report. ``facts`` become members of the JSON object."""

    topic: str
    level: Level
    text: str
    facts: Mapping[str, Any] = {}


def import_problem(
    module: str,
    environ: Mapping[str, str] | None = None,
    path: tuple[str, ...] | None = None,
    python: str = sys.executable,
) -> str | None:
    """Import ``module`` in a new process of ``python``; return the last line of its error, None when it succeeds.

    In a process of its own, because a broken package may stay half imported, or crash. ``path`` replaces its
    ``sys.path``.
    """
    first = "" if path is None else f"import sys; sys.path[:] = {path!r}; "
    command = [python, "-c", f"{first}import {module}"]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environ or {})},
            cwd=Path(python).parent,  # not the caller's folder: `-c` would import from it
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=IMPORT_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"importing it takes longer than {IMPORT_TIMEOUT:g} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"Python ended with {done.returncode}"
