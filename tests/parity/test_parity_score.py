"""``drum-litestar predict`` writes the bytes of the real ``drum score --output``."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from drum_litestar.tools.predict.scoring import CHUNK_ROWS
from support.data import csv_of, table
from support.servers.backends import DrumOracle, console_script
from support.servers.fleet import require
from support.servers.process import clean_environment
from support.zoo import Zoo

NUMBERS = csv_of(table(40))
TEXT = b'id,txt,n\n01,"a ""q"", \xc3\xa9",1\n2,,2.5\n3,"x\ny",\n'
FRAMES = {
    "extra": "pd.DataFrame({'e': [1, 2.5], 'Predictions': [1/3, 2], 'd': ['x,y', None]})",
    "other index": "pd.DataFrame({'e': [1, 2], 'Predictions': [1/3, 2]}, index=[1, 2])",
    "whole numbers": "pd.DataFrame({'z': [1, 2]})",
    "truth": "pd.DataFrame({'z': [True, False]})",
    "extreme": "pd.DataFrame({'z': [1e-320, 1.7976931348623157e308]})",
    "blanks": "pd.DataFrame({'z': [None, float('nan')]})",
    "binary": "pd.DataFrame({'e': [1, 2], 'YES': [1/3, .25], 'No': [2/3, .75]})",
    "binary, extra": "pd.DataFrame({'e': [1, 2], 'no': [1/3, .25], 'yes': [2/3, .75]})",
    "text": "pd.DataFrame({'x': [1, 2], 'completion': ['a,b', None], 'when': pd.to_datetime(['2020-01-01'] * 2)})",
    "points": "pd.DataFrame({'x': [[1.5, 2], 'POINT (1 2)']})",
    "transform": "pd.DataFrame({' a ': [1, 2], 'b\\nc': ['\\u00e9', None], 3: [True, False], 'f': [1e-20, 1/3]})",
}

UNSTRUCTURED = """
def load_model(code_dir):
    return 1


def score_unstructured(model, data, **kwargs):
    said = repr((data, kwargs["mimetype"], kwargs.get("charset")))
    results = {"text": said, "bytes": b"\\xff\\x00", "latin": ("\\u00e9", {"charset": "latin-1"})}
    return results[kwargs["query"]["do"]]
"""


def doing(frame: str) -> bytes:
    """Two rows whose hooks return ``frame``."""
    return f'do\n"{frame}"\nx\n'.encode()


def agree(
    oracle: DrumOracle, folder: Path, data: bytes, words: Sequence[str], env: dict[str, str], home: Path
) -> bytes:
    """What both write."""
    file, theirs, ours = home / "data.csv", home / "theirs.csv", home / "ours.csv"
    file.write_bytes(data)
    drum = [str(oracle.python.parent / "drum"), "score", "-cd", str(folder), "--input", str(file), *words]
    predict = [console_script(), "predict", str(folder), str(file), *words]
    for command, out in ((drum, theirs), (predict, ours)):
        done = subprocess.run(
            [*command, "--output", str(out)],
            env=clean_environment({"DRUM_LITESTAR_HOOK": "0", **env}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert ours.read_bytes() == theirs.read_bytes()
    return ours.read_bytes()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("regression", NUMBERS),
        pytest.param("binary", NUMBERS, marks=pytest.mark.slow),
        pytest.param("multiclass", NUMBERS, marks=pytest.mark.slow),
        ("text", TEXT),
        ("transform", doing(FRAMES["transform"])),
        ("hooks_regression", doing(FRAMES["extra"])),
        ("text", doing(FRAMES["text"])),
        *(
            pytest.param(name, data, marks=pytest.mark.slow)
            for name, data in (
                ("multilabel", NUMBERS),
                ("anomaly", NUMBERS),
                ("transform_sklearn", csv_of(table(40, ("a", "b")))),
                ("vectordatabase", TEXT),
                ("agenticworkflow", TEXT),
                ("geopoint_hooks", TEXT),
                ("transform", NUMBERS),
                ("hooks_regression", doing(FRAMES["other index"])),
                ("hooks_regression", doing(FRAMES["whole numbers"])),
                ("hooks_regression", doing(FRAMES["truth"])),
                ("hooks_regression", doing(FRAMES["extreme"])),
                ("hooks_regression", doing(FRAMES["blanks"])),
                ("hooks_binary", doing(FRAMES["binary"].replace("'e': [1, 2], ", ""))),
                ("hooks_binary", doing(FRAMES["binary, extra"])),
                ("geopoint_hooks", doing(FRAMES["points"])),
            )
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:40].decode(errors="replace"),
)
def test_same_bytes(name: str, data: bytes, zoo: Zoo, drum_oracle: DrumOracle, tmp_path: Path) -> None:
    require(name)
    folder, path = zoo[name]
    words = folder.command_line(path)[2:]
    assert agree(drum_oracle, path, data, words, dict(folder.env), tmp_path)


@pytest.mark.parametrize("do", ["text", *(pytest.param(do, marks=pytest.mark.slow) for do in ("bytes", "latin"))])
def test_unstructured(do: str, drum_oracle: DrumOracle, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "custom.py").write_text(UNSTRUCTURED)
    words = ["--target-type", "unstructured", "--query", f"do={do}"]
    agree(drum_oracle, model, "é\n".encode(), words, {}, tmp_path)


def test_a_table_in_parts(zoo: Zoo, drum_oracle: DrumOracle, tmp_path: Path) -> None:
    """As large a part as by default."""
    require("regression")
    folder, path = zoo["regression"]
    data = tmp_path / "data.csv"
    data.write_bytes(csv_of(table(CHUNK_ROWS + 5000)))
    agree(drum_oracle, path, data.read_bytes(), folder.command_line(path)[2:], {}, tmp_path)
