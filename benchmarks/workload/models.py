"""The model folders that all contenders serve, trained once into a cache."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.servers.environments import cache_dir
from benchmarks.workload import tables
from benchmarks.workload.tables import LABELS, TABLES, TRAINING

if TYPE_CHECKING:
    import pandas as pd

SLEEP_SECONDS = 0.05
HOLD_SECONDS = 0.5
CHAT_CHUNKS = 50
CHAT_PAUSE = 0.005
HANG_SECONDS = 3600

_SLEEP = f'''"""Waits as a call of another service would."""

import time

import pandas as pd


def load_model(code_dir):
    return "sleeper"


def score(data, model, **kwargs):
    time.sleep({SLEEP_SECONDS})
    return pd.DataFrame({{"Predictions": [1.0] * len(data)}})
'''
_HANG = f'''"""Sleeps in calls with a 1 in the last column, as a call of a service that never answers."""

import time

import pandas as pd


def load_model(code_dir):
    return "sleeper"


def score(data, model, **kwargs):
    if data.iloc[:, -1].max() > 0.5:
        time.sleep({HANG_SECONDS})
    return pd.DataFrame({{"Predictions": [1.0] * len(data)}})
'''
_HOLD = f'''"""Keeps the interpreter's lock while it computes, as a long loop in C does."""

import ctypes
import time

import pandas as pd

SLEEP = ctypes.PyDLL(None).usleep  # PyDLL, unlike CDLL, does not release the lock


def load_model(code_dir):
    return "holder"


def score(data, model, **kwargs):
    end = time.monotonic() + {HOLD_SECONDS}
    while time.monotonic() < end:
        SLEEP(900_000 if end - time.monotonic() > 0.9 else int(max(0, end - time.monotonic()) * 1e6))
    return pd.DataFrame({{"Predictions": [1.0] * len(data)}})
'''
_ECHO = '''"""JSON in, JSON out."""

import json


def load_model(code_dir):
    return "echo"


def score_unstructured(model, data, query, **kwargs):
    numbers = json.loads(data)["numbers"]
    return json.dumps({"sum": sum(numbers), "count": len(numbers)}), {"mimetype": "application/json"}
'''
_CHAT = f'''"""A chat model that pauses between its tokens."""

import json
import time
from types import SimpleNamespace

import pandas as pd

try:
    from openai.types.chat import ChatCompletionChunk
except ImportError:

    class Piece(SimpleNamespace):
        def to_json(self, indent=None):
            return json.dumps(self, default=vars)

    def ChatCompletionChunk(**fields):
        return json.loads(json.dumps(fields), object_hook=lambda found: Piece(**found))


def load_model(code_dir):
    return "chat"


def score(data, model, **kwargs):
    return pd.DataFrame({{"completion": ["text"] * len(data)}})


def chunk(number, last):
    delta = {{"role": "assistant", "content": f"token{{number}} "}}
    choice = {{"index": 0, "delta": delta, "finish_reason": "stop" if last else None}}
    return ChatCompletionChunk(
        id="bench", object="chat.completion.chunk", created=1, model="chat", choices=[choice]
    )


def chat(completion_create_params, model):
    for number in range({CHAT_CHUNKS}):
        time.sleep({CHAT_PAUSE})
        yield chunk(number, number == {CHAT_CHUNKS} - 1)
'''
_LARGE = '''"""Looks up a row of an array; the answer is the id of the process, which tells the workers apart."""

import os
from pathlib import Path

import numpy as np
import pandas as pd


def load_model(code_dir):
    return np.load(Path(code_dir, "embeddings.npy"))


def score(data, model, **kwargs):
    vector = model[int(abs(data.iloc[0, 0]) * 1e6) % len(model)]
    return pd.DataFrame({"Predictions": [float(os.getpid() if vector.sum() else 0)] * len(data)})
