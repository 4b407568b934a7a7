"""What a model worker costs by kind of model, and what workers and threads are worth: the figures of docs/sizing.md.

``python benchmarks/costs/sizing.py [memory] [rates] [libraries] [--seconds 4]`` builds model folders, serves each, and
prints

- ``memory``: of the HTTP process, and of a worker after some requests: all that it uses (RSS), and its share where two
  workers use the same files of libraries (PSS);
- ``rates``: requests a second by 32 clients for a model that waits 50 ms and one that computes 50 ms in Python, by
  numbers of workers and threads;
- ``libraries``: requests a second for a model that multiplies matrices, by OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import pickle
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

MEGABYTE = 1000 * 1000
COLUMNS = [f"x{number}" for number in range(10)]
BODY = (",".join(COLUMNS) + "\n" + "\n".join(",".join("0.5" for _ in COLUMNS) for _ in range(10)) + "\n").encode()

HOOKS = """\
import pandas as pd
def load_model(code_dir):
    return 1.0
def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": [model] * len(data)})
"""
WAITS = HOOKS.replace("import pandas as pd", "import time\nimport pandas as pd").replace(
    "    return pd.", "    time.sleep(0.05)\n    return pd."
)
COMPUTES = WAITS.replace(
    "time.sleep(0.05)", "end = time.thread_time() + 0.05\n    while time.thread_time() < end:\n        pass"
)
WAITS_ASYNC = WAITS.replace("import time", "import asyncio").replace("time.sleep", "await asyncio.sleep").replace(
    "def score", "async def score"
)  # fmt: skip
MULTIPLIES = """\
import numpy as np, pandas as pd
def load_model(code_dir):
    return np.ones((1200, 1200))
