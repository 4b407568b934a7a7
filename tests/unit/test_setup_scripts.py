"""What scripts/serve and scripts/test say while they make their environments."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from support.pages import ROOT


def test_installing_is_announced_once_with_its_length(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    for name in ("pyproject.toml", "scripts/common.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "home/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    code = "source scripts/common.sh; install() { :; }; make_venv home install; say again; make_venv home install"
    done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr.count("==> installing into home (this takes a few minutes)") == 1
    assert done.stderr.index("installing into home") < done.stderr.index("again")
