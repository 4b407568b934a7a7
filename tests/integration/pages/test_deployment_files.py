"""The files that the page about deployment shows: the unit is valid for systemd, and what it starts can be started."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from support.pages import ROOT, blocks
from support.servers.backends import console_script

BLOCKS = {block.language: block.text for block in blocks(ROOT / "docs" / "deployment.md")}


def unit_values(name: str) -> list[str]:
    return [line.partition("=")[2] for line in BLOCKS["ini"].splitlines() if line.startswith(f"{name}=")]


def test_the_unit_starts_the_server(tmp_path: Path) -> None:
    """Its command line with a folder that exists; ``check`` reads the options of ``server``."""
    (tmp_path / "custom.py").write_text("def load_model(code_dir): return 1\ndef score(d, m, **k): return d\n")
    (start,) = unit_values("ExecStart")
    program, command, *arguments = shlex.split(start.replace("/srv/model", str(tmp_path)))
    assert (Path(program).name, command) == ("drum-litestar", "server")
    done = subprocess.run([console_script(), "check", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "model.service"
    unit.write_text(BLOCKS["ini"].replace("/opt/drum-litestar/bin/drum-litestar", shutil.which("true") or ""))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "model.service" not in done.stderr, done.stderr
