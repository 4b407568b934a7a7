"""A server under test as a process: start on a free port, readiness, log, stop."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.wire import Answer, Request, get, send

CLEARED = ("DRUM_", "MLOPS_", "OTEL_", "MODERATION", "DATAROBOT_", "NIM_", "TRITON_", "OPENAI_")
CLEARED_NAMES = (
    "ADDRESS", "ALLOW_DR_API_ACCESS_FOR_ALL_CUSTOM_MODELS", "API_TOKEN", "CLASS_LABELS", "CLASS_LABELS_FILE",
    "CODE_DIR", "DEPLOYMENT_CONFIG", "DEPLOYMENT_ID", "EXTERNAL_WEB_SERVER_URL", "MAX_WORKERS", "MODEL_ID", "MONITOR",
    "MONITOR_SETTINGS", "NEGATIVE_CLASS_LABEL", "POSITIVE_CLASS_LABEL", "PRODUCTION", "RUNTIME_PARAMS_FILE",
    "SHOW_STACKTRACE", "TARGET_NAME", "TARGET_TYPE", "URL_PREFIX", "USER_SECRETS_MOUNT_PATH", "USER_SECRETS_PREFIX",
    "WITH_ERROR_SERVER", "PYTHONPATH",
)  # fmt: skip


_ports = itertools.cycle(range(10_000, 32_000))
for _ in range(os.getpid() * 1009 % 22_000):  # several processes test at the same time
    next(_ports)


def free_port() -> int:
    """A port that was free a moment ago, and is not among those that the kernel gives to clients."""
    for port in _ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise AssertionError("unreachable")


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment without anything that configures a prediction server.

    One thread per library and a fixed hash seed: the order of a set shows in some libraries' error texts.
    """
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(CLEARED) and name not in CLEARED_NAMES
    }
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "KERAS_BACKEND": "torch", **(extra or {})}


SETTLED = (200, 513)
"""Statuses of a probe after which it does not change any more: serving, or showing why it cannot."""


class ServerFailedError(AssertionError):
    """The server ended, or did not become ready, while a test waited for it."""


class ServerProcess:
    """One running server. ``command`` gets no shell; output goes to ``log``, stdin is empty."""

    ready_probe = get("/readyz")

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.port = port
        self.log = log
        self.was_ready = False
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=clean_environment(env),
                cwd=cwd or log.parent,
            )

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, request: Request, *, timeout: float = 120.0) -> Answer:
        return send(self.port, request, timeout=timeout)

    def wait_ready(self, timeout: float = 150.0) -> None:
        """Return when the probe has answered 200 once. Raises :class:`ServerFailedError` with the log's end."""
        if not self.was_ready:
            self.wait_status(200, timeout)
            self.was_ready = True

    def wait_status(self, status: int, timeout: float = 150.0) -> None:
        """Return when the probe answers ``status``."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerFailedError(f"server ended with {self.process.returncode}:\n{self.output()[-4000:]}")
            with contextlib.suppress(OSError):
                found = self.send(self.ready_probe, timeout=60.0).status
                if found == status:
                    return
                if found in SETTLED:
                    raise ServerFailedError(f"{found} instead of {status}:\n{self.output()[-4000:]}")
            time.sleep(0.03)
        raise ServerFailedError(f"not ready after {timeout:g} s:\n{self.output()[-4000:]}")

    def wait_output(self, text: str, timeout: float = 120.0) -> None:
        """Return when ``text`` is in the log, which a thread of the server writes."""
        deadline = time.monotonic() + timeout
        while text not in self.output():
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.output()[-4000:]}"
            time.sleep(0.03)

    def wait_exit(self, timeout: float = 120.0) -> int:
        """The exit code of a server that ends by itself."""
        return self.process.wait(timeout)

    def stop(self, timeout: float = 120.0) -> int:
        """SIGTERM, then the exit code; SIGKILL and a failure when it does not end in time."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailedError(f"still running {timeout:g} s after SIGTERM:\n{self.output()[-4000:]}") from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
