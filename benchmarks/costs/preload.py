"""What workers that are forked from one process with a loaded model would save, and for which models they could be.

    python -m benchmarks.costs.preload [servers] [forks] [threads]

- ``servers``: seconds until all workers have answered and memory, as the server is, with large models: an array of 1 GB
  (``np.load``), a forest (joblib), and a dictionary of Python objects; the first two also mapped from their files
  (``mmap_mode="r"``), which needs no fork.
- ``forks``: a process loads a predictor as a worker does, and forks. Memory of each of four children after 200
  predictions and a collection of garbage: PSS (a page that several share counts in parts) and USS (its own pages), with
  and without ``gc.freeze()`` before the fork, as workers call it.
- ``threads``: threads of a process that has loaded a model of each framework, and of one that has predicted, too; and
  whether a child that is forked then still answers.

Prints Markdown tables. Memory in MiB.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))

from benchmarks.load.large_model import start
from benchmarks.servers.environments import ROOT, cache_dir
from benchmarks.servers.server_process import free_port, running
from benchmarks.workload.models import MODELS, make
from benchmarks.workload.prediction_request import PredictionRequest
from support.data import continuous_target, table
from support.zoo import Zoo

if TYPE_CHECKING:
    from drum_litestar.predictors.protocol import Predictor

PARTS = ("servers", "forks", "threads")
CHILDREN, PREDICTIONS = 4, 200
MANY = 5_000
"""Rows of a call that libraries share out among their threads."""
ANSWER_TIMEOUT = 60.0
"""Seconds in which a forked child must have answered."""
ZOO = {"ONNX Runtime": "onnx_regression", "PyTorch": "torch_regression", "Keras on PyTorch": "keras_regression"}
"""Model folders of the test suite; its others keep to one thread."""

_FOREST = """import os
from pathlib import Path

import joblib
import pandas as pd


def load_model(code_dir):
    return joblib.load(Path(code_dir, "forest.joblib"), mmap_mode={mode!r})


def score(data, model, **kwargs):
    good = model.predict(data.to_numpy()).all()
    return pd.DataFrame({{"Predictions": [float(os.getpid() if good else 0)] * len(data)}})
"""
_DICTIONARY = '''import os
import random

import pandas as pd

KEYS = 900_000


def load_model(code_dir):
    return {f"key {number}": [number + 0.25, number + 0.5, number + 0.75] for number in range(KEYS)}


def score(data, model, **kwargs):
    """Look up a thousand keys, others each time."""
    total = sum(sum(model[f"key {random.randrange(KEYS)}"]) for _ in range(1000))
    return pd.DataFrame({"Predictions": [float(os.getpid() if total else 0)] * len(data)})
'''


def make_models(home: Path) -> dict[str, Path]:
    """Folders of large models, by what is said of them."""
    make("large", array := home / "array")
    custom = MODELS["large"].custom or ""
    mapped = _folder(home / "mapped", custom.replace('.npy"))', '.npy"), mmap_mode="r")'))
    (mapped / "embeddings.npy").symlink_to((array / "embeddings.npy").resolve())
    forest = _folder(home / "forest", _FOREST.format(mode=None))
    _forest(forest / "forest.joblib")
    mapped_forest = _folder(home / "mapped_forest", _FOREST.format(mode="r"))
    (mapped_forest / "forest.joblib").symlink_to(forest / "forest.joblib")
    return {
        "array": array,
        "array, mapped": mapped,
        "forest": forest,
        "forest, mapped": mapped_forest,
        "dictionary": _folder(home / "dictionary", _DICTIONARY),
    }


def _folder(path: Path, custom: str) -> Path:
    path.mkdir()
    (path / "custom.py").write_text(custom)
    return path


def _forest(path: Path) -> None:
    """About 300 MB in 20 trees."""
    import joblib
    import numpy as np
    from sklearn.ensemble import ExtraTreesRegressor

    rng = np.random.default_rng(1)
    model = ExtraTreesRegressor(n_estimators=20, max_features=1, random_state=1, n_jobs=1)
    joblib.dump(model.fit(rng.normal(size=(100_000, 10)), rng.normal(size=100_000)), path)


def _frameworks(home: Path) -> Iterator[tuple[str, Path]]:
    """Folders with a model of each framework, as it comes: threads are not limited."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge
    from xgboost import XGBRegressor

    data = table(500)
    estimators = {"scikit-learn, Ridge": Ridge(), "scikit-learn, histogram boosting": HistGradientBoostingRegressor()}
    for number, (name, model) in enumerate({**estimators, "XGBoost": XGBRegressor(n_estimators=20)}.items()):
        (folder := home / str(number)).mkdir()
        (folder / "model.pkl").write_bytes(pickle.dumps(model.fit(data, continuous_target(data))))
        yield name, folder
    zoo = Zoo(home)
    for name, known in ZOO.items():
        yield name, zoo[known][1]


def body(rows: int = 1) -> bytes:
    """A CSV that the models of the test suite and the large ones take."""
    return table(rows).to_csv(index=False).encode()


def memory(pid: int) -> tuple[float, float]:
    """PSS and USS in MiB."""
    info = psutil.Process(pid).memory_full_info()
    return info.pss / 2**20, info.uss / 2**20


