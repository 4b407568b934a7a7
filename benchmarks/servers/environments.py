"""One virtual environment for each contender, built once and kept until its requirements change."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class CannotInstallError(Exception):
    """pip failed; the text is the end of its output."""


def cache_dir() -> Path:
    """``DRUM_BENCH_CACHE``, else a folder in the user's cache."""
    return Path(os.environ.get("DRUM_BENCH_CACHE") or Path.home() / ".cache" / "drum-litestar-bench")


def environment(name: str, requirements: tuple[tuple[str, ...], ...], tell: Callable[[str], None]) -> Path:
    """``bin`` of an environment with ``requirements``, installed group after group. Raises CannotInstallError."""
    key = hashlib.sha256(repr((sys.version_info[:2], requirements)).encode()).hexdigest()[:10]
    home = cache_dir() / "environments" / f"{name}-{key}"
    if (home / "ready").exists():
        return home / "bin"
    shutil.rmtree(home, ignore_errors=True)
    tell(f"building the environment of {name} (once)")
    _run([sys.executable, "-m", "venv", str(home)])
    for group in requirements:
        _run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *group])
    (home / "ready").touch()
    return home / "bin"


def installed(bin_dir: Path, *packages: str) -> dict[str, str]:
    """Versions of ``packages`` in that environment."""
    code = (
        "import importlib.metadata as m, sys\nfor n in sys.argv[1:]:\n"
        " try: print(n, m.version(n))\n except m.PackageNotFoundError: pass"
    )
    done = subprocess.run([bin_dir / "python", "-c", code, *packages], capture_output=True, text=True, check=False)
    return dict(line.split() for line in done.stdout.splitlines())


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotInstallError((done.stderr or done.stdout).strip()[-1500:])
