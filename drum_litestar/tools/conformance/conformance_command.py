"""``drum-litestar conformance``: reads the options, runs the cases against a server, writes the reports."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from drum_litestar.cli.argument_parser import HelpFormatter
from drum_litestar.errors import StartupError, UsageError
from drum_litestar.tools.compare.arguments import at_least, duration, header, url
from drum_litestar.tools.conformance.case import Case
from drum_litestar.tools.conformance.catalogue import CASES
from drum_litestar.tools.conformance.conformance_report import (
    ConformanceReport,
    json_report,
    junit_report,
    text_report,
)
from drum_litestar.tools.conformance.http_target import HttpTarget
from drum_litestar.tools.conformance.subject import Subject

DESCRIPTION: Final = """\
Does a server keep the Open Inference Protocol (V2) over HTTP, and the binary tensor extension? Sends valid, broken and
fuzzed requests to any server, whoever wrote it, and reports each case as pass, fail or not applicable.
Exit codes: 0 no rule of the specification or the extension is broken, 1 one is, 2 there is no verdict."""
EPILOG: Final = """\
examples:
  a server of this package, of Triton, MLServer, KServe, ...
    %(prog)s http://127.0.0.1:8080 --model prices

  a model whose metadata do not tell its inputs
    %(prog)s http://127.0.0.1:8080 --model prices --example request.json

  the binary extension alone, for continuous integration
    %(prog)s http://127.0.0.1:8080 --model prices --only 'binary/*' --junit conformance.xml
"""


def add_parser(subparsers: Any) -> None:
    """Add ``conformance`` to the sub-commands."""
    parser = subparsers.add_parser("conformance", description=DESCRIPTION, epilog=EPILOG, formatter_class=HelpFormatter)
    parser.add_argument("url", type=url, metavar="URL", help="the server, with a path prefix if it has one")
    parser.add_argument("--model", required=True, metavar="NAME", help="the model to ask")
    parser.add_argument(
        "--example", type=Path, metavar="FILE", help="a valid JSON request (default: made from the model's metadata)"
    )
    parser.add_argument("--only", metavar="PATTERN", default="*", help="cases to run, such as 'binary/*' (default all)")
    parser.add_argument(
        "--strict", action="store_true", help="what is recommended counts too: its failures make the exit code 1"
    )
    parser.add_argument("--seed", type=at_least(0), default=0, metavar="N", help="of the fuzzed bodies (default 0)")
    parser.add_argument(
        "--mutations", type=at_least(1), default=100, metavar="N", help="fuzzed bodies of each kind (default 100)"
    )
    parser.add_argument(
        "--header", action="append", type=header, default=[], metavar="'NAME: VALUE'",
        help="sent with each request; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=duration, default=10.0, metavar="TIME",
        help="longest wait for an answer, such as 500ms or 30s (default 10s)",
    )  # fmt: skip
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="trusted certificates for https, PEM (default: the system's)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the report as JUnit XML")


def run(args: argparse.Namespace) -> int:
    """Return 0 for a pass, 1 for a broken rule.

    Raises:
        StartupError: there is no verdict; always with exit code 2, because 1 is one.
    """
    try:
        cases = _chosen(args)
        target = HttpTarget(args.url, headers=args.header, timeout=args.timeout, ca_file=args.ca_file)
        with closing(target):
            report = _run(args, cases, target)
        print(text_report(report))
        for path, render in ((args.json, json_report), (args.junit, junit_report)):
            if path is not None:
                path.write_bytes(render(report))
    except StartupError as error:
        error.exit_code = 2
        raise
    except KeyboardInterrupt:
        raise UsageError("interrupted before the end: no verdict") from None
    return 0 if report.passed else 1


def _run(args: argparse.Namespace, cases: list[Case], target: HttpTarget) -> ConformanceReport:
    started, begun = datetime.now(timezone.utc), time.perf_counter()
    subject = Subject(target, args.model, example=_example(args.example), seed=args.seed, mutations=args.mutations)
    results = [case.run(subject) for case in cases]
    return ConformanceReport(
        url=args.url,
        model=args.model,
        server=subject.server,
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - begun,
        seed=args.seed,
        strict=args.strict,
        results=results,
    )


def _chosen(args: argparse.Namespace) -> list[Case]:
    """The cases to run. Raises UsageError, also for a report that could not be written."""
    for option in ("json", "junit"):
        path = getattr(args, option)
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"--{option} {path}: its folder does not exist. Create it, or name another.")
    cases = [case for case in CASES if fnmatchcase(case.name, args.only)]
    if not cases:
        groups = ", ".join(dict.fromkeys(case.name.partition("/")[0] for case in CASES))
        raise UsageError(f"--only {args.only}: no case has such a name. The groups are {groups}, as in 'binary/*'.")
    return cases


def _example(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        example = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"--example {path}: cannot be read: {error}") from error
    if not isinstance(example, dict):
        raise UsageError(f"--example {path}: not a JSON object with inputs.")
    return example
