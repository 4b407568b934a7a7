"""A storm of mixed requests with random kills, timeouts and disconnects against a real server.

    python benchmarks/costs/storm.py [--requests 10000] [--clients 48] [--seed 7]

Prints the table of outcomes as Markdown; ends with exit code 1 when a client got a wrong answer or none, or when a
ticket, a descriptor, a process or a spool file was left over. The storm itself is shared with the test suite.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from support.servers.faults import faults_of
from support.servers.storm import SETTINGS, Storm
from support.zoo import Zoo


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=48)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="storm-") as home:
        models = Path(home) / "models"
        models.mkdir()
        for faults in faults_of(Zoo(models), Path(home)):
            storm = Storm(faults.start(env=SETTINGS), options.requests, options.clients, options.seed)
            storm.prepare()
            began = time.monotonic()
            storm.run()
            seconds = time.monotonic() - began
            restarts = storm.server.stats()["executor_restarts"]
            print(storm.table())
            print(f"\n{options.requests} requests in {seconds:.0f} s, {storm.kills} random kills, restarts: {restarts}")
            try:
                storm.check()
            except AssertionError as error:
                print(f"BROKEN: {error}", file=sys.stderr)
                return 1
            print("Afterwards: counters at zero, workers ready, no spool file, process or descriptor left over.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
