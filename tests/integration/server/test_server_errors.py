"""What a whole server says on its terminal about a model that cannot be served, or a hook that fails."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.environments.worker_pythons import WORKERS_NEED, with_packages
from support.servers.backends import start_ours
from support.servers.process import ServerProcess
from support.wire import csv
from support.zoo import ModelFolder

REGRESSION = ("--target-type", "regression")
HOOKS = "import pandas as pd\n\n\ndef load_model(code_dir):\n    return 1\n\n\n"
FRAME = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0)[::-1]})

Start = Callable[..., ServerProcess]


@pytest.fixture
def start(tmp_path: Path, request: pytest.FixtureRequest) -> Start:
    """Start a server for the files in ``model/``, which become ``tmp_path``'s."""

    def begin(files: dict[str, bytes], *words: str) -> ServerProcess:
        path = (tmp_path / "model").resolve()
        path.mkdir()
        for name, content in files.items():
            (path / name).write_bytes(content)
        server = start_ours(ModelFolder("errors", lambda _: None, "", words), path, tmp_path / "server.log")
        request.addfinalizer(server.kill)
        return server

    return begin


def failed(server: ServerProcess) -> str:
    assert server.wait_exit() == 1
    return server.output()


@pytest.mark.parametrize(
    ("executor", "arguments", "all_frames"),
    [
        ("pool", (), False),
        ("inline", ("--show-stacktrace",), True),
        ("pool", ("--logging-level", "debug"), True),
        pytest.param("inline", (), False, marks=pytest.mark.slow),
        pytest.param("pool", ("--show-stacktrace",), True, marks=pytest.mark.slow),
        pytest.param("inline", ("--logging-level", "debug"), True, marks=pytest.mark.slow),
    ],
)
def test_the_log_begins_at_the_hook(start: Start, executor: str, arguments: tuple[str, ...], all_frames: bool) -> None:
    code = HOOKS + "def score(data, model, **kwargs):\n    return pd.DataFrame({'p': data['nope']})\n"
    server = start({"custom.py": code.encode()}, *REGRESSION, "--executor", executor, *arguments)
    server.wait_ready()
    answer = server.send(csv(b"a\n1\n"))
    assert answer.json() == {
        "message": "ERROR: Model 'score' hook failed to make predictions. Exception: KeyError('nope')"
    }
    assert server.stop() == 0
    text = server.output()
    assert 'custom.py", line 9, in score' in text
    assert "return pd.DataFrame({'p': data['nope']})" in text
    assert ("in run_stage" in text) is all_frames
    assert ("user_errors.StageError: " in text) is all_frames


def test_a_score_hook_without_the_column(start: Start) -> None:
    code = HOOKS + "def score(data, model, **kwargs):\n    return pd.DataFrame({'x': [1.0], 'y': [2.0]})\n"
    server = start({"custom.py": code.encode()}, *REGRESSION)
    server.wait_ready()
    assert server.send(csv(b"a\n1\n")).json() == {"message": "ERROR: \"['Predictions'] not found in axis\""}
    assert server.stop() == 0
    text = server.output()
    assert (
        "the score hook returned the columns 'x', 'y'; for target type regression it must return one column, or "
        "'Predictions' beside others"
    ) in text
    assert "Traceback" not in text


def test_a_file_that_curl_sends_as_a_form(start: Start) -> None:
    code = HOOKS + "def score(data, model, **kwargs):\n    return data\n"
    server = start({"custom.py": code.encode()}, *REGRESSION)
    server.wait_ready()
    form = csv(b"a,b1,2", content_type="application/x-www-form-urlencoded")
    assert [server.send(form).status for _ in range(2)] == [422, 422]
    assert server.stop() == 0
    assert server.output().count("That is the type that curl -d sends") == 1


def test_a_header_alone_in_a_hook(start: Start) -> None:
    """The answer is the hook's own, as with DRUM; the log has the hint."""
    code = HOOKS + "def score(data, model, **kwargs):\n    raise ValueError('no rows')\n"
    server = start({"custom.py": code.encode()}, *REGRESSION)
    server.wait_ready()
    answer = server.send(csv(b"a,b1,23,4"))
    assert answer.json()["message"].endswith("Exception: ValueError('no rows')")
    assert server.stop() == 0
    assert "(The data has 0 rows, only a header line: curl -d removes line breaks." in server.output()


def test_a_syntax_error(start: Start) -> None:
    text = failed(start({"custom.py": b"def broken(:\n    pass\n"}, *REGRESSION))
    assert "importlib" not in text
    assert "def broken(:" in text
    assert text.rstrip().endswith("ERROR: invalid syntax (custom.py, line 1)")


def test_a_misspelt_label_ends_the_start(start: Start) -> None:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(FRAME, np.where(FRAME["a"] > 9, "survived", "died"))
    labels = ("--positive-class-label", "survivd", "--negative-class-label", "died")
    text = failed(start({"m.pkl": pickle.dumps(model)}, "--target-type", "binary", *labels))
    *_, error, remedy = text.strip().splitlines()
    assert error.startswith("ERROR: The class labels 'survivd', 'died' are not the model's classes 'died', 'survived'")
    assert "did you mean 'survived'?" in error
    assert remedy.startswith("Start with --positive-class-label survived --negative-class-label died")
    assert "Traceback" not in text


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["bare", "pipeline"])
def test_an_xgboost_model_in_an_interpreter_without_anything(start: Start, kind: str) -> None:
    """The pip command is that interpreter's, and names all packages at once."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBRegressor

    booster = XGBRegressor(n_estimators=2, n_jobs=1)
    model = (booster if kind == "bare" else make_pipeline(StandardScaler(), booster)).fit(FRAME, FRAME["a"])
    python = with_packages("3.8", *WORKERS_NEED) / "bin" / "python"
    server = start({"m.pkl": pickle.dumps(model)}, *REGRESSION, "--worker-python", str(python))
    text = failed(server)
    names = {"bare": "xgboost scikit-learn", "pipeline": "scikit-learn xgboost"}[kind]
    assert (
        text.strip()
        .splitlines()[-1]
        .endswith(f"which are not installed. Install with: {python} -m pip install {names}")
    )
