"""``drum-litestar server``: serve a model folder."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from drum_litestar.cli.argument_checks import check_arguments
from drum_litestar.cli.argument_parser import HelpFormatter, Parser
from drum_litestar.cli.environment_arguments import FLAGS, TEXTS, environment_tokens
from drum_litestar.cli.server_arguments import add_server_arguments
from drum_litestar.errors import StartupError
from drum_litestar.launcher.plan import LaunchPlan, make_plan
from drum_litestar.server.init_process import become_init

DESCRIPTION = """\
Serve a model folder over DRUM's HTTP API: POST /predict/, /predictUnstructured/, /transform/, /chat/completions, ...
The port opens at once; while the model loads, probes answer 503 and calls of the model wait in the queue.
"""

EPILOG = """\
examples:
  serve a regression model and ask it for predictions
    %(prog)s -cd ./model --address 127.0.0.1:8080 --target-type regression
    curl -F X=@data.csv http://127.0.0.1:8080/predict/

  a binary model, four worker processes
    %(prog)s -cd ./model --address 0.0.0.0:8080 --target-type binary \\
        --positive-class-label yes --negative-class-label no --max-workers 4

  everything from the environment, as in a container
    CODE_DIR=/opt/model ADDRESS=0.0.0.0:8080 TARGET_TYPE=regression %(prog)s

An option on the command line has precedence over its environment variable. Timeouts, limits, TLS and others are
settings without an option, set by environment variables or runtime parameters (MLOPS_RUNTIME_PARAM_<NAME>):
  drum-litestar settings --describe      lists them all, with their values and sources
"""


def add_parser(subparsers: Any) -> None:
    """Add ``server`` to the sub-commands."""
    parser = subparsers.add_parser("server", **_parser_options())
    add_server_arguments(parser)
    parser.set_defaults(parser=parser)


def expand(prog: str, argv: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Tokens that environment variables add to ``argv`` (what follows the sub-command)."""
    parser = Parser(prog=prog, **_parser_options())
    add_server_arguments(parser, required=False)
    return environment_options(parser, argv, environ)


def environment_options(parser: Parser, argv: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Tokens of environment variables for any ``parser`` that has options of the server's and requires none.

    Exits with an error for a folder without the option that it needs.
    """
    _refuse_stray_folder(parser, argv)
    options = [option for option, _ in (*TEXTS, *FLAGS)]
    return environment_tokens(parser, argv, environ, [option for option in options if option in parser.options])


def _refuse_stray_folder(parser: Parser, argv: Sequence[str]) -> None:
    """argparse would miss what is required first, or only say that it does not know the word."""
    if "--code-dir" not in parser.options:
        return
    args, rest = parser.parse_known_args(list(argv))
    if args.code_dir is None and rest and Path(rest[0]).is_dir():
        parser.error(f"unrecognized arguments: {' '.join(rest)}; did you mean --code-dir {rest[0]}?")


def plan_without_server(args: argparse.Namespace) -> LaunchPlan:
    """The plan of a command that loads the model of ``args.code_dir`` but does not listen. Options of ``server`` that
    ``args`` lacks have their defaults. Raises as :func:`plan`."""
    parser = Parser(add_help=False)
    add_server_arguments(parser, required=False)
    merged = argparse.Namespace(**{**vars(parser.parse_args([])), **vars(args)})
    merged.address = merged.address or "127.0.0.1:8080"
    return plan(merged)


def plan(args: argparse.Namespace) -> LaunchPlan:
    """Check the options against each other and resolve the settings. Raises StartupError or SystemExit."""
    check_arguments(args)
    return make_plan(args, args.environ, args.argv)


def run(args: argparse.Namespace) -> int:
    """Serve until stopped; returns the exit code."""
    launch = plan(args)
    if launch.verbose:
        print("Detected REST server mode - this is an advanced option", flush=True)
    ended = become_init()
    if ended is not None:
        return ended
    code: int = _bootstrap().serve(launch)
    return code


def _bootstrap() -> ModuleType:
    """Import the composition root. Raises StartupError, with files that hide modules, when that fails."""
    try:
        return import_module("drum_litestar.launcher.bootstrap")
    except StartupError:
        raise
    except Exception as error:
        problem = f"the server cannot be imported: {type(error).__name__}: {error}"
        with contextlib.suppress(Exception):  # the hidden module may break this search too
            from drum_litestar.launcher.hidden_modules import hidden_modules

            problem = "; ".join([problem, *map(str, hidden_modules())])
        raise StartupError(problem) from error


def _parser_options() -> dict[str, Any]:
    return {
        "usage": "%(prog)s -cd CODE_DIR --address HOST[:PORT] [options]",
        "description": DESCRIPTION,
        "epilog": EPILOG,
        "formatter_class": HelpFormatter,
    }
