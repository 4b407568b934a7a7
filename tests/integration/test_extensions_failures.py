"""What a bad ``custom_litestar.py`` does to the command."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.servers.backends import console_script
from support.servers.process import ServerProcess, clean_environment, free_port
from support.wire import csv, get

BAD = "import nosuchmodule_17\n"


def command(folder: Path, port: int, *arguments: str) -> list[str]:
    (folder / "custom.py").write_text("def load_model(d): return 1\ndef score(data, model, **kw): return data\n")
    address = f"127.0.0.1:{port}"
    return [
        console_script(),
        "server",
        "-cd",
        str(folder),
        "--address",
        address,
        "--target-type=regression",
        *arguments,
    ]


def test_exit_code_1_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "custom_litestar.py").write_text(BAD)
    done = subprocess.run(
        command(tmp_path, free_port()), capture_output=True, text=True, timeout=60, env=clean_environment(), check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("drum-litestar: error: Failed to extend the application from [")
    assert last.endswith("custom_litestar.py] : No module named 'nosuchmodule_17'")


def test_failing_start_hook(tmp_path: Path) -> None:
    (tmp_path / "custom_litestar.py").write_text(
        "def init_app(b):\n    @b.on_startup\n    def start(context):\n        raise OSError('no database')\n"
    )
    done = subprocess.run(
        command(tmp_path, free_port()), capture_output=True, text=True, timeout=60, env=clean_environment(), check=False
    )
    assert done.returncode == 1
    assert "no database" in done.stderr


def test_error_server_shows_it(tmp_path: Path) -> None:
    (tmp_path / "custom_litestar.py").write_text(BAD)
    port = free_port()
    server = ServerProcess(command(tmp_path, port, "--with-error-server"), port=port, log=tmp_path / "log")
    try:
        server.wait_status(513)
        answer = server.send(csv("a\n1\n"))
        assert answer.status == 513
        assert "No module named 'nosuchmodule_17'" in answer.json()["message"]
        assert server.send(get("/livez")).status == 200
        assert server.stop() == 0
    finally:
        server.kill()
