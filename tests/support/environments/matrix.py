"""Runs of ``scripts/matrix``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from support.servers.backends import ROOT


def matrix(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, results (with ``--json`` among ``arguments``), and what it said."""
    done = subprocess.run(
        [str(ROOT / "scripts" / "matrix"), *arguments],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "[]"), done.stderr
