"""Requests that a rolling replacement loses, through a real HAProxy (``apt-get install haproxy``).

    python benchmarks/costs/rollout.py [--rounds 20] [--clients 16] [--idle-seconds 120] [ROW ...]

Prints a Markdown table. Of two servers one after the other is replaced, ``--rounds`` times in all, while the clients
send GET and POST through connections that the proxy keeps alive, and the proxy asks each server for ``/readyz`` every
0.1 s. It tries nothing again, so what a server refuses is a failed request. The rows ``idle-...`` replace nothing:
there each client pauses for about 5 s between two requests, on a connection to a server of its own, for
``--idle-seconds``. Exit code 1 when a row with the default keep-alive and a lame duck has lost a request.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from support.servers.rollout import LAME_DUCK, Clients, replaced_under_load, rollout
from support.zoo import Zoo

SHORT = {"DRUM_UVICORN_KEEP_ALIVE": "5"}
ROWS: dict[str, tuple[str, dict[str, str]]] = {
    "lame-duck": ("rollout: keep-alive 95 s, lame duck", dict(LAME_DUCK)),
    "no-lame-duck": ("rollout: keep-alive 95 s, no lame duck", {}),
    "former": ("rollout: keep-alive 5 s, no lame duck", SHORT),
    "idle-95": ("clients that pause for 5 s: keep-alive 95 s", {}),
    "idle-5": ("clients that pause for 5 s: keep-alive 5 s", SHORT),
}
PAUSES = [4.98 + step / 1000 for step in range(0, 25, 2)]
"""Seconds; the idle time that the server sees is a little longer."""


def measure(name: str, zoo: Zoo, options: argparse.Namespace) -> int:
    """Print one row; returns the number of failures."""
    title, env = ROWS[name]
    folder, path = zoo["faults"]
    with tempfile.TemporaryDirectory(prefix="rollout-") as home:
        idle = name.startswith("idle")
        with rollout(folder, path, Path(home), env, reuse="never" if idle else "safe") as (servers, proxy):
            if idle:
                began = time.monotonic()
                with Clients(proxy.port, options.clients, PAUSES) as asking:
                    time.sleep(options.idle_seconds)
                seconds = time.monotonic() - began
            else:
                asking, seconds = replaced_under_load(servers, proxy, options.rounds, options.clients)
    kinds = ", ".join(f"{count} x {kind}" for kind, count in asking.failures.most_common())
    print(f"| {title} | {asking.answered:,} | {seconds:.0f} s | {asking.failed} | {kinds} |", flush=True)
    return asking.failed


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; all by default")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--idle-seconds", type=float, default=120.0)
    options = parser.parse_args()
    print("| | requests | time | failed | how |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="rollout-models-") as models:
        zoo = Zoo(Path(models))
        failed = {name: measure(name, zoo, options) for name in options.rows or ROWS}
    return 1 if failed.get("lame-duck") else 0


if __name__ == "__main__":
    sys.exit(main())
