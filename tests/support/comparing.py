"""For the tests of ``drum-litestar compare``: the command as a process, a model that misbehaves on demand, traffic."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from support.files import replace_text
from support.servers.backends import console_script
from support.servers.process import ServerProcess, clean_environment, free_port
from support.wire import Answer, post, send

CUSTOM_PY = '''
import os, time
from pathlib import Path
import pandas as pd

SWITCH = Path(__file__).with_name("switch.txt")

def load_model(code_dir):
    return "sum"

def score(data, model, **kwargs):
    """Row sums, unless switch.txt says wait (until it says something else), err, slow, drift or die."""
    while (mode := SWITCH.read_text() if SWITCH.exists() else "") == "wait":
        time.sleep(0.01)
    if mode == "err":
        raise RuntimeError("told to err")
    if mode == "slow":
        time.sleep(1)
    if mode == "die":
        os._exit(7)
    sums = data.sum(axis=1)
    return pd.DataFrame({"Predictions": sums * (1 + 1e-6) if mode == "drift" else sums})
'''
PREDICT = post("/predict/", "a,b\n1.25,2.5\n3.5,4\n", "text/csv")


class SwitchedServer(ServerProcess):
    """Ours on a model folder whose behaviour :meth:`behave` changes while it runs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "custom.py").write_text(CUSTOM_PY)
        self.switch = folder / "switch.txt"
        port = free_port()
        command = [
            console_script(), "server", "-cd", str(folder), "--address", f"127.0.0.1:{port}",
            "--target-type", "regression",
        ]  # fmt: skip
        super().__init__(command, port=port, log=folder.with_suffix(".log"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def behave(self, mode: str = "") -> None:
        replace_text(self.switch, mode)


class CompareProcess:
    """``drum-litestar compare`` as a proxy, on a free port."""

    def __init__(self, *arguments: str, cwd: Path, name: str = "compare") -> None:
        self.log = cwd / f"{name}.log"
        self.out = cwd / f"{name}.out"
        with self.log.open("wb") as errors, self.out.open("wb") as output:
            self.process = subprocess.Popen(
                [console_script(), "compare", "--listen", "127.0.0.1:0", *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=clean_environment(), cwd=cwd,
            )  # fmt: skip
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", self.wait_log("listening on"))
        assert found is not None
        self.port = int(found[1])

    def wait_log(self, text: str, timeout: float = 60.0) -> str:
        """The log, once ``text`` is in it."""
        deadline = time.monotonic() + timeout
        while text not in (log := self.log.read_text()):
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{log}"
            assert time.monotonic() < deadline, f"no '{text}' in:\n{log}"
            time.sleep(0.02)
        return log

    def wait(self, timeout: float = 60.0) -> int:
        return self.process.wait(timeout)

    def stop(self) -> int:
        """SIGTERM, then the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def __enter__(self) -> CompareProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def compare(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``drum-litestar compare`` to its end."""
    return subprocess.run(
        [console_script(), "compare", *arguments],
        capture_output=True, text=True, timeout=120, env=clean_environment(), cwd=cwd, check=False,
    )  # fmt: skip


@contextlib.contextmanager
def traffic(port: int, clients: int = 2) -> Iterator[list[Answer]]:
    """Clients that predict, one request after the other, until the block ends; yields what they were answered. A
    client that cannot connect stops."""
    answers: list[Answer] = []
    over = threading.Event()

    def client() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                answers.append(send(port, PREDICT))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
