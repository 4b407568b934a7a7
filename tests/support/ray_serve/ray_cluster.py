"""The tests' side of :mod:`support.ray_serve.ray_driver`."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from support.servers.backends import OF_THE_CHECKOUT
from support.servers.process import ServerFailedError, clean_environment, free_port
from support.wire import Answer, Request, get, send
from support.zoo import ModelFolder

DRIVER = Path(__file__).with_name("ray_driver.py")
TARGET = "drum_litestar.integrations.ray:build"
PATIENCE = 240.0
"""Seconds for what Ray does; a busy machine is several times slower."""


class RayError(ServerFailedError):
    """What Ray said instead of an answer."""


def arguments_of(folder: ModelFolder, path: Path) -> dict[str, Any]:
    """Arguments of ``build`` for the command line and the variables of a folder of the zoo."""
    found: dict[str, Any] = {}
    name = ""
    for word in folder.command_line(path):
        if word.startswith("-"):
            name = {"-cd": "code_dir"}.get(word, word.lstrip("-").replace("-", "_"))
            found[name] = True
        elif found[name] is True:
            found[name] = word
        else:
            found[name] = [*(found[name] if isinstance(found[name], list) else [found[name]]), word]
    return {**found, **folder.env}


def application(
    args: Mapping[str, Any], name: str = "model", route: str = "/", *, deployment: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """An application of a Serve config; ``deployment`` has options of its one deployment."""
    found = {"name": name, "route_prefix": route, "import_path": TARGET, "args": dict(args)}
    return found if deployment is None else {**found, "deployments": [{"name": "Model", **deployment}]}


class RayCluster:
    """One Ray with Serve, and its proxy's port. Use as a context manager."""

    def __init__(
        self,
        python: Path,
        log: Path,
        *,
        nodes: int = 1,
        num_cpus: int = 4,
        num_gpus: int = 0,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.log = log
        """``num_gpus`` are for Ray to give away; nothing looks for devices."""
        reading, writing = os.pipe()
        options = {"nodes": nodes, "port": self.port, "num_cpus": num_cpus, "num_gpus": num_gpus}
        variables = {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DEDUP_LOGS": "0",
            "RAY_worker_niceness": "0",
            **OF_THE_CHECKOUT,
            **(env or {}),
        }
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                [str(python), str(DRIVER), str(writing), json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=clean_environment(variables),
                pass_fds=(writing,),
                cwd=log.parent,
                text=True,
            )
        os.close(writing)
        self._replies = os.fdopen(reading)
        self._answer()

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop Serve and Ray; what they leave behind is killed."""
        left = psutil.Process(self.process.pid).children(recursive=True)
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _, alive = psutil.wait_procs(left, timeout=10)
        for each in alive:
            with contextlib.suppress(psutil.Error):
                each.kill()
        self._replies.close()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def do(self, command: str, **options: Any) -> Any:
        """One command of the driver. Raises RayError with Ray's words."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": command, **options}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self._replies.readline()
        if not line:
            raise RayError(f"the driver ended:\n{self.output()[-4000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise RayError(answer["error"])
        return answer["value"]

    def deploy(self, *applications: Mapping[str, Any], wait: bool = True) -> None:
        """Replace all applications, as ``serve deploy`` does with a config file."""
        self.do("deploy", config={"applications": list(applications)})
        if wait:
            for each in applications:
                self.wait_status(str(each["name"]))

    def wait_status(self, name: str, status: str = "RUNNING", timeout: float = PATIENCE) -> dict[str, Any]:
        """The application's state once it has ``status``. Raises RayError when it has failed instead."""
        deadline = time.monotonic() + timeout
        found: dict[str, Any] = {}
        while time.monotonic() < deadline:
            found = self.do("status").get(name, {})
            if found.get("status") == status:
                return found
            if found.get("status") in ("DEPLOY_FAILED", "NOT_STARTED") and status == "RUNNING" and found["message"]:
                raise RayError(json.dumps(found, indent=1))
            time.sleep(0.1)
        raise RayError(f"not {status} after {timeout:g} s: {json.dumps(found)}\n{self.output()[-4000:]}")

    def wait_replicas(self, count: int, name: str = "model", timeout: float = PATIENCE) -> None:
        """Return when exactly ``count`` replicas of the application's deployment are running, and no other exists."""
        deadline = time.monotonic() + timeout
        while (found := self.do("status")[name]["deployments"].get("Model", {}).get("replicas")) != {"RUNNING": count}:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    def send(self, request: Request, *, timeout: float = 120.0) -> Answer:
        return send(self.port, request, timeout=timeout)

    def get(self, target: str) -> Answer:
        return self.send(get(target))

    def call(self, data: bytes, *, app: str = "model", deployment: str = "Model", method: str = "predict") -> bytes:
        """What the handle's method answers."""
        text = base64.b64encode(data).decode()
        return base64.b64decode(self.do("call", app=app, deployment=deployment, method=method, data=text))

    def processes(self, *words: str) -> Sequence[psutil.Process]:
        """Processes below the driver whose command line holds all ``words``."""
        found = []
        for each in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if all(word in " ".join(each.cmdline()) for word in words):
                    found.append(each)
        return found

    def replicas(self) -> Sequence[psutil.Process]:
        return self.processes("ray::ServeReplica")

    def workers(self) -> Sequence[psutil.Process]:
        return self.processes("drum-litestar-worker")
