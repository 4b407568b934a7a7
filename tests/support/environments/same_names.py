"""Distributions whose modules have the same name, and site folders without one of them."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path


def pip_target(folder: Path, *requirements: str) -> Path:
    """``folder`` with the real releases, installed one after the other as pip does into one site-packages."""
    for requirement in requirements:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        done = subprocess.run(
            [*command, "--target", str(folder), requirement], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return folder


def site_without(folder: Path, name: str) -> Path:
    """``folder`` with links to all that is installed here, except what begins with ``name``. For ``python -S``."""
    folder.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(name):
            (folder / entry.name).symlink_to(entry)
    return folder
