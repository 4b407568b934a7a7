"""A wheel of the running installation, for images of a version that no package index has."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from drum_litestar.errors import StartupError

_LAST_LINES = 15
_REMEDY = "Name a wheel of it with --wheel FILE"


def own_wheel(distribution: Distribution, folder: Path) -> Path | None:
    """The wheel that ``distribution`` was installed from, or one that pip makes in ``folder`` of its source.

    None for what came from a package index. Raises StartupError where there is no wheel to be had.
    """
    text = distribution.read_text("direct_url.json")
    if text is None:
        return None
    origin: dict[str, Any] = json.loads(text)
    url, name = str(origin["url"]), distribution.metadata["Name"]
    if "vcs_info" in origin:
        version = origin["vcs_info"]
        return _make(f"{version['vcs']}+{url}@{version['commit_id']}", url, folder)
    parts = urlsplit(url)
    if parts.scheme != "file":
        return _make(url, url, folder)
    source = Path(unquote(parts.path))
    if not source.exists():
        raise StartupError(f"{name} was installed from {source}, which is not there any more. {_REMEDY}")
    return source if source.suffix == ".whl" else _make(str(source), str(source), folder)


def _make(requirement: str, source: str, folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise StartupError(
            f"the image needs a wheel of {source}, which is what runs here, and {sys.executable} has no pip to make "
            f"it. {_REMEDY}"
        )
    sys.stderr.write(f"Making a wheel of {source}, which is what runs here\n")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--disable-pip-version-check", "--wheel-dir"]
    done = subprocess.run(
        [*command, str(folder), requirement],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    made = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not made:
        lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip()][-_LAST_LINES:]
        raise StartupError(
            f"pip has made no wheel of {source}: exit code {done.returncode}. {_REMEDY}. Its last lines:\n  "
            + "\n  ".join(lines)
        )
    return made[0]
