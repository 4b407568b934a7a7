from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drum_litestar import __version__
from drum_litestar.cli import settings_command
from drum_litestar.cli.main import COMMANDS, main
from drum_litestar.errors import SettingsError


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"drum-litestar {__version__}\n"


STREAMS = """
import os, sys
from drum_litestar.cli.main import main
assert (sys.stdin, sys.stdout, sys.stderr) == (None, None, None)
assert main(["--version"]) == 0
assert main(["sevrer"]) == 2
assert all(os.path.samestat(os.fstat(number), os.stat(os.devnull)) for number in (0, 1, 2))
"""


def test_closed_standard_streams_are_the_null_device() -> None:
    command = 'exec "$0" -c "$1" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", command, sys.executable, STREAMS], timeout=60).returncode == 0


def test_alone_prints_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert all(command.summary in out for command in COMMANDS)


def test_help_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        assert main([command.name, "--help"]) == 0
        assert f"usage: drum-litestar {command.name}" in capsys.readouterr().out


def test_server_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["server", "--help"]) == 0
    out = capsys.readouterr().out
    for part in ("(env: CODE_DIR)", "model-metadata.yaml", "curl -F X=@data.csv", "drum-litestar settings --describe"):
        assert part in out


def test_server_help_has_what_no_option_stands_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["server", "--help"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for name in ("TARGET_NAME", "URL_PREFIX", "LLM_ID"):
        (line,) = (line for line in lines if line.startswith(name))
        assert len(line) > 30
    assert "1 to 199; more is 1 with a warning" in " ".join(lines)


def test_settings_errors_are_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRUM_BATCH_MAX_ROWS", "0")
    assert main(["settings"]) == 2
    assert capsys.readouterr().err == (
        "drum-litestar: error: environment variable DRUM_BATCH_MAX_ROWS: value '0' is out of range "
        "(allowed: auto, or 1 to 100000)\n"
    )
    assert main(["settings", "--show-stacktrace"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_settings_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DRUM_API_TOKEN", "hush")
    monkeypatch.setenv("MLOPS_RUNTIME_PARAM_DRUM_CORS_ENABLED", "true")
    assert main(["settings", "--executor", "inline", "--describe"]) == 0
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert ["DRUM_EXECUTOR", "inline", "command line --executor"] in lines
    assert ["DRUM_API_TOKEN", "*****", "environment variable DRUM_API_TOKEN"] in lines
    assert ["DRUM_CORS_ENABLED", "true", "runtime parameter DRUM_CORS_ENABLED"] in lines
    assert ["DRUM_WEBSERVER_BACKLOG", "2048", "default"] in lines


def test_settings_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DRUM_API_TOKEN", "hush")
    monkeypatch.setenv("ADDRESS", "[::1]:7")
    assert main(["settings", "--json"]) == 0
    out = capsys.readouterr().out
    assert "hush" not in out
    table = {row["name"]: row for row in json.loads(out)}
    assert table["ADDRESS"]["value"] == "[::1]:7"
    assert table["ADDRESS"]["source"] == "environment variable ADDRESS"
    assert table["CUSTOM_MODEL_WORKERS"]["value"] == 1
    assert table["CUSTOM_MODEL_WORKERS"]["aliases"] == ["MAX_WORKERS"]
    assert table["DRUM_UVICORN_KEEP_ALIVE"]["deprecated"] == ["DRUM_GUNICORN_KEEP_ALIVE"]
    assert table["DRUM_API_TOKEN"]["value"] == "*****"


def test_no_secret_in_errors_and_tracebacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unexpected exception ends as in Python, with a traceback and exit code 1."""
    monkeypatch.setenv("MY_TOKEN", "sesame-open")
    assert main(["settings", "--predictor", "sesame-open", "--address", "http://me:k@host"]) == 2
    error = capsys.readouterr().err
    assert "sesame" not in error
    assert "*****" in error
    for fault in (RuntimeError("broken by sesame-open"), SettingsError("no sesame-open")):
        monkeypatch.setattr(settings_command, "run", lambda _, fault=fault: raise_(fault))
        assert main(["settings", "--show-stacktrace"]) == (2 if isinstance(fault, SettingsError) else 1)
        error = capsys.readouterr().err
        assert "Traceback" in error
        assert "sesame" not in error
        assert "*****" in error


def raise_(error: Exception) -> int:
    raise error


def test_parsing_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = ["litestar", "uvicorn", "pandas", "numpy", "yaml", "pydantic", "asyncio", "flask", "opentelemetry"]
    script = (
        "import sys\n"
        "from drum_litestar.cli import server_command\n"
        "from drum_litestar.cli.main import main, parse\n"
        "assert main(['server', '--help']) == 0\n"
        f"arguments = ['server', '-cd', {str(tmp_path)!r}, '--address', 'h:1']\n"
        "server_command.plan(parse(arguments, {}, 'drum-litestar'))\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
