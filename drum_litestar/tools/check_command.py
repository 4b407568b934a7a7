"""``drum-litestar check``: reports what this environment will do with a model folder, before it is served."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from drum_litestar.cli import server_command
from drum_litestar.cli.argument_parser import HelpFormatter, Parser
from drum_litestar.cli.argument_types import existing_file
from drum_litestar.cli.server_arguments import add_server_arguments
from drum_litestar.drum_hook.hook_command import HookStatus, hook_status, pth_path
from drum_litestar.errors import StartupError, UsageError
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.launcher.predictor_choice import unreadable
from drum_litestar.launcher.worker_interpreter import WorkerPython, probe_configured
from drum_litestar.settings.masking import masked
from drum_litestar.tools import environment_checks, folder_checks
from drum_litestar.tools.findings import BLOCKING, Finding

DESCRIPTION = """\
Report what this environment will do: Python, the event loop, Pydantic, datarobot-drum, limits, known conflicts; and,
with the options of `server`, which predictor will run that model folder, and what `server` would refuse before it loads
the model. With --load, it loads the model in a worker, as `server` would, and asks it for one row. The last line says
what was not checked. Exit code 1 when something prevents serving.
"""
EPILOG = """\
examples:
  the environment alone, and with a model folder
    %(prog)s
    %(prog)s -cd ./model --target-type regression

  load the model too, and try the first row of a file (without --row: a row made up from what the model was fitted with)
    %(prog)s -cd ./model --target-type regression --load --row data.csv

  for a pipeline: the findings as JSON, exit code 1 when something prevents serving
    %(prog)s -cd ./model --json
"""
NOT_LOADED = (
    "custom.py and custom_litestar.py are not imported, no model is loaded, nothing is downloaded, no other service is "
    "asked: --load loads the model in a worker and tries one row"
)
LOADED = "other rows than the one tried, requests at the same time, memory under load, custom_litestar.py"
NOT_REACHED = "nothing further, because of what is marked as blocking"
NO_FOLDER = "."
STYLES = {"ok": "green", "info": "cyan", "warning": "yellow", BLOCKING: "bold red"}


def add_parser(subparsers: Any) -> None:
    """Add ``check`` to the sub-commands."""
    parser = subparsers.add_parser("check", **_parser_options())
    _add_arguments(parser)
    parser.set_defaults(parser=parser)


def expand(prog: str, argv: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Tokens that environment variables add to ``argv``, as they do for ``server``."""
    parser = Parser(prog=prog, **_parser_options())
    _add_arguments(parser)
    return server_command.environment_options(parser, argv, environ)


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 when one of them is blocking. Raises UsageError."""
    if args.load and args.code_dir is None:
        raise UsageError("--load needs the model folder: name it with --code-dir")
    if args.row is not None and not args.load:
        raise UsageError("--row needs --load, which tries the row")
    findings = collect(args)
    if args.json:
        print(json.dumps(_as_dict(findings), indent=2))
    elif sys.stdout.isatty():
        _print_rich(findings)
    else:
        print(_plain(findings))
    return 1 if _blocked(findings) else 0


def collect(args: argparse.Namespace) -> list[Finding]:
    """All findings about this environment, and about the model folder when one is given."""
    code_dir: str | None = args.code_dir
    drum, hook = environment_checks.drum_state(), hook_status(pth_path())
    plan, faults = _plan(args)
    requested = plan.settings.loop.kind if plan is not None else "auto"
    own = list(environment_checks.own_requirements())
    python, about_python = _worker_python(plan)
    findings = [
        environment_checks.python(),
        environment_checks.event_loop(requested),
        *own,
        *environment_checks.modules(),
        *environment_checks.pydantic(),
        environment_checks.drum(drum),
        environment_checks.hook(hook, drum),
        environment_checks.memory(),
        environment_checks.cpu(),
        *environment_checks.conflicts(),
        *about_python,
        *faults,
    ]
    if plan is not None and not _blocked(own):  # else the server's modules cannot be imported
        findings += [*_store(plan), *_reload(plan)]
    if plan is not None and code_dir is not None:
        findings += _folder(plan, code_dir, drum, hook, args, None if _blocked(about_python) else python)
    return [*findings, *_load(args, blocked=_blocked(findings))]


def _load(args: argparse.Namespace, *, blocked: bool) -> list[Finding]:
    """What loading the model finds, if that is asked for, and what was not checked."""
    if args.code_dir is None or not args.load:
        return [Finding("not checked", "info", NOT_LOADED)]
    if blocked:
        return [Finding("not checked", "info", NOT_REACHED)]
    from drum_litestar.tools import load_checks

    args = argparse.Namespace(**vars(args))
    if args.logging_level == "warning":
        args.logging_level = "critical"  # the findings say it
    with contextlib.redirect_stdout(sys.stderr):
        found = load_checks.load(server_command.plan_without_server(args), args.row)
    return [*found, Finding("not checked", "info", NOT_REACHED if _blocked(found) else LOADED)]


def _worker_python(plan: LaunchPlan | None) -> tuple[WorkerPython | None, list[Finding]]:
    """The workers' own interpreter, where the settings name one, and the findings about it."""
    try:
        python = None if plan is None else probe_configured(plan.settings.workers)
    except StartupError as error:
        return None, [Finding("worker python", BLOCKING, str(error))]
    return python, [] if python is None else list(environment_checks.worker_python(python))


