"""``drum-litestar hook status|enable|disable``."""

from __future__ import annotations

import argparse
import os
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

from drum_litestar.drum_hook.decision import SWITCH, hook_enabled
from drum_litestar.errors import StartupError

PTH_NAME = "drum_litestar_hook.pth"
DISABLED = "# drum-litestar's hook is disabled; 'drum-litestar hook enable' writes it anew\n"


def add_parser(subparsers: Any) -> None:
    """Add the ``hook`` sub-command."""
    parser = subparsers.add_parser(
        "hook",
        help="let `drum server` run this backend",
        description=f"With the hook enabled, `drum server` runs this backend when the runtime parameter DRUM_SERVER_TYPE "
        f"is litestar, fastapi or uvicorn. The environment variable {SWITCH}=0 switches it off for one process.",
    )
    parser.add_argument("action", choices=["status", "enable", "disable"])


def run(args: argparse.Namespace) -> int:
    """Exit code 0; 1 from ``status`` when the hook is not in force."""
    path = pth_path()
    if args.action == "status":
        print(status(path))
        return 0 if installed(path) and hook_enabled() else 1
    content = _source().read_text(encoding="utf-8") if args.action == "enable" else DISABLED
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise StartupError(f"cannot write {path}: {error.strerror}. Run as the owner of this environment.") from error
    print(status(path))
    return 0


def pth_path() -> Path:
    """Where this environment's site module reads the line."""
    return Path(sysconfig.get_path("purelib")) / PTH_NAME


def installed(path: Path) -> bool:
    """The line at ``path`` is the one of this version."""
    return path.is_file() and path.read_text(encoding="utf-8") == _source().read_text(encoding="utf-8")


def status(path: Path) -> str:
    """One line: whether `drum server` can choose this backend, and if not, why."""
    if os.environ.get(SWITCH) is not None and not hook_enabled():
        return f"disabled by {SWITCH}={os.environ[SWITCH]}"
    if not path.is_file():
        return f"not installed ({path} is missing; 'drum-litestar hook enable' writes it)"
    if not installed(path):
        return f"disabled ({path}; 'drum-litestar hook enable' writes it anew)"
    try:
        version = metadata.version("datarobot-drum")
    except metadata.PackageNotFoundError:
        return f"enabled ({path}), but datarobot-drum is not installed: use 'drum-litestar server'"
    return f"enabled ({path}), for datarobot-drum {version}"


def _source() -> Path:
    return Path(__file__).with_name(PTH_NAME)
