"""``drum-litestar predict`` as a user runs it."""

from __future__ import annotations

import gzip
import io
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from support.data import csv_of, table
from support.environments.same_names import pip_target
from support.environments.worker_pythons import WORKERS_NEED, with_packages
from support.servers.backends import console_script
from support.servers.fleet import require
from support.servers.process import clean_environment
from support.zoo import Zoo

HOOKS = """
import os
import pandas as pd


def load_model(code_dir):
    return 1


def score(data, model, **kwargs):
    print("rows:", len(data), flush=True)
    if "kill" in data.columns:
        os.kill(os.getpid(), 9)
    if "wait" in data.columns:
        open(data["wait"].iloc[0], "w").close()
        os.read(os.open(data["pipe"].iloc[0], os.O_RDONLY), 1)
    if (data["a"] == 13).any():
        raise ValueError("a row with\\n13")
    return pd.DataFrame({"Predictions": data["a"] + model})
"""


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "custom.py").write_text(HOOKS)
    return folder


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.csv"
    path.write_text("a\n" + "".join(f"{number}\n" for number in range(20)))
    return path


def run(*words: object, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [console_script(), "predict", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(env), check=False, stdin=subprocess.DEVNULL
    )


def regression(folder: Path, file: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return run(folder, file, "--target-type", "regression", *words)


def test_csv_on_standard_output_and_prints_on_the_other(hooks: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("a\n1\n2.5\n")
    done = regression(hooks, data)
    assert (done.returncode, done.stdout) == (0, "Predictions\n2.0\n3.5\n")
    assert "rows: 2" in done.stderr


def test_a_hook_sees_the_whole_table_unless_parts_are_asked_for(hooks: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("a\n" + "".join(f"{number}\n" for number in range(100, 112)))
    whole, parts = regression(hooks, data), regression(hooks, data, "--chunk-rows", 5, "--max-workers", 2)
    assert whole.stdout == parts.stdout
    assert whole.stderr.count("rows:") == 1
    assert sorted(line.split()[1] for line in parts.stderr.splitlines()) == ["2", "5", "5"]


def test_parts_give_the_whole_files_answer(zoo: Zoo, tmp_path: Path) -> None:
    """A column of the table is text in some parts and blank in others, and whole numbers in some."""
    require("mixed")
    folder, path = zoo["mixed"]
    words = [word for word in folder.command_line(path) if word not in ("-cd", str(path))]
    lines = ["age,fare,name,sex,port"]
    for row in range(60):
        age = "" if 20 <= row < 40 else f"{row}"
        port = "" if row < 20 else "SCQ"[row % 3]
        lines.append(f'{age},{row if row < 30 else row + 0.5},"Doe, J.",{("male", "female")[row % 2]},{port}')
    data = tmp_path / "data.csv"
    data.write_text("\n".join(lines) + "\n")
    whole, parts = run(path, data, *words, "--whole"), run(path, data, *words, "--chunk-rows", 7)
    assert (whole.returncode, parts.returncode) == (0, 0), whole.stderr + parts.stderr
    assert whole.stdout.count("\n") == 61
    pd.testing.assert_frame_equal(
        pd.read_csv(io.StringIO(whole.stdout)), pd.read_csv(io.StringIO(parts.stdout)), rtol=1e-14
    )


def test_output_into_a_file(zoo: Zoo, tmp_path: Path) -> None:
    require("regression")
    data, out = tmp_path / "data.csv", tmp_path / "out.csv"
    data.write_bytes(csv_of(table(3)))
    done = regression(zoo["regression"][1], data, "--output", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert out.read_text().splitlines()[0] == "Predictions"


@pytest.mark.parametrize(
    ("content", "words", "text"),
    [
        (b"", [], "data.csv is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", [], "data.csv: Supplied CSV input file encoding must be UTF-8."),
        pytest.param(
            b"b\n1\n",
            [],
            "data.csv: Model 'score' hook failed to make predictions. Exception: KeyError('a')",
            marks=pytest.mark.slow,
        ),
        (b"a,b\n1,2\n1,2,3\n", [], "data.csv: Pandas failed to read input binary data: Error tokenizing data."),
        (b"a\n1\n13\n", [], r"Exception: ValueError('a row with\n13')"),
        (b"a\n1\n2\n3\n13\n", ["--chunk-rows", "2"], "data.csv, rows 3 to 4: Model 'score' hook failed"),
        (b"a,kill\n1,1\n", [], "data.csv: The model worker terminated unexpectedly"),
    ],
)
def test_a_failure_is_one_line_and_leaves_no_file(
    content: bytes, words: list[str], text: str, hooks: Path, tmp_path: Path
) -> None:
    data, out = tmp_path / "data.csv", tmp_path / "out.csv"
    data.write_bytes(content)
    done = regression(hooks, data, "--output", out, *words)
    said = [line for line in done.stderr.splitlines() if not line.startswith("rows:")]
    assert len(said) == 1, done.stderr
    assert said[0].startswith("drum-litestar: error: ")
    assert text in said[0]
    assert done.returncode == (2 if not content else 1)
    assert not list(tmp_path.glob("*out*"))


def test_an_output_that_cannot_be_written_is_known_before_the_model_is_loaded(hooks: Path, numbers: Path) -> None:
    done = regression(hooks, numbers, "--output", "/proc/no/out.csv")
    assert done.returncode == 2
    expected = "drum-litestar: error: --output /proc/no/out.csv cannot be written: No such file or directory\n"
    assert done.stderr == expected


@pytest.mark.parametrize(("words", "name"), [("--output /dev/full", "/dev/full"), (">/dev/full", "standard output")])
def test_a_full_disk_is_one_line(words: str, name: str, hooks: Path, numbers: Path) -> None:
    numbers.write_text("a\n1\n")
    command = f"{console_script()} predict {hooks} {numbers} --target-type regression {words}"
    done = subprocess.run(["sh", "-c", command], env=clean_environment(), capture_output=True, text=True, timeout=120)
    said = [line for line in done.stderr.splitlines() if not line.startswith("rows:")]
    problem = f"{numbers} cannot be read, or {name} not be written: No space left on device"
    assert (done.returncode, said) == (2, [f"drum-litestar: error: {problem}"])


def test_a_model_that_cannot_be_loaded(hooks: Path, numbers: Path) -> None:
    (hooks / "custom.py").write_text("raise ValueError('not today')\n")
    done = regression(hooks, numbers)
    assert (done.returncode, done.stderr) == (1, "drum-litestar: error: not today\n")
    assert "Traceback" in regression(hooks, numbers, "--show-stacktrace").stderr


def test_tracebacks_when_asked_for(hooks: Path, numbers: Path) -> None:
    assert 'raise ValueError("a row with' in regression(hooks, numbers, "--show-stacktrace").stderr


def test_runtime_parameters_and_variables_of_the_environment(tmp_path: Path, numbers: Path) -> None:
    (tmp_path / "custom.py").write_text(
        "import pandas as pd\n"
        "from datarobot_drum import RuntimeParameters\n\n\n"
        "def load_model(code_dir):\n    return RuntimeParameters.get('ADDED')\n\n\n"
        "def score(data, model, **kwargs):\n    return pd.DataFrame({'Predictions': data['a'] * model})\n"
    )
    (tmp_path / "model-metadata.yaml").write_text(
        "name: x\ntype: inference\ntargetType: regression\nruntimeParameterDefinitions:\n"
        "  - fieldName: ADDED\n    type: numeric\n    defaultValue: 0\n"
    )
    (tmp_path / "values.yaml").write_text("ADDED: 10\n")
    done = run(tmp_path, numbers, env={"RUNTIME_PARAMS_FILE": str(tmp_path / "values.yaml")})
    assert (done.returncode, done.stdout.splitlines()[:3]) == (0, ["Predictions", "0", "10"]), done.stderr


def test_unstructured_as_a_request_would(tmp_path: Path) -> None:
    (tmp_path / "custom.py").write_text(
        "def load_model(code_dir):\n    return 1\n\n\n"
        "def score_unstructured(model, data, query, **kwargs):\n"
        "    return repr((data, kwargs['mimetype'], query['lang'])).encode('utf-16')\n"
    )
    data = tmp_path / "data.bin"
    data.write_bytes(b"\xff")
    words = ["--target-type", "unstructured", "--query", "lang=en", "--content-type", "application/x"]
    done = run(tmp_path, data, *words, "--output", tmp_path / "out.bin")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.bin").read_bytes().decode("utf-16") == repr((b"\xff", "application/x", "en"))


def test_an_interrupt_leaves_no_file(hooks: Path, tmp_path: Path) -> None:
    seen, pipe = tmp_path / "seen", tmp_path / "pipe"
    os.mkfifo(pipe)
    data = tmp_path / "data.csv"
    data.write_text(f"a,wait,pipe\n1,{seen},{pipe}\n")
    command = [console_script(), "predict", str(hooks), str(data), "--target-type", "regression"]
    process = subprocess.Popen(
        [*command, "--output", str(tmp_path / "out.csv")],
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
        start_new_session=True,
    )
    assert process.stderr is not None
    with pipe.open("wb"):  # opened by the hook, too: it is under way
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert "interrupted; nothing is left in --output" in process.stderr.read()
    process.stderr.close()
    assert not list(tmp_path.glob("*out*"))


def test_a_progress_bar_on_a_terminal(hooks: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("a\n" + "100\n" * 30)
    command = [console_script(), "predict", str(hooks), str(data), "--target-type", "regression", "--chunk-rows", "10"]
    ours, terminal = pty.openpty()
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=terminal, env=clean_environment(), check=True, stdin=subprocess.DEVNULL
    )
    os.close(terminal)
    shown = b""
    while not shown.endswith(b"\x1b[2K"):
        shown += os.read(ours, 4096)
    os.close(ours)
    assert b"100% [" + b"#" * 30 + b"] 30 rows" in shown
    assert done.stdout.decode().count("101") == 30


def test_parquet(hooks: Path, numbers: Path, tmp_path: Path) -> None:
    """With pyarrow's real release, beside the environment."""
    out = tmp_path / "out.parquet"
    done = regression(hooks, tmp_path / "few.csv", "--output", out) if _few(tmp_path) else None
    assert done is not None
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        assert (done.returncode, list(tmp_path.glob("*parquet*"))) == (1, [])
        assert "pyarrow" in done.stderr
        assert "install" in done.stderr
    try:
        packages = pip_target(tmp_path / "packages", "pyarrow")
    except AssertionError as error:
        pytest.skip(f"no package index: {error}")
    env = {"PYTHONPATH": str(packages)}
    done = run(hooks, tmp_path / "few.csv", "--target-type", "regression", "--output", out, "--chunk-rows", 2, env=env)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    read = (
        "import pyarrow.parquet as p, sys\n"
        "t = p.read_table(sys.argv[1])\n"
        "print(t.schema.field(0).type, t.to_pydict())\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", read, str(out)], capture_output=True, text=True, env={**os.environ, **env}, check=True
    )
    assert shown.stdout == "double {'Predictions': [2.0, 3.0, 1.3333333333333333]}\n"


def test_an_old_python_of_the_models_own(zoo: Zoo, tmp_path: Path) -> None:
    """Its pandas keeps text in columns of objects. The model says what types it sees."""
    python = with_packages("3.8", *WORKERS_NEED)
    folder, path = zoo["text"]
    data = tmp_path / "data.csv"
    lines = [f'{row if row < 20 else row + 0.5},{"" if row < 25 else "x"},"a\nb"' for row in range(40)]
    data.write_text("\n".join(["n,late,txt", *lines]) + "\n")
    words = [path, data, "--target-type", "textgeneration", "--worker-python", python]
    whole, parts = run(*words, env=folder.env), run(*words, "--chunk-rows", 7, env=folder.env)
    assert (whole.returncode, parts.returncode) == (0, 0), whole.stderr + parts.stderr
    index = re.compile(r'""index"": \d+')
    assert index.sub("", parts.stdout) == index.sub("", whole.stdout)
    assert '""types"": [""float64"", ""object"", ""object""]' in parts.stdout


def _few(folder: Path) -> Path:
    path = folder / "few.csv"
    path.write_text("a\n1\n2\n0.3333333333333333\n")
    return path


def test_a_hint_of_the_hooks(hooks: Path, numbers: Path) -> None:
    code = "import pandas as pd\ndef load_model(d): return 1\ndef score(data, model, **kwargs):\n"
    (hooks / "custom.py").write_text(code + "    return pd.DataFrame({'dog': data['a'], 'cat': 0, 'why': 'x'})\n")
    labels = ("--positive-class-label", "dgo", "--negative-class-label", "cat")
    done = run(hooks, numbers, "--target-type", "binary", *labels)
    assert done.returncode == 1
    assert "\"['dgo'] not found in axis\" (the score hook returned the columns 'dog', 'cat', 'why'; " in done.stderr


def test_a_compressed_file(hooks: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.csv.gz"
    data.write_bytes(gzip.compress(b"a\n1\n"))
    done = regression(hooks, data)
    assert done.returncode == 1
    assert f"{data}: it is compressed with gzip; unpack it first (gunzip)" in done.stderr
    assert "UTF-8" not in done.stderr