def _folder(
    plan: LaunchPlan,
    code_dir: str,
    drum: environment_checks.DrumState,
    hook: HookStatus,
    args: argparse.Namespace,
    python: WorkerPython | None,
) -> list[Finding]:
    """Findings about the model folder; when it cannot be read, those up to that point and the error."""
    findings: list[Finding] = []
    try:
        workers_drum = drum if python is None else environment_checks.drum_state(python)
        findings.extend(folder_checks.predictor(plan.spec, plan.predictor, workers_drum, python))
        findings.extend(folder_checks.extensions(code_dir, drum))
        if drum.version is not None:  # else there is no such command
            findings.append(folder_checks.drum_server(args.argv[2:], args.environ, hook, drum))
    except OSError as error:
        findings.append(Finding("folder", BLOCKING, str(unreadable(code_dir, error))))
    return findings


def _store(plan: LaunchPlan) -> list[Finding]:
    """Findings about the rate limit's shared store, without connecting to it."""
    limit = plan.settings.rate_limit
    if not (limit.enabled and limit.store):
        return []
    from drum_litestar.launcher.shared_store import RedisRateLimitStore

    try:
        RedisRateLimitStore(limit.store)
    except (StartupError, ImportError) as error:
        return [Finding("settings", BLOCKING, str(error))]
    return []


def _reload(plan: LaunchPlan) -> list[Finding]:
    """Findings about ``--reload``."""
    if not plan.settings.model.reload:
        return []
    from drum_litestar.launcher.reloading.folder_watch import notifications

    try:
        notifications()
    except StartupError as error:
        return [Finding("settings", BLOCKING, str(error))]
    return []


def _plan(args: argparse.Namespace) -> tuple[LaunchPlan | None, list[Finding]]:
    """The plan of `server`, and findings about its settings. The environment is not changed."""
    args = argparse.Namespace(**vars(args))
    args.environ = dict(args.environ)
    args.address = args.address or "127.0.0.1:8080"
    args.code_dir = args.code_dir or NO_FOLDER
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where `server` prints help: it is not part of this report
            plan = server_command.plan(args)
    except StartupError as error:
        return None, [Finding("settings", BLOCKING, str(error))]
    except SystemExit as stop:
        return None, [Finding("settings", BLOCKING, "the options do not go together")] if stop.code else []
    import logging

    loop = environment_checks.event_loop(plan.settings.loop.kind).text
    return plan, [
        Finding("settings", "warning", masked(notice.text))
        for notice in plan.notices
        if notice.level >= logging.WARNING and notice.text not in loop
    ]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--load", action="store_true", help="load the model in a worker and try one row")
    parser.add_argument(
        "--row", metavar="FILE", type=existing_file, help="with --load: the file whose first row is tried"
    )
    add_server_arguments(parser, required=False)


def _parser_options() -> dict[str, Any]:
    return {
        "usage": "%(prog)s [-cd CODE_DIR] [--json] [options of server]",
        "description": DESCRIPTION,
        "epilog": EPILOG,
        "formatter_class": HelpFormatter,
    }


def _as_dict(findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "ok": not _blocked(findings),
        "findings": [
            {"topic": finding.topic, "level": finding.level, "text": finding.text, **finding.facts}
            for finding in findings
        ],
    }


def _blocked(findings: Sequence[Finding]) -> bool:
    return any(finding.level == BLOCKING for finding in findings)


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
