"""Commands of the two servers under test: this package's, and the real DRUM as an oracle."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.servers.process import ServerProcess, clean_environment, free_port
from support.wire import get
from support.zoo import ModelFolder

DRUM_VERSION = "1.18.1"
ORACLE_PYTHON = "DRUM_ORACLE_PYTHON"
ORACLE_CACHE = "DRUM_ORACLE_CACHE"
ROOT = Path(__file__).resolve().parents[3]
MEASURED = Path(__file__).resolve().parents[1] / "measured"
OF_THE_CHECKOUT = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(MEASURED)]), "DRUM_LITESTAR_HOOK": "0"}
"""Makes an environment run our server without having it installed, and have its coverage measured with the tests'."""


def console_script() -> str:
    """The installed ``drum-litestar`` command of the interpreter that runs the tests."""
    return str(Path(sysconfig.get_path("scripts")) / "drum-litestar")


def start_ours(
    folder: ModelFolder,
    path: Path,
    log: Path,
    *,
    executor: str | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    port: int | None = None,
) -> ServerProcess:
    """``drum-litestar server`` for ``folder``, on a free port unless one is given; not yet ready."""
    port = port or free_port()
    command = [console_script(), "server", "--address", f"127.0.0.1:{port}", *folder.command_line(path), *arguments]
    if executor is not None:
        command += ["--executor", executor]
    settings = {**folder.env, **(env or {})}
    return _with_probe(ServerProcess(command, port=port, log=log, env=settings), settings)


def start_adapter(
    python: Path, folder: ModelFolder, path: Path, log: Path, env: Mapping[str, str] | None = None
) -> ServerProcess:
    """Our server over DRUM's own predictors, in an environment that has both; not yet ready."""
    port = free_port()
    command = [str(python), "-m", "drum_litestar", "server", "--predictor", "drum"]
    command += ["--address", f"127.0.0.1:{port}", *folder.command_line(path)]
    settings = {**folder.env, **(env or {})}
    return _with_probe(ServerProcess(command, port=port, log=log, env={**OF_THE_CHECKOUT, **settings}), settings)


def _with_probe(server: ServerProcess, env: Mapping[str, str]) -> ServerProcess:
    server.ready_probe = get(f"{env.get('URL_PREFIX', '').rstrip('/')}/readyz")
    return server


class DrumProcess(ServerProcess):
    """The real DRUM with its light web server, which has no ``/readyz`` and ends with 130 on SIGTERM."""

    ready_probe = get("/ping/")


class DrumOracle:
    """An interpreter that has the real ``datarobot-drum``.

    ``DRUM_ORACLE_PYTHON`` names a ready one. Without it a virtual environment is made once, in
    ``DRUM_ORACLE_CACHE`` or ``.cache/`` of the checkout. It sees the scientific packages of the environment that runs
    the tests, so that texts which come from a dependency are the same on both sides.
    """

    def __init__(self, python: Path) -> None:
        self.python = python

    @classmethod
    def prepare(cls) -> DrumOracle:
        named = os.environ.get(ORACLE_PYTHON)
        if named:
            return cls(Path(named))
        cache = Path(os.environ.get(ORACLE_CACHE) or ROOT / ".cache")
        key = hashlib.sha256(f"{sys.version}{sys.prefix}{DRUM_VERSION}".encode()).hexdigest()[:12]
        home = cache / f"drum-oracle-{key}"
        python = home / "bin" / "python"
        stamp = home / "ready.json"
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f"{home.name}.lock").open("w") as lock:  # tests run in several processes
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not stamp.exists():
                cls._install(home, python)
                stamp.write_text(json.dumps({"drum": DRUM_VERSION}))
        return cls(python)

    @staticmethod
    def _install(home: Path, python: Path) -> None:
        print(f"making an environment with datarobot-drum {DRUM_VERSION} in {home}", file=sys.stderr, flush=True)
        venv.EnvBuilder(with_pip=True, clear=True).create(home)
        site = next(home.glob("lib/python3*/site-packages"))
        (site / "shared-with-the-tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
        install = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            f"datarobot-drum=={DRUM_VERSION}",
        ]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"could not install datarobot-drum:\n{done.stderr[-2000:]}")

    def start(self, folder: ModelFolder, path: Path, log: Path) -> DrumProcess:
        """``drum server`` for ``folder``; not yet ready."""
        return start_drum(self, folder.command_line(path), log, folder.env)

    def runs_ours(self) -> bool:
        """It has what our server needs, too."""
        code = "import datarobot_drum.drum.drum, drum_litestar.http.app, uvicorn, httpx"
        env = {**clean_environment(), **OF_THE_CHECKOUT}
        return subprocess.run([self.python, "-c", code], env=env, capture_output=True, check=False).returncode == 0


def start_drum(oracle: DrumOracle, words: Sequence[str], log: Path, env: Mapping[str, str]) -> DrumProcess:
    """``drum server`` on its light web server (werkzeug) with the given arguments."""
    port = free_port()
    command = [str(oracle.python.parent / "drum"), "server", "--address", f"127.0.0.1:{port}", *words]
    settings = {
        "MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE": '{"type":"string","payload":"werkzeug"}',
        "DRUM_LITESTAR_HOOK": "0",
    }
    return DrumProcess(command, port=port, log=log, env={**settings, **env})
