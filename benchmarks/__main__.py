"""``python -m benchmarks run | list | report DIR | compare A B``"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.servers.environments import ROOT
from benchmarks.workload.scenarios import UnknownNameError

QUICK = (2, 2.0)
FULL = (3, 3.0)
"""Rounds, seconds of a measurement."""


def main(argv: list[str] | None = None) -> int:
    """The exit code."""
    args = _parser().parse_args(argv)
    try:
        code: int = args.command(args)
    except UnknownNameError as unknown:
        print(f"unknown: {unknown}; `python -m benchmarks list` has the names", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="This server beside DRUM's and others.")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="measure, and write JSON, a report and plots")
    run.add_argument(
        "--quick", action="store_true", help="ridge and mixed in a closed loop on this server and DRUM: three minutes"
    )
    run.add_argument("--contenders", type=_names, help="comma list of names (`list` has them)")
    run.add_argument(
        "--scenarios", type=_names, help="list of names or their parts, separated by ';' or, without one, ','"
    )
    run.add_argument("--workers", type=lambda text: [int(n) for n in text.split(",")], help="scenarios with so many")
    run.add_argument("--rounds", type=int)
    run.add_argument("--seconds", type=float, help="length of one measurement")
    run.add_argument("--results", type=Path, help="folder to write (default: benchmarks/results/<date>)")
    run.add_argument(
        "--drum",
        type=Path,
        default=os.environ.get("DRUM_BENCH_DRUM"),
        help="an existing drum command; without it an environment is built (env: DRUM_BENCH_DRUM)",
    )
    run.set_defaults(command=_run)
    commands.add_parser("list", help="contenders and scenarios").set_defaults(command=_list)
    report = commands.add_parser("report", help="write report and plots again from result.json")
    report.add_argument("folder", type=Path)
    report.set_defaults(command=_report)
    compare = commands.add_parser("compare", help="what changed between two results")
    compare.add_argument("old", type=Path)
    compare.add_argument("new", type=Path)
    compare.set_defaults(command=_compare)
    return parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(";" if ";" in text else ",") if name.strip()]


def _run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from benchmarks import contenders
    from benchmarks.load import closed_loop as wrk
    from benchmarks.load import rolling_restart
    from benchmarks.report import write
    from benchmarks.runner.interleaved_run import Options, Run
    from benchmarks.runner.progress import Bar
    from benchmarks.workload import scenarios

    chosen = contenders.choose(args.contenders, quick=args.quick)
    asked = scenarios.choose(args.scenarios, quick=args.quick, workers=args.workers)
    if why := wrk.available():
        raise SystemExit(why)
    if any(scenario.kind == "rollout" for scenario in asked) and (why := rolling_restart.available()):
        raise SystemExit(why)
    rounds, seconds = QUICK if args.quick else FULL
    drum = _command(args.drum) if args.drum else None
    options = Options(args.rounds or rounds, args.seconds or seconds, drum)
    folder = args.results or ROOT / "benchmarks" / "results" / f"{datetime.now(timezone.utc):%Y-%m-%dT%H%M}"
    with Bar(Console(stderr=True), folder) as bar:
        run = Run(chosen, asked, options, bar)
        try:
            run.measure()
        except KeyboardInterrupt:
            bar.message("interrupted: the report has what was measured so far")
        finally:
            bar.keep(run.result)
    for absence in run.result.absences:
        if not absence.expected:
            print(f"{absence.contender}: {absence.scenario or 'everything'}: {absence.why}", file=sys.stderr)
    print(write(run.result, folder))
    return 0


def _command(path: Path) -> Path:
    found = shutil.which(path)
    if found is None:
        raise SystemExit(f"--drum: {path} is not a command")
    return Path(found).absolute()


def _list(args: argparse.Namespace) -> int:
    from benchmarks.contenders import CONTENDERS
    from benchmarks.workload.scenarios import KINDS, SCENARIOS

    for contender in CONTENDERS:
        print(f"{contender.name:18} {contender.title}")
    print()
    for scenario in SCENARIOS:
        print(f"{scenario.name:50} {KINDS[scenario.kind]}{', quick' if scenario.quick else ''}")
    return 0


def _report(args: argparse.Namespace) -> int:
    from benchmarks.report import write
    from benchmarks.report.result import load

    print(write(load(args.folder), args.folder))
    return 0


def _compare(args: argparse.Namespace) -> int:
    from benchmarks.report.result import load
    from benchmarks.report.result_comparison import changes, table

    print(table(changes(load(args.old), load(args.new))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
