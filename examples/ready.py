"""Wait until the server that process PID becomes is ready, then print the example's request.

usage: ready.py ADDRESS EXAMPLE PID
"""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

LONGEST_WAIT = 300.0


def is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def main() -> int:
    address, example, pid = sys.argv[1], sys.argv[2], int(sys.argv[3])
    host, _, port = address.rpartition(":")
    reachable = f"127.0.0.1:{port}" if host in ("0.0.0.0", "") else address
    folder = Path(__file__).resolve().parent / example
    command = (folder / "request.curl").read_text().strip().format(address=reachable, folder=folder)
    deadline = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < deadline:
        if os.getppid() != pid:
            return 1
        if is_ready(reachable):
            print(f"\nThe server is ready. Try it:\n\n  {command}\n", file=sys.stderr, flush=True)
            return 0
        time.sleep(0.1)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
