"""``drum-litestar check``: what this environment will do with a model folder, before anything is served."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from drum_litestar.errors import StartupError
from drum_litestar.launcher import server_command
from drum_litestar.launcher.arguments import add_server_arguments
from drum_litestar.launcher.help import HelpFormatter
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.tools import environment_checks, folder_checks
from drum_litestar.tools.findings import BLOCKING, Finding

DESCRIPTION = """\
Say what this environment will do: Python, the event loop, Pydantic, datarobot-drum, limits, known conflicts; and, with
the options of `server`, which predictor will run that model folder. Exit code 1 when something prevents serving.
"""
NO_FOLDER = "."
STYLES = {"ok": "green", "info": "cyan", "warning": "yellow", BLOCKING: "bold red"}


def add_parser(subparsers: Any) -> None:
    """Add ``check`` to the sub-commands."""
    parser = subparsers.add_parser("check", **_parser_options())
    _add_arguments(parser)
    parser.set_defaults(parser=parser)


def expand(prog: str, argv: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Tokens that environment variables add to ``argv``, as they do for ``server``."""
    parser = argparse.ArgumentParser(prog=prog, **_parser_options())
    _add_arguments(parser)
    return server_command.environment_options(parser, argv, environ)


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 when one of them is blocking."""
    findings = collect(args)
    if args.json:
        print(json.dumps(_as_dict(findings), indent=2))
    elif sys.stdout.isatty():
        _print_rich(findings)
    else:
        print(_plain(findings))
    return 1 if any(finding.level == BLOCKING for finding in findings) else 0


def collect(args: argparse.Namespace) -> list[Finding]:
    """All findings about this environment, and about the model folder when one is given."""
    code_dir: str | None = args.code_dir
    drum = environment_checks.drum_state()
    plan, faults = _plan(args)
    wish = plan.settings.loop.kind if plan is not None else "auto"
    findings = [
        environment_checks.python(),
        environment_checks.event_loop(wish),
        *environment_checks.own_requirements(),
        *environment_checks.pydantic(),
        environment_checks.drum(drum),
        environment_checks.hook(drum),
        environment_checks.memory(),
        environment_checks.cpu(),
        *environment_checks.conflicts(),
        *faults,
    ]
    if plan is not None and code_dir is not None:
        findings += [
            *folder_checks.predictor(plan.spec, plan.predictor, drum),
            *folder_checks.extensions(code_dir, drum),
        ]
        if drum.version is not None:  # else there is no such command
            findings.append(folder_checks.drum_server(args.argv[2:], args.environ))
    return findings


def _plan(args: argparse.Namespace) -> tuple[LaunchPlan | None, list[Finding]]:
    """What `server` would start with, and what it would complain about. The environment is left as it is."""
    args = argparse.Namespace(**vars(args))
    args.environ = dict(args.environ)
    args.address = args.address or "127.0.0.1:8080"
    args.code_dir = args.code_dir or NO_FOLDER
    try:
        plan = server_command.plan(args)
    except StartupError as error:
        return None, [Finding("settings", BLOCKING, str(error))]
    except SystemExit as stop:
        return None, [Finding("settings", BLOCKING, "the options do not go together")] if stop.code else []
    import logging

    loop = environment_checks.event_loop(plan.settings.loop.kind).text
    return plan, [
        Finding("settings", "warning", notice.text)
        for notice in plan.notices
        if notice.level >= logging.WARNING and notice.text not in loop
    ]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_server_arguments(parser, required=False)


def _parser_options() -> dict[str, Any]:
    return {
        "usage": "%(prog)s [-cd CODE_DIR] [--json] [options of server]",
        "description": DESCRIPTION,
        "formatter_class": HelpFormatter,
    }


def _as_dict(findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "ok": all(finding.level != BLOCKING for finding in findings),
        "findings": [
            {"topic": finding.topic, "level": finding.level, "text": finding.text, **finding.facts}
            for finding in findings
        ],
    }


def _plain(findings: Sequence[Finding]) -> str:
    width = max(len(finding.topic) for finding in findings)
    return "\n".join(f"{each.level:<8}  {each.topic:<{width}}  {each.text}" for each in findings)


def _print_rich(findings: Sequence[Finding]) -> None:
    """In colour; in plain text where Litestar came without its terminal library."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        print(_plain(findings))
        return
    table = Table.grid(padding=(0, 2))
    for each in findings:
        table.add_row(Text(each.level, STYLES[each.level]), each.topic, Text(each.text))
    Console(no_color="NO_COLOR" in os.environ).print(table)
