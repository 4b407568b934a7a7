from __future__ import annotations

import functools
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.cli.main import main
from drum_litestar.documentation import MIGRATING
from drum_litestar.drum_hook.hook_command import HookStatus
from drum_litestar.launcher.packages import ServerPackages
from drum_litestar.tools import environment_checks
from drum_litestar.tools.environment_checks import DrumState
from drum_litestar.tools.findings import import_problem
from support.environments.worker_pythons import WORKERS_NEED, bare, with_packages

ABSENT = DrumState(None)
BROKEN = DrumState("1.18.1", "ImportError: cannot import name 'model_validator'")
WORKING = DrumState("1.18.1")
DISABLED, ENABLED = HookStatus(False, "disabled (line)"), HookStatus(True, "enabled (line)")
DEFAULT = HookStatus(True, "enabled (line)", True)


tried = functools.cache(import_problem)
"""Cached: the environment does not change between tests."""


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment_checks, "import_problem", tried)
    for name in list(os.environ):
        if name.startswith(("DRUM_", "MLOPS_")) or name in ("CODE_DIR", "ADDRESS", "TARGET_TYPE"):
            monkeypatch.delenv(name)


@pytest.fixture
def drum(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> DrumState:
    """A given state of datarobot-drum; its detection is tested elsewhere."""
    state: DrumState = getattr(request, "param", ABSENT)
    monkeypatch.setattr(environment_checks, "drum_state", lambda python=None: state)
    monkeypatch.setattr(ServerPackages, "version_of", lambda _, name: state.version)
    return state


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "custom.py").touch()
    return tmp_path


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and the findings as ``{topic: [finding, ...]}``."""
    code = main(["check", "--json", *arguments])
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is (code == 0)
    topics: dict[str, Any] = {}
    for finding in report["findings"]:
        topics.setdefault(finding["topic"], []).append(finding)
    return code, topics


@pytest.mark.usefixtures("drum")
def test_environment_alone(capsys: pytest.CaptureFixture[str]) -> None:
    code, topics = check(capsys)
    assert code == 0
    assert {"python", "loop", "drum-litestar", "pydantic", "datarobot-drum", "hook", "memory", "cpu"} <= set(topics)
    assert "predictor" not in topics


@pytest.mark.usefixtures("drum")
@pytest.mark.parametrize("hook", [ENABLED, DISABLED], ids=["enabled", "disabled"])
def test_the_hook_is_of_no_concern_without_drum(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, hook: HookStatus
) -> None:
    monkeypatch.setattr("drum_litestar.tools.check_command.hook_status", lambda path: hook)
    (finding,) = check(capsys)[1]["hook"]
    assert (finding["level"], finding["active"]) == ("info", hook.active)
    assert finding["text"].startswith("nothing to do: it changes `drum server`, a command of datarobot-drum")


@pytest.mark.usefixtures("drum")
def test_model_folder(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, topics = check(capsys, "-cd", str(model), "--target-type", "regression")
    assert code == 0
    assert topics["language"][0]["language"] == "python"
    assert topics["predictor"][0]["predictor"] == "native"
    assert "drum server" not in topics


@pytest.mark.usefixtures("drum")
@pytest.mark.parametrize("drum", [BROKEN, WORKING], indirect=True, ids=["broken", "working"])
def test_folder_from_the_environment(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_DIR", str(model))
    monkeypatch.setenv("TARGET_TYPE", "regression")
    assert check(capsys)[1]["drum server"][0]["backend"] == "drum"
    monkeypatch.setenv("MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE", "litestar")
    before = dict(os.environ)
    code, topics = check(capsys)
    assert code == 0
    assert topics["predictor"][0]["predictor"] == "native"
    assert topics["drum server"][0]["backend"] == "drum-litestar"
    assert dict(os.environ) == before


@pytest.mark.usefixtures("drum")
@pytest.mark.parametrize(
    ("drum", "hook", "server_type", "backend", "level", "text"),
    [
        (WORKING, DEFAULT, None, "drum-litestar", "info", "this backend"),
        (WORKING, DEFAULT, "gunicorn", "drum", "info", "DRUM's own server; DRUM_SERVER_TYPE=gunicorn chooses"),
        (WORKING, DEFAULT, "bogus", "drum-litestar", "info", "this backend; DRUM_SERVER_TYPE=bogus is not known"),
        (WORKING, ENABLED, None, "drum", "info", "DRUM's own server"),
        (WORKING, DISABLED, "litestar", "drum", "info", "DRUM's own server; the hook is disabled (line)"),
        (BROKEN, DEFAULT, None, "drum-litestar", "info", "this backend"),
        (BROKEN, ENABLED, None, "drum", "warning", "DRUM's own server, which cannot be imported; drum-litestar can"),
        (BROKEN, DISABLED, None, "drum", "warning", "DRUM's own server, which cannot be imported"),
    ],
    indirect=["drum"],
    ids=str,
)
def test_what_drum_server_runs(
    model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    hook: HookStatus,
    server_type: str | None,
    backend: str,
    level: str,
    text: str,
) -> None:
    """The hook's state and default decide, as for the command itself."""
    monkeypatch.setattr("drum_litestar.tools.check_command.hook_status", lambda path: hook)
    if server_type is not None:
        monkeypatch.setenv("MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE", server_type)
    topics = check(capsys, "-cd", str(model), "--target-type", "regression")[1]
    (finding,) = topics["drum server"]
    assert (finding["backend"], finding["level"], finding["default"]) == (backend, level, hook.default)
    assert finding["text"].startswith(text)
    assert topics["hook"][0]["default"] is hook.default