def servers(models: dict[str, Path]) -> None:
    """Print a line for each start of a server."""
    print_head("model", "workers", "first prediction s", "all s", "PSS of all", "PSS of each worker", "USS of each")
    request = PredictionRequest("/predict/", (body(),), "text/csv")
    for name, folder in models.items():
        for workers in (1, CHILDREN):
            port = free_port()
            command = [sys.executable, "-m", "drum_litestar", "server", "--code-dir", str(folder)]
            command += ["--target-type", "regression", "--address", f"127.0.0.1:{port}"]
            with running(command, {"MAX_WORKERS": str(workers)}, port, request.to_urllib(port)) as server:
                figures = start(server, request, workers)
                server.settle()
                sizes = {process.pid: memory(process.pid) for process in server.processes()}
                own = [sizes[process.pid] for process in server.processes() if "worker" in " ".join(process.cmdline())]
            total = sum(pss for pss, _ in sizes.values())
            cells = [name, workers, f"{figures['first']:.1f}", f"{figures.get('all', 0):.1f}", f"{total:.0f}"]
            print_row(*cells, *(_each([size[kind] for size in own]) for kind in (0, 1)))


def forks(models: dict[str, Path]) -> None:
    """Print a line for each model and way to fork."""
    print_head("model", "load s", "", f"{CHILDREN} forks ms", "PSS of all", "PSS of each child", "USS of each")
    for name, folder in models.items():
        for way in ("frozen", "not frozen"):
            print_row(name, *in_process("forked", str(folder), way))


def forked(folder: str, way: str) -> list[str]:
    """Load, fork, predict; the cells of a line. To be called in a process of its own."""
    began = time.perf_counter()
    predictor = load(folder)
    loaded = time.perf_counter() - began
    gc.collect()
    if way == "frozen":
        gc.freeze()
    began = time.perf_counter()
    with _children(functools.partial(_predict_and_collect, predictor)) as pids:
        took = time.perf_counter() - began
        for pid in pids:
            os.waitpid(pid, os.WUNTRACED)  # each stops itself when it has predicted
        sizes = [memory(pid) for pid in pids]
        total = sum(pss for pss, _ in sizes) + memory(os.getpid())[0]
    each = [_each([size[kind] for size in sizes]) for kind in (0, 1)]
    return [f"{loaded:.1f}", way, f"{took * 1e3:.0f}", f"{total:.0f}", *each]


def _predict_and_collect(predictor: Predictor) -> None:
    for _ in range(PREDICTIONS):
        predict(predictor)
    gc.collect()
    os.kill(os.getpid(), signal.SIGSTOP)


@contextmanager
def _children(work: Callable[[], None]) -> Iterator[list[int]]:
    """Forked children that do ``work``, killed at the end."""
    pids = []
    for _ in range(CHILDREN):
        pid = os.fork()
        if not pid:
            try:
                work()
            finally:
                os._exit(0)
        pids.append(pid)
    try:
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def threads() -> None:
    """Print a line for each framework."""
    print_head("framework", "threads when loaded", "Python's", "fork answers", "after a prediction", "fork answers")
    with tempfile.TemporaryDirectory() as home:
        for framework, folder in _frameworks(Path(home)):
            print_row(framework, *in_process("counted", str(folder)))


def counted(folder: str) -> list[str]:
    """Load, count, fork, predict, count, fork; the cells of a line. To be called in a process of its own."""
    predictor = load(folder)
    cells = [str(_tasks()), str(threading.active_count()), _fork_answers(predictor)]
    predict(predictor, MANY)
    return [*cells, str(_tasks()), _fork_answers(predictor)]


def _tasks() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def _fork_answers(predictor: Predictor) -> str:
    child = multiprocessing.get_context("fork").Process(target=predict, args=(predictor, MANY))
    child.start()
    child.join(ANSWER_TIMEOUT)
    if child.is_alive():
        child.kill()
        return "hangs"
    return "yes" if child.exitcode == 0 else f"no: exit code {child.exitcode}"


def load(folder: str) -> Predictor:
    """The predictor as a worker loads it."""
    from drum_litestar.predictors.build import build_predictor
    from drum_litestar.predictors.protocol import TargetType
    from drum_litestar.predictors.spec import PredictorSpec

    predictor = build_predictor(PredictorSpec(code_dir=folder, target_type=TargetType.REGRESSION))
    predictor.load()
    return predictor


def predict(predictor: Predictor, rows: int = 1) -> None:
    """Answer one call. Raises SystemExit for an answer that is none."""
    from drum_litestar.predictors.protocol import ModelCall, Payload, Reply

    data = body(rows)
    payload = Payload(data=data, size=len(data), mimetype="text/csv")
    answer = predictor.handle(ModelCall(kind="predict", x=payload, body=payload))
    if not isinstance(answer, Reply) or answer.status != 200:
        raise SystemExit(f"no prediction: {answer}")


def in_process(function: str, *words: str) -> list[str]:
    """The cells that ``function`` of this module returns in a fresh process."""
    code = "import json, sys\nfrom benchmarks.costs import preload\n"
    code += f"print(json.dumps(preload.{function}(*sys.argv[1:])))"
    command = [sys.executable, "-c", code, *words]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout
    cells: list[str] = json.loads(output.splitlines()[-1])
    return cells


def _each(values: list[float]) -> str:
    return " + ".join(f"{value:.0f}" for value in values)


def print_head(*cells: str) -> None:
    print_row(*cells)
    print("|---" * len(cells) + "|")


def print_row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all by default")
    parts = parser.parse_args().parts or PARTS
    with tempfile.TemporaryDirectory(prefix="preload-", dir=_on_disk()) as home:
        models = make_models(Path(home)) if set(parts) - {"threads"} else {}
        for part, measure in (
            ("servers", functools.partial(servers, models)),
            ("forks", functools.partial(forks, models)),
            ("threads", threads),
        ):
            if part in parts:
                measure()
                print()


def _on_disk() -> Path:
    """Not in a temporary file system, whose files are memory."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    return cache_dir()


if __name__ == "__main__":
    main()