def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": [float((model @ model)[0, 0])] * len(data)})
"""


@dataclass
class Model:
    """A model folder: what makes it, and the options to serve it with."""

    name: str
    write: Callable[[Path], None]
    options: list[str] = field(default_factory=lambda: ["--target-type", "regression"])
    env: dict[str, str] = field(default_factory=dict)


def hooks(code: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "custom.py").write_text(code)

    return write


def pickled(train: Callable[[Any, Any], Any]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import numpy as np
        import pandas as pd

        x = pd.DataFrame(np.random.default_rng(1).normal(size=(2000, len(COLUMNS))), columns=COLUMNS)
        (folder / "model.pkl").write_bytes(pickle.dumps(train(x, x.sum(axis=1))))

    return write


def ridge(x: Any, y: Any) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge().fit(x, y)


def forest(x: Any, y: Any) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(n_estimators=200, random_state=1).fit(x, y)


def boosted(x: Any, y: Any) -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(n_estimators=200).fit(x, y)


def torch_module(folder: Path) -> None:
    import torch

    torch.save(torch.nn.Sequential(torch.nn.Linear(len(COLUMNS), 512), torch.nn.Linear(512, 1)), folder / "model.pth")


def onnx_graph(folder: Path) -> None:
    import numpy as np
    from skl2onnx import to_onnx
    from sklearn.linear_model import Ridge

    x = np.random.default_rng(1).normal(size=(200, len(COLUMNS))).astype(np.float32)
    (folder / "model.onnx").write_bytes(to_onnx(Ridge().fit(x, x.sum(axis=1)), x[:1]).SerializeToString())


KINDS = (
    Model("hooks alone", hooks(HOOKS)),
    Model("scikit-learn, ridge", pickled(ridge)),
    Model("scikit-learn, forest of 200 trees", pickled(forest)),
    Model("XGBoost, 200 trees", pickled(boosted)),
    Model("ONNX, small", onnx_graph),
    Model("Torch, small", torch_module),
)


class Server:
    """One server over a model folder."""

    def __init__(self, folder: Path, model: Model, workers: int, env: dict[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        command = [sys.executable, "-m", "drum_litestar", "server", "--code-dir", str(folder), *model.options]
        command += ["--address", f"127.0.0.1:{self.port}", "--max-workers", str(workers), "--logging-level", "error"]
        self.log = folder.parent / f"{folder.name}.log"
        began = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **model.env, **env}, cwd=folder
            )
        while self.get("/readyz") != 200:
            if self.process.poll() is not None or time.monotonic() - began > 120:
                raise SystemExit(f"{model.name} is not served:\n{self.log.read_text()}")
            time.sleep(0.02)

    def get(self, path: str) -> int:
        with contextlib.suppress(OSError):
            answer = urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10)
            return int(answer.status)
        return 0

    def predict(self) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/predict/", data=BODY, headers={"Content-Type": "text/csv"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            answer.read()

    def rate(self, clients: int, seconds: float) -> float:
        """Requests a second by so many clients that each wait for their answer."""
        done = [0] * clients
        end = time.monotonic() + seconds

        def client(number: int) -> None:
            while time.monotonic() < end:
                self.predict()
                done[number] += time.monotonic() < end

        threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(done) / seconds


@contextlib.contextmanager
def serving(home: Path, model: Model, *, workers: int = 1, **env: str) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(dir=home))
    model.write(folder)
    server = Server(folder, model, workers, env)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(120)


def memory(home: Path) -> None:
    print("| model | HTTP process | one worker | each of two workers |")
    print("|---|---|---|---|")
    for model in KINDS:
        with serving(home, model, workers=2) as server:
            for _ in range(4):
                server.rate(4, 0.2)
            http = psutil.Process(server.process.pid)
            workers = [
                each.memory_full_info() for each in http.children(recursive=True) if "worker" in str(each.cmdline())
            ]
            assert len(workers) == 2, http.children(recursive=True)
            own = http.memory_full_info().uss / MEGABYTE
            alone, shared = max(each.rss for each in workers) / MEGABYTE, max(each.pss for each in workers) / MEGABYTE
            print(f"| {model.name} | {own:.0f} MB | {alone:.0f} MB | {shared:.0f} MB |")
            sys.stdout.flush()


def rates(home: Path, seconds: float) -> None:
    print("| model | workers | threads in each | requests/s | arithmetic says at most |")
    print("|---|---|---|---|---|")
    cases = [(WAITS, "waits 50 ms", pair) for pair in ((1, 1), (1, 4), (2, 1), (2, 4))]
    cases += [(COMPUTES, "computes 50 ms in Python", pair) for pair in ((1, 1), (1, 4), (2, 1), (2, 4))]
    for code, name, (workers, threads) in cases:
        env = {"DRUM_FASTAPI_EXECUTOR_WORKERS": str(threads)}
        with serving(home, Model(name, hooks(code)), workers=workers, **env) as server:
            print(f"| {name} | {workers} | {threads} | {server.rate(32, seconds):.0f} | {workers * threads * 20} |")
            sys.stdout.flush()
    with serving(home, Model("", hooks(WAITS_ASYNC))) as server:
        print(f"| waits 50 ms, `async def` | 1 | 64 | {server.rate(32, seconds):.0f} | {64 * 20} |")


def libraries(home: Path, seconds: float) -> None:
    print("| workers | OMP_NUM_THREADS | requests/s |")
    print("|---|---|---|")
    for workers, threads in ((1, "1"), (1, "2"), (1, "16"), (2, "1"), (2, "2"), (2, "16")):
        env = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        with serving(home, Model("multiplies", hooks(MULTIPLIES)), workers=workers, **env) as server:
            print(f"| {workers} | {threads} | {server.rate(8, seconds):.1f} |")
            sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="memory, rates or libraries; all unless given")
    parser.add_argument("--seconds", type=float, default=4, help="length of each measurement")
    args = parser.parse_args()
    parts: dict[str, Callable[[Path], None]] = {
        "memory": memory,
        "rates": functools.partial(rates, seconds=args.seconds),
        "libraries": functools.partial(libraries, seconds=args.seconds),
    }
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}\n")
    with tempfile.TemporaryDirectory() as name:
        for part, measure in parts.items():
            if part in args.parts or not args.parts:
                measure(Path(name))
                print()


if __name__ == "__main__":
    main()
