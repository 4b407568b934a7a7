"""Launch plans as the command line makes them."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

from drum_litestar.cli import server_command
from drum_litestar.cli.main import parse
from drum_litestar.launcher.plan import LaunchPlan


def build_plan(argv: Sequence[str], environ: MutableMapping[str, str]) -> LaunchPlan:
    """Make the plan of ``main(argv)`` for ``["server", ...]``.

    Raises StartupError, or SystemExit after argparse's message.
    """
    return server_command.plan(parse(argv, environ, "drum-litestar"))