@pytest.mark.parametrize(
    ("drum", "blocked"), [(ABSENT, True), (BROKEN, True), (WORKING, False)], indirect=["drum"], ids=str
)
def test_model_that_needs_drum(
    tmp_path: Path, drum: DrumState, blocked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.rds").touch()
    code, topics = check(capsys, "-cd", str(tmp_path), "--target-type", "regression")
    assert code == int(blocked)
    assert topics["language"][0]["language"] == "r"
    assert topics["predictor"][0]["level"] == ("blocking" if blocked else "ok")
    if drum.problem:
        assert drum.problem in topics["predictor"][0]["text"]


@pytest.mark.usefixtures("drum")
def test_folder_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, topics = check(capsys, "-cd", str(tmp_path), "--target-type", "regression")
    assert code == 1
    assert topics["language"][0]["level"] == "blocking"


@pytest.mark.parametrize(
    ("drum", "level"), [(ABSENT, "blocking"), (BROKEN, "blocking"), (WORKING, "warning")], indirect=["drum"], ids=str
)
def test_flask_extension(model: Path, drum: DrumState, level: str, capsys: pytest.CaptureFixture[str]) -> None:
    (model / "custom_flask.py").touch()
    code, topics = check(capsys, "-cd", str(model), "--target-type", "regression")
    assert topics["extension"][0]["level"] == level
    assert MIGRATING in topics["extension"][0]["text"]
    assert code == (level == "blocking")
    (model / "custom_litestar.py").touch()
    code, topics = check(capsys, "-cd", str(model), "--target-type", "regression")
    assert code == 0
    assert [finding["level"] for finding in topics["extension"]] == ["ok", "info"]


@pytest.mark.usefixtures("drum")
def test_other_extensions(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model / "custom_fastapi.py").touch()
    code, topics = check(capsys, "-cd", str(model), "--target-type", "regression")
    assert (code, topics["extension"][0]["level"]) == (0, "warning")
    for name in ("a", "b"):
        (model / name).mkdir()
        (model / name / "custom_litestar.py").touch()
    code, topics = check(capsys, "-cd", str(model), "--target-type", "regression")
    assert (code, topics["extension"][0]["level"]) == (1, "blocking")


@pytest.mark.usefixtures("drum")
def test_settings_are_checked_too(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRUM_BATCH_MAX_ROWS", "0")
    code, topics = check(capsys, "-cd", str(model))
    assert code == 1
    assert "DRUM_BATCH_MAX_ROWS" in topics["settings"][0]["text"]
    monkeypatch.delenv("DRUM_BATCH_MAX_ROWS")
    monkeypatch.setenv("DRUM_BATCH_MAX_ROWZ", "1")
    code, topics = check(capsys, "-cd", str(model), "--target-type", "regression")
    assert code == 0
    assert topics["settings"][0]["level"] == "warning"


@pytest.mark.usefixtures("drum")
def test_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.split()[0] in ("ok", "info", "warning", "blocking") for line in lines)


@pytest.mark.usefixtures("drum")
def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    assert main(["check"]) == 0
    assert "\x1b[" in screen.getvalue()
    assert "python" in screen.getvalue()


@pytest.mark.usefixtures("drum")
def test_the_workers_own_python(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The workers' interpreter is reported with its missing packages, and the folder is checked against it."""
    own = bare(tmp_path / "own", "3.8")
    arguments = ("-cd", str(model), "--target-type", "regression", "--worker-python", str(own))
    code, topics = check(capsys, *arguments)
    assert code == 1
    (finding,) = topics["worker python"]
    assert finding["level"] == "blocking"
    assert finding["version"].startswith("3.8.")
    assert finding["executable"] == str(own / "bin" / "python")
    assert f"{own}/bin/python -m pip install 'msgspec>=0.16' 'pandas>=1.5' numpy" in finding["text"]

    code, topics = check(capsys, "--worker-python", str(tmp_path / "none"))
    assert code == 1
    assert topics["settings"][0]["text"] == f"DRUM_WORKER_PYTHON='{tmp_path / 'none'}': there is no such file"


@pytest.mark.usefixtures("drum")
def test_a_folder_for_the_workers_own_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The framework of the artifact is looked up in the workers' interpreter; this environment has it."""
    (tmp_path / "model.pkl").write_bytes(b"")
    own = with_packages("3.8", *WORKERS_NEED)
    arguments = ("-cd", str(tmp_path), "--target-type", "regression", "--worker-python", str(own))
    code, topics = check(capsys, *arguments)
    assert code == 1
    assert topics["worker python"][0]["level"] == "ok"
    assert topics["worker python"][0]["pandas"].startswith("2.0.")
    assert "scikit-learn not installed" in topics["worker python"][0]["text"]
    assert "The following frameworks support this model artifact" in topics["model"][0]["text"]
    assert topics["model"][0]["text"].endswith(f"Install with: {own}/bin/python -m pip install scikit-learn")
