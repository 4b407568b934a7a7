"""The examples of docs/input-and-output.md, run against a server."""

from __future__ import annotations

import ast
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from support.columnar import parquet
from support.servers.backends import start_ours
from support.servers.process import ServerProcess
from support.wire import get, post
from support.zoo import ModelFolder

PAGE = (Path(__file__).parents[3] / "docs/input-and-output.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [text.strip() for language, text in BLOCKS if not language and text.startswith(("curl", "gzip"))]
MESSAGES = [line for language, text in BLOCKS if text.startswith('{"message"') for line in text.splitlines()]
HOOKS = re.split(r"\n{3}", next(text for language, text in BLOCKS if language == "python").strip())

SCORE = """
import pandas as pd
def load_model(code_dir): return 1
def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["age"].fillna(0) + data["city"].notna()})
"""
ROWS = "age,city\n41,Oslo\n,\n"


def serving(code: str, home: Path, target_type: str = "regression", **env: str) -> ServerProcess:
    home.mkdir()
    (home / "custom.py").write_text(code)
    server = start_ours(ModelFolder("page", lambda path: None, target_type), home, home.parent / "log", env=env)
    server.wait_ready()
    return server


def test_commands_and_messages(tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "rows.parquet").write_bytes(parquet(pd.read_csv(io.StringIO(ROWS))))
    answers = [*['{"predictions":[42.0,0.0]}'] * 3, "Predictions\n42.0\n0.0\n"]
    server = serving(SCORE, tmp_path / "model")
    try:
        assert len(COMMANDS) == len(answers)
        for command, expected in zip(COMMANDS, answers, strict=True):
            asked = command.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
            done = subprocess.run(asked, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
            assert done.stdout == expected, command
        assert [line.strip() for line in MESSAGES] == [
            server.send(request).body.decode().strip()
            for request in (
                post("/predict/", '[{"x0": 1},\n{"x0" 2}]', "application/json"),
                post("/predict/", '[{"city": "x"}, {"city": ["y"]}]', "application/json"),
                get("/predct/"),
                get("/predict/"),
            )
        ]
        assert server.stop() == 0
    finally:
        server.kill()


@pytest.mark.parametrize("code", HOOKS, ids=["text", "stream", "dict"])
def test_hooks(code: str, tmp_path: Path) -> None:
    ast.parse(code)
    server = serving(
        "def load_model(code_dir): return 1\n" + code, tmp_path / "model", "textgeneration", TARGET_NAME="t"
    )
    try:
        answer = server.send(post("/v1/chat/completions", "{}", "application/json"))
        assert answer.status == 200, answer.body
        if code.startswith("async"):
            events = [json.loads(line[6:]) for line in answer.body.decode().split("\n\n")[:-2]]
            assert "".join(event["choices"][0]["delta"].get("content", "") for event in events) == "Hello"
        else:
            assert answer.json()["choices"][0]["message"]["content"] == "Hello"
        assert server.stop() == 0
    finally:
        server.kill()
