"""Every span of a server whose collector is slow, refuses, and restarts is accounted for."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from support.servers.backends import ROOT


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_only_the_sdk_drops_spans() -> None:
    """Created is what arrived, what the SDK's queue dropped, and what its exporter gave up or was cut off with; none is
    missing."""
    command = [sys.executable, "-m", "benchmarks.costs.spans_lost", "--requests", "8000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answered, created, dropped, given_up, cut_off, arrived = map(int, re.findall(r"\d+$", done.stdout, re.MULTILINE))
    assert answered == created == 8001
    assert created - cut_off <= dropped + given_up + arrived <= created
