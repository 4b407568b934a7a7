"""Servers shared by many tests: each backend's last server runs until a test needs another folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import pytest

from support.servers.backends import DrumOracle, start_adapter, start_ours
from support.servers.process import ServerFailedError, ServerProcess
from support.zoo import Zoo, installed, known_folders


def require(name: str) -> None:
    """Skip where the framework behind the model folder is not installed."""
    needs = known_folders()[name].needs
    if not installed(*needs):
        pytest.skip(f"needs {', '.join(needs)}")


class Fleet:
    """At most one server for each backend: ``inline`` and ``pool`` of this package, ``drum``, the real DRUM, and
    ``adapter``, the pool over DRUM's own predictors.

    A server that does not start is not started again: every test that needs it fails with the same text.
    """

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.request = request
        self.zoo: Zoo = request.getfixturevalue("zoo")
        self.logs: Path = request.getfixturevalue("tmp_path_factory").mktemp("logs")
        self.running: dict[str, tuple[str, ServerProcess]] = {}
        self.failed: dict[tuple[str, str], str] = {}
        self.worker_python: Path | None = None
        """The interpreter of the model workers of servers that are started from now on."""

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with contextlib.ExitStack() as stack:
            for backend in list(self.running):
                stack.callback(self.stop, backend)

    def stop(self, backend: str) -> None:
        """End the backend's server. Ours must end with exit code 0 on SIGTERM."""
        if backend not in self.running:
            return
        name, server = self.running.pop(backend)
        died = server.process.poll()
        code = server.stop()
        if backend != "drum" and (died is not None or code != 0):
            raise ServerFailedError(f"{backend}, {name}: exit code {code}:\n{server.output()[-4000:]}")

    def begin(self, backend: str, name: str) -> ServerProcess:
        """Start the server without waiting for it, unless it runs already."""
        current = self.running.get(backend)
        if current is not None and current[0] == name and current[1].process.poll() is None:
            return current[1]
        self.stop(backend)
        folder, path = self.zoo[name]
        log = self.logs / f"{backend}-{name}.log"
        if backend == "drum":
            oracle: DrumOracle = self.request.getfixturevalue("drum_oracle")
            server: ServerProcess = oracle.start(folder, path, log)
        elif backend == "adapter":
            server = start_adapter(self.request.getfixturevalue("python_with_drum"), folder, path, log)
        else:
            own = [] if self.worker_python is None else ["--worker-python", str(self.worker_python)]
            server = start_ours(folder, path, log, executor=backend, arguments=own)
        self.running[backend] = (name, server)
        return server

    def serving(self, backend: str, name: str) -> tuple[ServerProcess, Path]:
        """The ready server for (backend, model folder), and the folder's path."""
        require(name)
        if backend == "drum" and not known_folders()[name].drum:
            pytest.skip("the real DRUM cannot serve this folder here")
        if (backend, name) in self.failed:
            pytest.fail(self.failed[backend, name])
        server = self.begin(backend, name)
        try:
            server.wait_ready()
        except ServerFailedError as error:
            self.failed[backend, name] = str(error)
            self.running.pop(backend)
            server.kill()
            raise
        return server, self.zoo[name][1]

    def begin_all(self, backends: Iterable[str], name: str) -> None:
        """Start the servers of several backends for one folder side by side."""
        require(name)
        for backend in backends:
            if (backend, name) not in self.failed:
                self.begin(backend, name)
