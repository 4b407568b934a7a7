"""``drum-litestar settings``: prints the resolved settings and the source of each value."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from drum_litestar.cli.argument_parser import HelpFormatter, Parser
from drum_litestar.cli.environment_arguments import environment_tokens
from drum_litestar.cli.server_arguments import add_setting_arguments
from drum_litestar.launcher.plan import resolve_settings
from drum_litestar.settings.masking import masked
from drum_litestar.settings.resolve import Resolved, as_document, shown_value

OPTIONS = ("--code-dir", "--address", "--max-workers", "--runtime-params-file")
"""Its options that environment variables can replace."""

DESCRIPTION = """\
Print every setting of the server: its name, its value and the source of the value (command line, runtime parameter,
environment variable or default). Secrets are masked. Warnings go to standard error.
"""
EPILOG = """\
examples:
  every setting with its value and where that came from; with --describe, also what it means and may be
    %(prog)s --describe

  what a setting becomes, before a server is started with it
    DRUM_CLIENT_REQUEST_TIMEOUT=30 %(prog)s --code-dir ./model | grep TIMEOUT
"""


def add_parser(subparsers: Any) -> None:
    """Add ``settings`` to the sub-commands."""
    parser = subparsers.add_parser("settings", **_parser_options())
    _add_arguments(parser)


def expand(prog: str, argv: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Tokens that environment variables add to ``argv``."""
    parser = Parser(prog=prog, **_parser_options())
    _add_arguments(parser)
    return environment_tokens(parser, argv, environ, OPTIONS)


def run(args: argparse.Namespace) -> int:
    """Print the table. Raises SettingsError whenever the server would."""
    resolution = resolve_settings(args, args.environ)
    for notice in resolution.notices:
        print(masked(notice.text), file=sys.stderr)
    if args.json:
        print(json.dumps([as_document(item) for item in resolution.values], indent=2))
    else:
        print(_table(resolution.values, describe=args.describe))
    return 0


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--describe", action="store_true", help="add the meaning, the range and other names of each")
    parser.add_argument("--show-stacktrace", action="store_true", help="show the traceback of an error")
    add_setting_arguments(parser, required=False)


def _parser_options() -> dict[str, Any]:
    return {"description": DESCRIPTION, "epilog": EPILOG, "formatter_class": HelpFormatter}


def _table(values: Sequence[Resolved], *, describe: bool) -> str:
    rows = [(item.setting.option.name, shown_value(item.setting, item.value), item.source) for item in values]
    widths = [max(len(row[column]) for row in (*rows, ("NAME", "VALUE", ""))) for column in (0, 1)]
    lines = [f"{'NAME':<{widths[0]}}  {'VALUE':<{widths[1]}}  SOURCE"]
    for row, item in zip(rows, values, strict=True):
        lines.append(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}")
        if describe:
            option = item.setting.option
            lines.append(f"    {option.doc} (allowed: {item.setting.allowed()})")
            lines += [f"    also: {', '.join(option.aliases)}"] if option.aliases else []
            lines += [f"    deprecated: {', '.join(option.old)}"] if option.old else []
    return "\n".join(lines)
