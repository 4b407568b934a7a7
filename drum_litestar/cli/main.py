"""Entry point of the command line: parses, runs the sub-command, turns start-up errors into a line and an exit code.

Heavy modules are imported after parsing, so that ``--help`` and a mistyped option answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import MutableMapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from drum_litestar import __version__
from drum_litestar.cli.argument_parser import HelpFormatter, Parser
from drum_litestar.cli.argument_types import OWN_SHELL, SHELLS, Choice
from drum_litestar.errors import StartupError
from drum_litestar.settings.masking import masked, set_secrets


class Command(NamedTuple):
    """A sub-command. Its module, imported only when the command is given, has

    - ``add_parser(subparsers) -> None``
    - ``run(args) -> int``, the exit code; ``args`` also has ``environ`` and ``argv``
    - optionally ``expand(prog, argv, environ) -> list[str]``: tokens that environment variables add
    """

    name: str
    module: str
    summary: str


INTERRUPTED = 130
"""Exit code after Ctrl+C, as a shell reports it."""

COMMANDS = (
    Command("server", "drum_litestar.cli.server_command", "serve a model folder over HTTP"),
    Command("new", "drum_litestar.tools.new.new_command", "make a model folder that serves as it is"),
    Command("predict", "drum_litestar.tools.predict.predict_command", "score a file without a server"),
    Command("settings", "drum_litestar.cli.settings_command", "show every setting and its source"),
    Command("check", "drum_litestar.tools.check_command", "report what this environment will do with a model folder"),
    Command(
        "compare", "drum_litestar.tools.compare.compare_command", "is it safe to switch from one server to another?"
    ),
    Command(
        "conformance",
        "drum_litestar.tools.conformance.conformance_command",
        "does a server keep the Open Inference Protocol?",
    ),
    Command("build", "drum_litestar.tools.image.build_command", "build an image of a model folder and this server"),
    Command("hook", "drum_litestar.drum_hook.hook_command", "make `drum server` run this backend"),
)

DESCRIPTION = "Serve DataRobot custom models: DRUM's HTTP API on Litestar."
EPILOG = """\
examples:
  make a model folder, check it, serve it
    %(prog)s new model ./prices --target-type regression
    %(prog)s check --code-dir ./prices --load
    %(prog)s server --code-dir ./prices --address 127.0.0.1:8080

  %(prog)s COMMAND --help    explains a command, with examples
"""


def main(argv: Sequence[str] | None = None, prog: str = "drum-litestar") -> int:
    """Run the command line and return the exit code: 0, 1 (cannot start), 2 (bad arguments or settings) or the
    server's own. ``prog`` is the program's name in messages: ``drum`` when the hook calls."""
    args: argparse.Namespace | None = None
    open_standard_streams()
    words = sys.argv[1:] if argv is None else argv
    set_secrets(words, os.environ)
    try:
        args = parse(words, os.environ, prog)
        code: int = args.module.run(args)
    except SystemExit as stop:  # argparse has printed its message
        return _exit_code(stop)
    except StartupError as error:
        if getattr(args, "show_stacktrace", False):
            _print_traceback()
        print(f"{prog}: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # before the server handles it, or in another command
        new_line = "\n" if sys.stderr.isatty() else ""  # after the ^C that the terminal has echoed
        print(f"{new_line}{prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception:  # a bug: print Python's traceback with secrets masked
        _print_traceback()
        return 1
    return code


def open_standard_streams() -> None:
    """Put the null device where the process was started without a standard stream (``>&-``).

    Else the next file or socket would get the stream's number, and what a library prints, and ``sys.stdout`` and
    ``sys.stderr`` would be None.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:  # the lowest free number is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: PTH123, SIM115


def parse(argv: Sequence[str], environ: MutableMapping[str, str], prog: str) -> argparse.Namespace:
    """Parse, with environment variables for missing options. Raises SystemExit or UsageError."""
    name = argv[0] if argv else None
    command = next((command for command in COMMANDS if command.name == name), None)
    module: Any = import_module(command.module) if command else None
    root = root_parser(prog, command)
    if not argv:
        root.print_help()
        raise SystemExit(1)
    root.refuse_unknown(argv)
    tokens: list[str] = []
    if command is not None and hasattr(module, "expand"):
        tokens = module.expand(f"{prog} {command.name}", argv[1:], environ)
    args = root.parse_args([*argv, *tokens])
    if module is None:  # one of the options that stand for a command
        module = import_module("drum_litestar.cli.completion")
        args.root = root_parser(prog, *COMMANDS)
    args.module = module
    args.environ = environ
    args.argv = (sys.argv[0], *argv)
    args.from_environment = frozenset(token.partition("=")[0] for token in tokens)
    return args


def root_parser(prog: str, *commands: Command | None) -> Parser:
    """The parser of the whole command line. Only ``commands`` have their arguments, and their modules are imported."""
    root = Parser(prog=prog, description=DESCRIPTION, epilog=EPILOG, formatter_class=HelpFormatter)
    root.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    for option, what in (("--install-completion", "install"), ("--show-completion", "print")):
        text = f"{what} the completion of commands and options for bash, zsh or fish (default: your shell)"
        root.add_argument(option, metavar="SHELL", nargs="?", const=OWN_SHELL, type=Choice(*SHELLS), help=text)
    subparsers = root.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in COMMANDS:
        if command in commands:
            module: Any = import_module(command.module)
            module.add_parser(subparsers)
            root.summaries[command.name] = command.summary
        else:
            subparsers.add_parser(command.name, help=command.summary)
    return root


def _print_traceback() -> None:
    import traceback

    sys.stderr.write(masked(traceback.format_exc()))


def _exit_code(stop: SystemExit) -> int:
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code
    print(masked(str(stop.code)), file=sys.stderr)
    return 1