'''


def _asynchronous(custom: str) -> str:
    """The same hooks as ``async def``, which wait in asyncio."""
    for sync, awaited in (
        ("import time\n", "import asyncio\n"),
        ("time.sleep(", "await asyncio.sleep("),
        ("\ndef score(", "\nasync def score("),
        ("\ndef chat(", "\nasync def chat("),
    ):
        custom = custom.replace(sync, awaited)
    return custom


@dataclass(frozen=True)
class Model:
    """A model folder and how it is served."""

    name: str
    target_type: str
    custom: str | None = None
    """Text of ``custom.py``; None for a pickled estimator."""
    env: tuple[tuple[str, str], ...] = ()
    labels: tuple[str, str] | None = None
    """Positive and negative label of a binary target."""
    sync: str = ""
    """Of ``async def`` hooks: the model with the same ones as functions, for servers that do not call them."""
    embeddings: tuple[int, int] | None = None
    """Shape of the float32 array beside ``custom.py``."""


MODELS = {
    model.name: model
    for model in (
        Model("ridge", "regression"),
        Model("mixed", "binary", labels=LABELS),
        Model("wide", "regression"),
        Model("forest", "regression"),
        Model("sleep", "regression", _SLEEP),
        Model("await", "regression", _asynchronous(_SLEEP), sync="sleep"),
        Model("hang", "regression", _HANG),
        Model("hold", "regression", _HOLD),
        Model("large", "regression", _LARGE, embeddings=(2**20, 256)),
        Model("echo", "unstructured", _ECHO),
        Model("chat", "textgeneration", _CHAT, (("TARGET_NAME", "completion"),)),
        Model("proxy", "textgeneration", _asynchronous(_CHAT), (("TARGET_NAME", "completion"),), sync="chat"),
    )
}


def model_folder(name: str, home: Path, python: Path) -> Path:
    """The folder of model ``name`` below ``home``, trained by ``python``: a pickle needs the libraries that made it."""
    sources = Path(__file__).read_bytes() + Path(tables.__file__).read_bytes()
    digest = hashlib.sha256(sources).hexdigest()[:10]
    folder = home / f"{name}-{digest}"
    if not (folder / "ready").exists():
        command = [str(python), "-m", "benchmarks.workload.models", name, str(folder)]
        subprocess.run(command, check=True, cwd=Path(__file__).resolve().parents[2])
    return folder


def make(name: str, folder: Path) -> None:
    """Write the model's files."""
    model = MODELS[name]
    folder.mkdir(parents=True, exist_ok=True)
    if model.custom is not None:
        (folder / "custom.py").write_text(model.custom)
    else:
        _train(name, folder / "model.pkl")
    if model.embeddings is not None:
        (folder / "embeddings.npy").unlink(missing_ok=True)
        (folder / "embeddings.npy").symlink_to(_embeddings(*model.embeddings))
    (folder / "ready").touch()


def _embeddings(rows: int, columns: int) -> Path:
    """The array's file, which all environments share: numpy's format is the same for all."""
    import numpy as np

    path = cache_dir() / "embeddings" / f"{rows}x{columns}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(f".{os.getpid()}.npy")
        np.save(written, np.random.default_rng(TRAINING).standard_normal((rows, columns), dtype=np.float32))
        written.rename(path)
    return path.absolute()


def _train(name: str, path: Path) -> None:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if name == "mixed":
        model = _passenger_model()
    else:
        frame = TABLES["wide" if name == "wide" else "floats"].rows(500, TRAINING)
        model = {
            "ridge": Ridge(),
            "wide": make_pipeline(StandardScaler(), Ridge()),
            "forest": RandomForestRegressor(n_estimators=200, max_depth=8, random_state=1),
        }[name].fit(frame, _slope(frame) + 3.0)
    path.write_bytes(pickle.dumps(model))


def _slope(frame: pd.DataFrame) -> pd.Series:
    import numpy as np

    sums: pd.Series = frame @ np.linspace(-1.0, 1.0, frame.shape[1])
    return sums


def _passenger_model() -> object:
    """What a data scientist writes for a table with blanks and categories; name, ticket and cabin are not used."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["Age", "SibSp", "Parch", "Fare"]),
            ("categories", categories, ["Pclass", "Sex", "Embarked"]),
        ]
    )
    frame = TABLES["mixed"].rows(891, TRAINING)
    survived = (frame["Sex"] == "female") ^ (frame["Fare"] > frame["Fare"].quantile(0.9))
    target = survived.map({True: LABELS[0], False: LABELS[1]})
    return make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(frame, target)


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))
