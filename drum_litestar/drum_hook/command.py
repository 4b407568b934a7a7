"""``drum-litestar hook status|enable|disable``."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import site
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from drum_litestar.drum_hook.decision import SWITCH, hook_enabled
from drum_litestar.errors import StartupError

DISTRIBUTION = "drum-litestar"
PTH_NAME = "drum_litestar_hook.pth"
COMMENT = "# disabled by drum-litestar: "


class HookStatus(NamedTuple):
    """Whether ``drum server`` can choose this backend, and one line that says why or why not."""

    active: bool
    text: str


def add_parser(subparsers: Any) -> None:
    """Add the ``hook`` sub-command."""
    parser = subparsers.add_parser(
        "hook",
        help="let `drum server` run this backend",
        description="With the hook enabled, `drum server` runs this backend when the runtime parameter "
        f"DRUM_SERVER_TYPE is litestar, fastapi or uvicorn. The environment variable {SWITCH}=0 switches it off for "
        "one process. What `disable` does lasts until the package is installed again.",
    )
    parser.add_argument("action", choices=["status", "enable", "disable"])


def run(args: argparse.Namespace) -> int:
    """Exit code 0; 1 from ``status`` when the hook is not in force. Raises StartupError when it cannot be switched."""
    path = pth_path()
    if args.action == "status":
        status = hook_status(path)
        print(status.text)
        return 0 if status.active else 1
    switch(path, enable=args.action == "enable")
    print(f"{args.action}d ({path})")
    return 0


def switch(path: Path, *, enable: bool) -> None:
    """Make the line at ``path`` a comment, or code again. Raises StartupError when it is missing or not writable."""
    try:
        line = path.read_text(encoding="utf-8")
        if line.startswith(COMMENT) == enable:
            # A new file: some installers hard-link a package's files into every environment.
            new = path.with_suffix(".new")
            new.write_text(line[len(COMMENT) :] if enable else COMMENT + line, encoding="utf-8")
            new.replace(path)
    except FileNotFoundError as error:
        raise StartupError(f"{path} is missing. {_remedy()}") from error
    except OSError as error:
        raise StartupError(f"cannot write {path}: {error.strerror}. Run as the owner of this environment.") from error


def pth_path() -> Path:
    """Where the package's installer put the line: beside the package's metadata, in the user's site or the system's."""
    try:
        return Path(str(metadata.distribution(DISTRIBUTION).locate_file(PTH_NAME)))
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return Path(sysconfig.get_path("purelib")) / PTH_NAME


def hook_status(path: Path) -> HookStatus:
    """The state of the line at ``path``, as this process was started with it."""
    if not hook_enabled():
        return HookStatus(False, f"disabled by {SWITCH}={os.environ[SWITCH]}")
    try:
        line = path.read_text(encoding="utf-8")
    except OSError:
        return HookStatus(False, f"not installed ({path} is missing). {_remedy()}")
    if line.startswith(COMMENT):
        return HookStatus(False, f"disabled ({path}; 'drum-litestar hook enable' switches it on)")
    if not any(getattr(finder, "name", None) == "drum_litestar_hook" for finder in sys.meta_path):
        return HookStatus(False, f"not in force: {_why_not(path, line)}")
    try:
        version = metadata.version("datarobot-drum")
    except metadata.PackageNotFoundError:
        return HookStatus(True, f"enabled ({path}), but datarobot-drum is not installed: use 'drum-litestar server'")
    return HookStatus(True, f"enabled ({path}), for datarobot-drum {version}")


def _why_not(path: Path, line: str) -> str:
    """Why Python has not the finder that ``line``, which is at ``path``, should have given it."""
    if not _is_site_directory(path.parent):
        return f"Python has not read {path}, which is in no site directory of its own"
    if line != _own_line():
        return f"{path} is outdated: it is not the line of this version. {_remedy()}"
    return f"{path} is there, but Python was started without it (-S), or its line failed: 'python -c pass' says how"


def _is_site_directory(folder: Path) -> bool:
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return any(folder.resolve() == Path(known).resolve() for known in folders)


def _own_line() -> str:
    """The line as this version has it."""
    return Path(__file__).with_name(PTH_NAME).read_text(encoding="utf-8")


def _remedy() -> str:
    """The command that installs the line anew, from where the package came from."""
    options, source = _origin()
    return f"Bring it back with: pip install {options} --no-deps {shlex.quote(source)}"


def _origin() -> tuple[str, str]:
    """pip's option for a new installation, and what to install: a checkout, a file, or the package's name."""
    try:
        origin = json.loads(metadata.distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
        url, folder = origin.get("url", ""), origin.get("dir_info")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        checkout = Path(__file__).resolve().parents[2]
        return "--force-reinstall", str(checkout) if (checkout / "pyproject.toml").is_file() else DISTRIBUTION
    except ValueError:
        return "--force-reinstall", DISTRIBUTION
    place = urlsplit(url)
    source = url2pathname(place.path) if place.scheme == "file" else DISTRIBUTION
    return "-e" if folder and folder.get("editable") else "--force-reinstall", source
