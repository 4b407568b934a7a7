"""``drum-litestar compare``: checks the options, runs one mode, writes the reports, returns the exit code."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, Final

from drum_litestar.cli.argument_parser import HelpFormatter
from drum_litestar.errors import StartupError, UsageError
from drum_litestar.extras import require
from drum_litestar.tools.compare.arguments import DESCRIPTION, EPILOG, add_arguments

FEATURE: Final = "drum-litestar compare"


def add_parser(subparsers: Any) -> None:
    """Add ``compare`` to the sub-commands."""
    parser = subparsers.add_parser("compare", description=DESCRIPTION, epilog=EPILOG, formatter_class=HelpFormatter)
    add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Return 0 for a pass, 1 for a broken threshold or an incomplete rollout.

    Raises:
        StartupError: the comparison could not be made; always with exit code 2, because 1 is a verdict.
    """
    try:
        _check(args)
        # These modules need heavy libraries of an extra, so they are imported here.
        require("httpx", FEATURE, "compare")
        require("rich", FEATURE, "compare")
        if args.html:
            require("matplotlib", f"{FEATURE} --html", "compare")
        from drum_litestar.tools.compare import modes

        return asyncio.run(modes.run(args))
    except StartupError as error:
        error.exit_code = 2
        raise
    except KeyboardInterrupt:
        raise UsageError("interrupted before the end: no verdict") from None


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError for options that need or exclude each other."""
    if args.candidate is None and args.record is None:
        raise UsageError("--candidate is missing: the URL of the server to compare with --baseline.")
    if (
        args.candidate == args.baseline and args.corpus is None
    ):  # a replay shows how much one server differs from itself
        raise UsageError("--candidate and --baseline are the same URL: name two servers.")
    if args.candidate is not None and args.record is not None:
        raise UsageError("--record stands in front of the baseline alone: leave --candidate out.")
    if args.canary and (args.duration is not None or args.max_requests is not None):
        raise UsageError(
            "--duration and --max-requests end --record and --shadow; a canary ends with --exit-when-done."
        )
    for option in ("json", "junit", "html"):
        path = getattr(args, option)
        if path is not None and args.record is not None:
            raise UsageError(f"--{option}: --record compares nothing, there is no report. Leave it out.")
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"--{option} {path}: its folder does not exist. Create it, or name another.")
