"""A server with the console over a model whose names, labels and errors are hostile, and which does as it is told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from support.servers.backends import start_ours
from support.servers.process import ServerProcess
from support.zoo import ModelFolder

HOSTILE = "<img src=x onerror=window.hacked=1>"
"""Of a column, a label, an error and a chat's answer. A page that takes it for HTML sets ``window.hacked``."""

HOOKS = f"""
import os
import time
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent


class Model:
    feature_names_in_ = ["amount", "do", {HOSTILE!r}]


def load_model(code_dir):
    return Model()


def score(data, model, **kwargs):
    do = str(data["do"].iloc[0])
    if do == "die":
        os._exit(3)
    if do == "fail":
        raise ValueError({HOSTILE!r})
    if do == "wait":
        (HERE / "waits").touch()
        while not (HERE / "go").exists():
            time.sleep(0.01)
    share = data["amount"].astype(float).clip(0, 1)
    return pd.DataFrame({{{HOSTILE!r}: share, "no": 1 - share}})


def chat(params, model):
    yield chunk("Hello ")
    yield chunk({HOSTILE!r})
    while params["messages"][-1]["content"] == "forever":
        yield chunk(" on")
        time.sleep(0.01)


def chunk(text):
    choice = {{"index": 0, "delta": {{"content": text}}, "finish_reason": None}}
    return {{"id": "i", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}}
"""

LABELS = ("--positive-class-label", HOSTILE, "--negative-class-label", "no")


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "custom.py").write_text(HOOKS)


@contextlib.contextmanager
def console_server(
    path: Path,
    log: Path,
    *,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    port: int | None = None,
    until: str = "ready on ",
) -> Iterator[ServerProcess]:
    """The server over the folder ``path``, once it has logged the text ``until``; it must end with 0."""
    folder = ModelFolder("hostile", make_folder, "binary", LABELS)
    settings = {"DRUM_CONSOLE": "true", **(env or {})}
    server = start_ours(folder, path, log, arguments=arguments, env=settings, port=port)
    try:
        server.wait_output(until)
        yield server
        assert server.stop() == 0
    finally:
        if server.process.poll() is None:
            server.kill()
