"""A folder whose hooks break things (see ``support.servers.faults``)."""

from __future__ import annotations

from pathlib import Path

from support.zoo.registry import copy_hooks, folder


@folder("faults", "regression", drum=False)
@folder("faults_text", "textgeneration", env={"TARGET_NAME": "completion"}, drum=False)
def faults(path: Path) -> None:
    copy_hooks("faults", path)
