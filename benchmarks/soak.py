"""A soak: an hour of mixed load with crashes, deadlines and reloads, and what memory, descriptors and threads do.

    python benchmarks/soak.py [--minutes 60] [--rate 100] [--results DIR]

Phases of ten minutes without and with faults take turns, so that growth by requests and growth by crashes can be told
apart, and workers live long enough to show theirs. ``samples.jsonl`` in the results' folder grows as the run goes on;
``--report DIR`` makes the report of one that is under way or was killed. Exit code 1 when an answer was unexpected, the
server ended, something was left over, or memory, descriptors or threads grow more than their bounds.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.servers.environments import ROOT
from benchmarks.servers.server_process import CannotStartError
from benchmarks.soak_run.course import Options, ServerDiedError, soak
from benchmarks.soak_run.growth import Slope, slopes
from benchmarks.soak_run.records import Recorded, Recorder, read
from benchmarks.soak_run.report import result_of, write

BOUNDS = {"requests": 5.0, "crashes": 5.0, "calls": 10.0, "fds": 5.0, "threads": 5.0}
"""See :func:`benchmarks.soak_run.growth.slopes`."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=100.0, help="requests/s")
    parser.add_argument("--phase", type=float, default=10.0, help="minutes of each phase, without and with faults")
    parser.add_argument("--fault-interval", type=float, default=2.0, help="seconds between two faults")
    parser.add_argument("--warm-up", type=float, default=10.0, help="minutes that the HTTP process's slopes leave out")
    parser.add_argument("--results", type=Path, help="folder to write (default: benchmarks/results/soak-<date>)")
    parser.add_argument("--report", type=Path, metavar="DIR", help="only make the report of that folder again")
    args = parser.parse_args(argv)
    folder: Path = args.report or args.results or ROOT / "benchmarks" / "results" / _name()
    failures: list[str] = []
    if args.report is None:
        options = Options(args.minutes * 60, args.rate, args.phase * 60, args.fault_interval)
        failures = _run(options, folder)
    try:
        recorded = read(folder)
    except (OSError, ValueError) as error:  # it ended before the first sample
        raise SystemExit("\n".join([*failures, str(error)])) from error
    found = slopes(recorded.samples, args.warm_up * 60, BOUNDS)
    failures += failures_of(recorded, found)
    print(write(result_of(recorded, found, failures), folder))
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _name() -> str:
    return f"soak-{datetime.now(timezone.utc):%Y-%m-%d}"


def _run(options: Options, folder: Path) -> list[str]:
    """Run it, and return why it ended early."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    recorder = Recorder(folder)
    try:
        with tempfile.TemporaryDirectory(prefix="soak-") as home:
            soak(options, Path(home), recorder, lambda line: print(line, flush=True))
    except ServerDiedError as error:
        return [f"The server ended: {error}"]
    except CannotStartError as error:
        raise SystemExit(f"The server did not start: {error}") from error
    except KeyboardInterrupt:
        return ["The run was interrupted."]
    finally:
        recorder.close()
    return []


def failures_of(recorded: Recorded, found: list[Slope]) -> list[str]:
    """What must not be, in words."""
    failures = [
        f"Unexpected: {counts[one.outcome]:,} x {one.kind}: {one.outcome}, first after {one.at:.0f} s"
        for one in recorded.unexpected
        if one.outcome in (counts := recorded.samples[-1].answers.get(one.kind, {}))
    ]
    ended = recorded.ended
    if ended is not None:
        failures += [f"{words}: {count} left" for words, count in ended.left.items() if count]
        failures += [f"The server's log: {line}" for line in ended.log]
        if ended.exit_code != 0:
            failures.append(f"The server ended with {ended.exit_code} after SIGTERM")
        if ended.reloads.get("failed"):
            failures.append(f"{ended.reloads['failed']} reloads failed")
    for slope in found:
        if slope.exceeded:
            words = f"{slope.value:+.2f} ± {slope.error:.2f} per {slope.per}, bound {slope.bound:g}"
            failures.append(f"{slope.process}, {slope.what}: {words}")
    return failures


if __name__ == "__main__":
    sys.exit(main())
