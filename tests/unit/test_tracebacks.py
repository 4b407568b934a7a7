"""Tracebacks for the people who wrote the model, from real hooks that a predictor calls."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drum_litestar import tracebacks
from drum_litestar.drum_json import drum_json
from drum_litestar.errors import ModelLoadError
from drum_litestar.observability.logs.log_format import TextFormatter
from drum_litestar.predictors.folder.targets import resolve_labels
from drum_litestar.predictors.native.native_predictor import NativePredictor
from drum_litestar.predictors.protocol import ModelCall, Payload, TargetType
from drum_litestar.predictors.spec import PredictorSpec

OWN = str(Path(tracebacks.__file__).parent)
CALL = ModelCall(kind="predict", x=Payload(data=b"a\n1\n", size=4, mimetype="text/csv"))
LOAD = "def load_model(code_dir): return 1\n"

Logged = Callable[[str], str]


class Lines(logging.Handler):
    """Keeps what the server's text format makes of each record."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(TextFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Logged]:
    """The log's lines about one prediction with the ``custom.py``."""
    predictors: list[NativePredictor] = []
    handler = Lines()

    def predict(code: str) -> str:
        (tmp_path / "custom.py").write_text(code)
        predictor = NativePredictor(PredictorSpec(code_dir=str(tmp_path), target_type=TargetType.REGRESSION))
        predictors.append(predictor)
        predictor.load()
        predictor.handle(CALL)
        return "\n".join(handler.lines)

    logger = logging.getLogger("drum")
    logger.addHandler(handler)
    yield predict
    logger.removeHandler(handler)
    for predictor in predictors:
        predictor.close()


def frames(text: str) -> list[str]:
    """File and function of each frame."""
    return [f"{Path(file).name} {name}" for file, name in re.findall(r'File "([^"]+)", line \d+, in (\S+)', text)]


def test_a_hook_is_the_first_frame(logged: Logged) -> None:
    text = logged(LOAD + "def helper(): return {}['nope']\ndef score(data, model, **kwargs): return helper()\n")
    assert frames(text) == ["custom.py score", "custom.py helper"]
    assert "Model 'score' hook failed to make predictions. Exception: KeyError('nope')" in text
    assert text.endswith("KeyError: 'nope'")
    assert "StageError" not in text
    assert OWN not in text


def test_an_asynchronous_hook_too(logged: Logged) -> None:
    text = logged(LOAD + "async def score(data, model, **kwargs): return {}['nope']\n")
    assert frames(text) == ["custom.py score"]


def test_causes_and_contexts_are_kept(logged: Logged) -> None:
    code = (
        "def score(data, model, **kwargs):\n"
        "    try:\n"
        "        try: 1 / 0\n"
        "        except ZeroDivisionError: {}['inner']\n"
        "    except KeyError as error: raise ValueError('outer') from error\n"
    )
    text = logged(LOAD + code)
    assert text.index("ZeroDivisionError:") < text.index("KeyError: 'inner'") < text.index("ValueError: outer")
    assert "During handling of the above exception" in text
    assert "direct cause" in text
    assert set(frames(text)) == {"custom.py score"}


def test_libraries_that_a_hook_calls_are_kept(logged: Logged) -> None:
    text = logged(LOAD + "def score(data, model, **kwargs): return data.drop(columns=['nope'])\n")
    assert frames(text)[0] == "custom.py score"
    assert any("site-packages" in line and "pandas" in line for line in text.splitlines())


def test_a_call_that_does_not_fit_the_hook(logged: Logged) -> None:
    text = logged(LOAD + "def score(data, model): return data\n")
    assert "TypeError: score() got an unexpected keyword argument" in text
    assert frames(text) == []
    assert "Traceback" not in text


def test_what_the_server_itself_refuses_has_no_traceback(logged: Logged) -> None:
    text = logged(LOAD + "def score(data, model, **kwargs): return [1.0]\n")
    assert text.count("score must return a dataframe, but received <class 'list'>") >= 1
    assert frames(text) == []


def test_all_frames(logged: Logged) -> None:
    tracebacks.show_all_frames(True)
    try:
        text = logged(LOAD + "def score(data, model, **kwargs): return {}['nope']\n")
    finally:
        tracebacks.show_all_frames(False)
    assert "StageError" in text
    assert "user_errors.py run_stage" in frames(text)
    assert "custom.py score" in frames(text)


def test_a_syntax_error_shows_its_line_alone(tmp_path: Path) -> None:
    assert detail(tmp_path, "def broken(:\n    pass\n") == (
        f'  File "{tmp_path}/custom.py", line 1\n    def broken(:\n               ^\nSyntaxError: invalid syntax'
    )


def test_an_import_shows_the_line_that_imports(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("import nosuchmod\n")
    text = detail(tmp_path, "import beside\n")
    assert frames(text) == ["custom.py <module>", "beside.py <module>"]


def detail(folder: Path, code: str) -> str:
    """The traceback of a load that fails."""
    (folder / "custom.py").write_text(code)
    predictor = NativePredictor(PredictorSpec(code_dir=str(folder), target_type=TargetType.REGRESSION))
    with pytest.raises(ModelLoadError) as caught:
        predictor.load()
    return caught.value.detail


def test_a_library_is_shown_from_where_the_server_calls_it() -> None:
    text = tracebacks.format_exception(raised(lambda: drum_json(object())))
    assert frames(text)[0] == "drum_json.py drum_json"
    assert frames(text)[-1] == "encoder.py default"


def test_an_error_of_the_servers_own_keeps_all_frames() -> None:
    not_a_label: Any = None
    text = tracebacks.format_exception(raised(lambda: resolve(not_a_label)))
    assert frames(text) == ["targets.py resolve_labels", "targets.py _binary_labels"]


def resolve(spec: Any) -> Any:
    return resolve_labels(spec, TargetType.BINARY, None)


def raised(function: Callable[[], Any]) -> Exception:
    """What ``function`` raises, without the frames of this file."""
    try:
        function()
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        return error.with_traceback(trace)
    raise AssertionError("nothing was raised")
