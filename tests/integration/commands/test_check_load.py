"""``drum-litestar check --load``: the model is loaded in a worker and asked for one row."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.servers.backends import console_script
from support.servers.fleet import require
from support.servers.process import clean_environment
from support.zoo import Zoo

SCORE = """
import pandas as pd


def load_model(code_dir):
    return 1


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["a"] + len(data)})
"""


def check(*words: object, code: int = 0) -> dict[str, list[dict[str, Any]]]:
    """The findings by topic."""
    command = [console_script(), "check", "--json", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), check=False)
    assert done.returncode == code, done.stdout + done.stderr
    topics: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        topics.setdefault(finding["topic"], []).append(finding)
    return topics


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "custom.py").write_text(SCORE)
    return tmp_path


def test_a_row_that_the_folder_tells(zoo: Zoo) -> None:
    require("regression")
    topics = check("-cd", zoo["regression"][1], "--target-type", "regression", "--load")
    (loaded,), (row,) = topics["load"], topics["row"]
    assert loaded["text"].startswith("loaded in ")
    assert loaded["seconds"] > 0
    assert (row["level"], row["route"], row["status"]) == ("ok", "/predict/", 200)
    assert '{"predictions":[' in row["text"]
    assert " ms: " in row["text"]
    assert "other rows" in topics["not checked"][0]["text"]


def test_the_first_row_of_a_file(model: Path) -> None:
    (model / "rows.csv").write_text("a\n41\n7\n")
    topics = check("-cd", model, "--target-type", "regression", "--load", "--row", model / "rows.csv")
    assert topics["row"][0]["text"].endswith('{"predictions":[42.0]}')


def test_a_row_that_fails(model: Path) -> None:
    (model / "rows.csv").write_text("b\n41\n")
    topics = check("-cd", model, "--target-type", "regression", "--load", "--row", model / "rows.csv", code=1)
    assert topics["row"][0]["level"] == "blocking"
    assert (
        "/predict/ answers 500: Model 'score' hook failed to make predictions. Exception: KeyError('a')"
        in (topics["row"][0]["text"])
    )


def test_no_row(model: Path) -> None:
    topics = check("-cd", model, "--target-type", "regression", "--load")
    assert topics["row"][0]["level"] == "info"
    assert "--row FILE" in topics["row"][0]["text"]


def test_a_model_that_cannot_be_loaded(model: Path) -> None:
    (model / "custom.py").write_text("x = 1\n")
    topics = check("-cd", model, "--target-type", "regression", "--load", code=1)
    assert topics["hooks"][0]["level"] == "warning"
    assert "defines none of the hooks" in topics["hooks"][0]["text"]
    assert topics["load"][0]["level"] == "blocking"
    assert "Could not find model artifact file" in topics["load"][0]["text"]
    assert topics["not checked"][0]["text"] == "nothing further, because of what is marked as blocking"


def test_what_is_not_python_is_not_loaded(model: Path) -> None:
    (model / "custom.py").write_text("def load_model(code_dir):\n    return 1\n\n\ndef score(:\n")
    topics = check("-cd", model, "--target-type", "regression", "--load", code=1)
    assert topics["hooks"][0]["text"].endswith("custom.py, line 5: invalid syntax")
    assert "load" not in topics


def test_an_unstructured_model(tmp_path: Path) -> None:
    (tmp_path / "custom.py").write_text(
        "def load_model(code_dir):\n    return 1\n\n\n"
        "def score_unstructured(model, data, **kwargs):\n    return data[::-1]\n"
    )
    (tmp_path / "row.txt").write_text("abc")
    topics = check("-cd", tmp_path, "--target-type", "unstructured", "--load", "--row", tmp_path / "row.txt")
    assert topics["row"][0]["text"].endswith(": cba")


def test_without_load_the_last_line_says_what_was_not_checked(model: Path) -> None:
    done = subprocess.run(
        [console_script(), "check", "-cd", str(model), "--target-type", "regression"],
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=True,
    )
    last = done.stdout.splitlines()[-1]
    assert last.startswith("info      not checked")
    assert "--load loads the model in a worker and tries one row" in last


TYPO = """
import pandas as pd


def load_model(code_dir):
    return 1


def score(data, model, **kwargs):
    return pd.DataFrame({"big dog": [0.5], "cat": [0.5], "why": ["x"]})
"""


def test_labels_that_the_score_hook_does_not_know(model: Path) -> None:
    (model / "custom.py").write_text(TYPO)
    (model / "rows.csv").write_text("a\n41\n")
    labels = ("--positive-class-label", "big dgo", "--negative-class-label", "cat")
    words = ("-cd", model, "--target-type", "binary", *labels, "--load", "--row", model / "rows.csv")
    text = check(*words, code=1)["row"][0]["text"]
    assert "\"['big dgo'] not found in axis\" (the score hook returned the columns 'big dog', 'cat', 'why'; " in text
