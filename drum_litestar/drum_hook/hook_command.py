"""``drum-litestar hook status|enable|disable``."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import site
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from drum_litestar.cli.argument_parser import HelpFormatter
from drum_litestar.drum_hook.decision import SWITCH, hook_enabled
from drum_litestar.errors import StartupError, UsageError

DISTRIBUTION = "drum-litestar"
PTH_NAME = "drum_litestar_hook.pth"
COMMENT = "# disabled by drum-litestar: "
DEFAULT = {False: "default=False", True: "default=True"}
"""The words in the line that decide whether this backend is the default of ``drum server``. Lines of other versions
have neither."""


class HookStatus(NamedTuple):
    """Whether ``drum server`` can choose this backend, the reason as one line, and whether this backend is the
    default."""

    active: bool
    text: str
    default: bool = False


DESCRIPTION = f"""\
With the hook enabled, `drum server` runs this backend when the runtime parameter DRUM_SERVER_TYPE is litestar, fastapi
or uvicorn; after `enable --default` also when there is no server type, and only gunicorn, werkzeug and flask choose
DRUM's own. The environment variable {SWITCH}=0 switches the hook off for one process. What `enable` and `disable` do
lasts until the package is installed again; `disable` keeps the default for the next `enable`.
"""
EPILOG = """\
examples:
  whether `drum server` can run this backend here
    %(prog)s status

  make it the default of `drum server` in this environment, and undo that
    %(prog)s enable --default
    %(prog)s enable --no-default
"""


def add_parser(subparsers: Any) -> None:
    """Add the ``hook`` sub-command."""
    parser = subparsers.add_parser(
        "hook",
        help="make `drum server` run this backend",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("action", choices=["status", "enable", "disable"])
    parser.add_argument(
        "--default",
        action=argparse.BooleanOptionalAction,
        help="with `enable`: make this backend the default of `drum server` in this environment, or undo that",
    )


def run(args: argparse.Namespace) -> int:
    """Return exit code 0, or 1 from ``status`` when the hook is inactive. Raises StartupError when switching fails."""
    if args.default is not None and args.action != "enable":
        raise UsageError("--default and --no-default go with 'hook enable'")
    path = pth_path()
    if args.action == "status":
        status = hook_status(path)
        print(status.text)
        return 0 if status.active else 1
    enable = args.action == "enable"
    default = switch(path, enable=enable, default=args.default)
    print(f"{args.action}d ({path})" + (f"; {_default_text(default)}" if enable else ""))
    return 0


def switch(path: Path, *, enable: bool, default: bool | None = None) -> bool:
    """Turn the line at ``path`` into code or a comment; ``default`` None keeps the default.

    Returns the default. Raises StartupError when the line is missing, not writable, or of a version without
    ``default``.
    """
    try:
        line = path.read_text(encoding="utf-8")
        if default is not None and not _has_default(line):
            raise StartupError(f"{path} is outdated: it is not the line of this version. {_remedy()}")
        default = _is_default(line) if default is None else default
        code = line.removeprefix(COMMENT).replace(DEFAULT[not default], DEFAULT[default])
        wanted = code if enable else COMMENT + code
        if line != wanted:
            # A new file: some installers hard-link a package's files into every environment.
            new = path.with_suffix(".new")
            new.write_text(wanted, encoding="utf-8")
            shutil.copymode(path, new)
            new.replace(path)
    except FileNotFoundError as error:
        raise StartupError(f"{path} is missing. {_remedy()}") from error
    except OSError as error:
        raise StartupError(f"cannot write {path}: {error.strerror}. Run as the owner of this environment.") from error
    return default


def pth_path() -> Path:
    """Path of the installed line, beside the package's metadata in the user's site or the system's."""
    try:
        return Path(str(metadata.distribution(DISTRIBUTION).locate_file(PTH_NAME)))
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return Path(sysconfig.get_path("purelib")) / PTH_NAME


def hook_status(path: Path) -> HookStatus:
    """State of the line at ``path`` in this process."""
    if not hook_enabled():
        return HookStatus(False, f"disabled by {SWITCH}={os.environ[SWITCH]}")
    try:
        line = path.read_text(encoding="utf-8")
    except OSError:
        return HookStatus(False, f"not installed ({path} is missing). {_remedy()}")
    default = _is_default(line)
    if line.startswith(COMMENT):
        kept = ", as the default of `drum server`" if default else ""
        return HookStatus(False, f"disabled ({path}; 'drum-litestar hook enable' switches it on{kept})")
    if not any(getattr(finder, "name", None) == "drum_litestar_hook" for finder in sys.meta_path):
        return HookStatus(False, f"not in force: {_inactive_reason(path, line)}")
    try:
        version = metadata.version("datarobot-drum")
    except metadata.PackageNotFoundError:
        text = f"enabled ({path}), but datarobot-drum is not installed: use 'drum-litestar server'"
        return HookStatus(True, text, default)
    return HookStatus(True, f"enabled ({path}), for datarobot-drum {version}; {_default_text(default)}", default)


def _default_text(default: bool) -> str:
    server = "this backend" if default else "DRUM's own server"
    return f"default: without DRUM_SERVER_TYPE `drum server` runs {server}"


def _is_default(line: str) -> bool:
    return DEFAULT[True] in line


def _has_default(line: str) -> bool:
    return any(words in line for words in DEFAULT.values())


def _inactive_reason(path: Path, line: str) -> str:
    """Reason why ``line``, at ``path``, has not added its finder to this process."""
    if not _is_site_directory(path.parent):
        return f"Python has not read {path}, which is in no site directory of its own"
    if not _has_default(line):
        return f"{path} is outdated: it is not the line of this version. {_remedy()}"
    return f"{path} is there, but Python was started without it (-S), or its line failed: 'python -c pass' says how"


def _is_site_directory(folder: Path) -> bool:
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return any(folder.resolve() == Path(known).resolve() for known in folders)


def _remedy() -> str:
    """Text with the command that reinstalls the line from the package's source."""
    options, source = _origin()
    return f"Bring it back with: pip install {options} --no-deps {shlex.quote(source)}"


def _origin() -> tuple[str, str]:
    """pip's option for a reinstallation, and what to install: a checkout, a file, or the package's name."""
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
