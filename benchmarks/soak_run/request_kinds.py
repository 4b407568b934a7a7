"""The requests of a soak: good ones, broken ones, and clients that leave; and the model folder that answers them."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.contenders.open_inference import MODEL_NAME, v2_binary, v2_json
from benchmarks.load.client import HOST, get, posts
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import Scenario
from benchmarks.workload.tables import csv_bodies, csv_body_of_size, frames

CALLS_DIR = "SOAK_CALLS"
"""Variable with the folder where each worker writes how often its hooks were called."""
LARGEST_BODY = 8_000_000
ONE_ROW = "CSV, 1 row"

CUSTOM = f'''"""Adds up each row; does what the column ``fault`` asks for."""

import os
import resource
import signal
import time

import pandas as pd

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
CALLS = os.open(os.path.join(os.environ["{CALLS_DIR}"], str(os.getpid())), os.O_CREAT | os.O_WRONLY)
calls = 0


def count_call():
    global calls
    calls += 1
    os.pwrite(CALLS, b"%d" % calls, 0)


def load_model(code_dir):
    return 1.0


def score(data, model, **kwargs):
    count_call()
    if "fault" in data.columns:
        if data["fault"].iloc[0] == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(3600)
    return pd.DataFrame({{"Predictions": data.sum(axis=1)}})


def predict_stream(data, model):
    count_call()
    for total in data.sum(axis=1):
        yield f"{{total}}\\n"
'''


@dataclass(frozen=True)
class Kind:
    """One kind of request."""

    name: str
    weight: float
    """Its share of the load, relative to the others."""
    wire: tuple[bytes, ...]
    """The requests as bytes, sent in turn."""
    expected: str = "200"
    """The outcome: a status, or ``left``."""
    calls_model: bool = True
    """A fault may hit it."""
    same: bool = True
    """The same request gets the same answer."""
    leaves: Literal["", "in the body", "before the answer"] = ""
    """Where the client closes the connection."""
    fresh: bool = False
    """Sent on a connection of its own, which the server closes after its answer."""


def model_folder(home: Path) -> Path:
    """Write the model folder below ``home``."""
    folder = home / "model"
    folder.mkdir(parents=True)
    (folder / "custom.py").write_text(CUSTOM)
    return folder


def fault(name: str) -> bytes:
    """A call that does ``name`` to its worker: ``segfault`` or ``hang``."""
    return _wire(f"fault\n{name}\n".encode())[0]


def kinds() -> tuple[Kind, ...]:
    """All kinds; the bodies are the same in every run."""
    one, hundred, many = (csv_bodies("floats", sizes) for sizes in ((1,) * 16, (100,) * 4, (5000,)))
    rows = [json.dumps(frame.to_dict("records")).encode() for frame in frames("floats", (1,) * 16)]
    single, several = (Scenario("soak", "open", data="ridge", rows=count) for count in (1, 100))
    large = csv_body_of_size(5_000_000)
    return (
        Kind(ONE_ROW, 500, _wire(*one)),
        Kind("CSV, 100 rows", 120, _wire(*hundred)),
        Kind("CSV, 5,000 rows", 4, _wire(*many)),
        Kind("CSV of 5 MB", 1, _wire(large)),
        Kind("CSV in a form", 20, _wire(*(_form(body) for body in one), content_type=_FORM)),
        Kind("JSON, 1 row", 80, _wire(*rows, content_type="application/json")),
        Kind("V2 JSON, 1 row", 50, _all(v2_json(single))),
        Kind("V2 binary, 100 rows", 50, _all(v2_binary(several))),
        Kind("stream of 100 rows", 30, _wire(*hundred, path="/predictionsStream/")),
        Kind("/livez", 40, (get("/livez"),), calls_model=False),
        Kind("/readyz", 40, (get("/readyz"),), same=False),
        Kind("/metrics", 5, (get("/metrics"),), calls_model=False, same=False),
        Kind("/v2/models", 5, (get(f"/v2/models/{MODEL_NAME}"),), calls_model=False),
        Kind("CSV that pandas refuses", 10, _wire(b'a,b\n1,2\n"3'), expected="500"),
        Kind("JSON that is cut off", 10, _wire(b'[{"a": 1', content_type="application/json"), expected="422"),
        Kind("unknown content type", 5, _wire(b"a,b\n1,2\n", content_type="text/nonsense"), expected="422"),
        Kind("V2 with a wrong shape", 5, _all(_WRONG_SHAPE), expected="400"),
        Kind("unknown path", 5, (get("/nothing"),), expected="404", calls_model=False),
        Kind("body too large", 5, (_head(100 * LARGEST_BODY),), expected="413", fresh=True),
        Kind("garbage head", 5, (b"\x16\x03\x01 no HTTP\r\n\r\n",), expected="400", calls_model=False, fresh=True),
        Kind("client leaves in the body", 8, (_head(len(large)) + large[:100_000],), "left", leaves="in the body"),
        Kind("client leaves before the answer", 8, _wire(*hundred), "left", leaves="before the answer"),
    )


_FORM = "multipart/form-data; boundary=soak"
_WRONG_SHAPE = PredictionRequest(
    f"/v2/models/{MODEL_NAME}/infer",
    (b'{"inputs": [{"name": "predict", "shape": [2, 2], "datatype": "FP64", "data": [1.0]}]}',),
    "application/json",
)


def _form(body: bytes) -> bytes:
    head = b'--soak\r\nContent-Disposition: form-data; name="X"; filename="X.csv"\r\nContent-Type: text/csv\r\n\r\n'
    return head + body + b"\r\n--soak--\r\n"


def _wire(*bodies: bytes, content_type: str = "text/csv", path: str = "/predict/") -> tuple[bytes, ...]:
    return _all(PredictionRequest(path, bodies, content_type))


def _all(request: PredictionRequest) -> tuple[bytes, ...]:
    return tuple(itertools.islice(posts(request), len(request.bodies)))


def _head(length: int) -> bytes:
    """The head of a prediction whose body is said to have ``length`` bytes."""
    lines = f"POST /predict/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: text/csv\r\nContent-Length: {length}\r\n\r\n"
    return lines.encode()
