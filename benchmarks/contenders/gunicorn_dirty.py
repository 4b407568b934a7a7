"""gunicorn with a dirty arbiter: HTTP in ASGI workers, the model in processes of its own."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders.base import APPS, Contender, Launch
from benchmarks.workload.scenarios import Scenario


def _launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
    command = [str(bin_dir / "gunicorn"), "gunicorn_dirty_app:app", "--worker-class", "asgi"]
    command += ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--log-level", "warning"]
    command += ["--dirty-app", "gunicorn_dirty_app:Model", "--dirty-workers", str(scenario.workers)]
    if scenario.timeout:
        command += ["--dirty-timeout", f"{scenario.timeout:.0f}"]
    return Launch(command, {"MODEL_DIR": str(folder), "PYTHONPATH": str(APPS)}, str(APPS))


def _absent(scenario: Scenario) -> str | None:
    """Reason not to take part: its messages end at 64 MiB, and a result is one message."""
    if scenario.kind == "upload":
        return "a message to a dirty worker ends at 64 MiB"
    return "streams of chat are not written for it" if scenario.kind == "chat" else None


CONTENDERS = (
    Contender(
        "gunicorn-dirty",
        "gunicorn, dirty arbiter",
        _launch,
        requirements=(("gunicorn>=27", "uvloop", "httptools", "fastapi", "pandas", "scikit-learn", "openai"),),
        packages=("gunicorn", "fastapi", "uvloop", "scikit-learn", "pandas"),
        absent=_absent,
    ),
)
