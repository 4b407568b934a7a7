"""Loading a model folder: contract, 4.3 and section 8, Q-1, Q-14, Q-22. Expected texts are DRUM 1.18.1's."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.protocol import TargetType

LoadFolder = Callable[..., LoadedModel]

PREFIX = "An error occurred when loading your artifact: "
PYTHON = "\n\nRunning environment language: Python.\n"
SCORE = "def score(data, model, **kwargs): return data\n"
TEA = "from datarobot_drum import CustomHTTPError\n"
REGRESSOR = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
CLASSIFIER = LogisticRegression().fit([[1.0], [2.0]], [0, 1])


def failure(load_folder: LoadFolder, *args: Any, **fields: Any) -> ModelLoadError:
    with pytest.raises(ModelLoadError) as caught:
        load_folder(*args, **fields)
    return caught.value


def test_artifact_with_a_framework(load_folder: LoadFolder) -> None:
    loaded = load_folder({"model.PKL": REGRESSOR})
    assert loaded.framework is not None
    assert loaded.framework.name == "scikit-learn"
    assert loaded.model.coef_ == pytest.approx([1.0])
    assert loaded.target_type is TargetType.REGRESSION
    assert (loaded.labels, loaded.metadata, loaded.language, loaded.warnings) == (None, None, "python", [])


def test_metadata_gives_target_and_labels(load_folder: LoadFolder) -> None:
    text = (
        "name: n\ntype: inference\ntargetType: binary\n"
        "inferenceModel:\n  targetName: t\n  positiveClassLabel: 1\n  negativeClassLabel: 0\n"
    )
    loaded = load_folder({"model-metadata.yaml": text, "m.pkl": CLASSIFIER}, None)
    assert loaded.target_type is TargetType.BINARY
    assert loaded.labels == ("1", "0")
    assert loaded.metadata is not None
    assert loaded.metadata["targetType"] == "binary"


@pytest.mark.parametrize("hook", ["score", "chat"])
def test_hooks_need_no_framework(load_folder: LoadFolder, hook: str) -> None:
    loaded = load_folder({"custom.py": f"def load_model(d): return d\ndef {hook}(*a, **k): pass\n"})
    assert loaded.framework is None
    assert loaded.model == str(loaded.code_dir)


def test_async_load_model(load_folder: LoadFolder) -> None:
    assert load_folder({"custom.py": SCORE + "async def load_model(d): return 7\n"}).model == 7


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "def load_model(d): raise ValueError('cannot')",
            f"{PREFIX}'load_model' hook failed to load the model. Exception: ValueError('cannot')",
        ),
        ("def load_model(d): pass", f"{PREFIX}'load_model' hook failed to load model, None is returned."),
        (TEA + "def load_model(d): raise CustomHTTPError('tea', 418)", "tea"),
        (TEA + "def init(code_dir): raise CustomHTTPError('tea', 418)", "tea"),
        ("def init(code_dir): raise ValueError('bad init')", "bad init"),
        ("def init(d): pass", "init() got an unexpected keyword argument 'code_dir'"),
        ("raise KeyError('q')", "'q'"),
        ("raise ValueError", "ValueError()"),
        ("import sys; sys.exit(9)", "The model's code called sys.exit(9) during start-up."),
        ("def load_model(d): raise SystemExit('bye')", "The model's code called sys.exit('bye') during start-up."),
        ("class CustomTask: pass", "The CustomTask class must inherit from the CustomTaskInterface"),
    ],
)
def test_failing_user_code(load_folder: LoadFolder, code: str, message: str) -> None:
    error = failure(load_folder, {"custom.py": f"{SCORE}{code}\n"})
    assert str(error) == message
    assert error.exit_code == 1


def test_the_log_gets_the_users_traceback(load_folder: LoadFolder) -> None:
    error = failure(load_folder, {"custom.py": SCORE + "def load_model(d):\n    raise ValueError('cannot')\n"})
    assert "custom.py" in error.detail
    assert "ValueError: cannot" in error.detail


def test_syntax_error(load_folder: LoadFolder) -> None:
    error = failure(load_folder, {"custom.py": "def f(:\n"})
    assert str(error) == "invalid syntax (custom.py, line 1)"


def test_no_artifact(load_folder: LoadFolder, tmp_path: Path) -> None:
    error = failure(load_folder, {"custom.py": SCORE, "a.txt": b""})
    assert str(error) == (
        f"{PREFIX}{PYTHON}Could not find model artifact file in: {tmp_path / 'model'} supported by default "
        "predictors.\nThey support filenames with the following extensions ['.h5', '.onnx', '.pkl', '.pth'].\n"
        "If your artifact is not supported by default predictor, implement custom.load_model() hook.\n"
        "List of retrieved files are: a.txt | custom.py"
    )


def test_several_artifacts(load_folder: LoadFolder) -> None:
    error = failure(load_folder, {"b.PKL": b"", "a.pkl": b"", "c.txt": b""})
    assert str(error) == (
        f"{PREFIX}{PYTHON}Multiple serialized model files found. Remove extra artifacts or overwrite "
        "custom.load_model()\nList of retrieved files are: a.pkl | b.PKL | c.txt"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a pickle", "UnpicklingError(\"invalid load key, 'n'.\")"),
        (b"", "EOFError('Ran out of input')"),
        (b"cnosuchmod\nX\n.", "ModuleNotFoundError(\"No module named 'nosuchmod'\")"),
    ],
)
def test_broken_pickle(load_folder: LoadFolder, content: bytes, message: str) -> None:
    error = failure(load_folder, {"a.pkl": content})
    assert error.reason == f"{PREFIX}Could not load model from the artifact file. Exception: {message}"


@pytest.mark.parametrize("files", [{"a.pkl": {"a": 1}}, {"custom.py": "def load_model(d): return {}\n"}])
def test_no_framework(load_folder: LoadFolder, files: dict[str, Any]) -> None:
    assert str(failure(load_folder, files)) == (
        f"{PREFIX}{PYTHON}Could not find any framework to handle loaded model and a score hook is not provided"
    )


def test_transform_without_hook_is_for_sklearn(load_folder: LoadFolder) -> None:
    error = failure(load_folder, {"a.pkl": {"a": 1}}, TargetType.TRANSFORM)
    assert str(error) == f"{PREFIX}A transform task requires a user-defined transform hook for non-sklearn transformers"


def test_transform_has_no_framework(load_folder: LoadFolder) -> None:
    assert load_folder({"a.pkl": REGRESSOR}, TargetType.TRANSFORM).framework is None


def test_unstructured_needs_its_hook(load_folder: LoadFolder) -> None:
    error = failure(load_folder, {"custom.py": "def load_model(d): return 1\n"}, TargetType.UNSTRUCTURED)
    assert str(error) == "In 'unstructured' mode hook 'score_unstructured' must be provided."


def test_unstructured_loads_any_artifact(load_folder: LoadFolder) -> None:
    files = {"custom.py": "def score_unstructured(model, data, **kwargs): return 'x'\n", "a.pkl": {"a": 1}}
    loaded = load_folder(files, TargetType.UNSTRUCTURED)
    assert loaded.model == {"a": 1}
    assert loaded.framework is None


def test_user_code_sees_the_users_command_line(load_folder: LoadFolder) -> None:
    code = SCORE + "import sys\nseen = list(sys.argv)\ndef load_model(d): return seen\n"
    assert load_folder({"custom.py": code}, argv=("drum-litestar", "server")).model == ["drum-litestar", "server"]
    assert sys.argv == ["drum-litestar", "server"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{x", "Failed to parse deployment config json file '{path}'"),
        ('{"a": 1}', "'target' section not found in deployment config json file {path}"),
        ("[1]", "list indices must be integers or slices, not str"),
        ("null", "'NoneType' object is not subscriptable"),
        ('{"target": [1]}', "'target' section of deployment config json file {path} is not an object"),
    ],
)
def test_broken_deployment_config(load_folder: LoadFolder, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "deployment.json"
    path.write_text(text)
    error = failure(load_folder, {"a.pkl": REGRESSOR}, deployment_config=str(path))
    assert str(error) == message.replace("{path}", str(path))


def test_deployment_config(load_folder: LoadFolder, tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    target = {"name": "t", "class_mapping": [["yes", 1], ["no", 0]], "prediction_threshold": 0.25}
    path.write_text(json.dumps({"target": target}))
    config = load_folder({"a.pkl": REGRESSOR}, deployment_config=str(path)).deployment_config
    assert config is not None
    assert (config.name, config.class_names, config.prediction_threshold) == ("t", ["no", "yes"], 0.25)


def test_deployment_config_without_mapping_fails_when_used(load_folder: LoadFolder, tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    path.write_text('{"target": {"name": "t"}}')
    config = load_folder({"a.pkl": REGRESSOR}, deployment_config=str(path)).deployment_config
    assert config is not None
    with pytest.raises(KeyError, match="class_mapping"):
        _ = config.class_names


CHAT = {"custom.py": "def load_model(d): return 1\ndef chat(*a): pass\n", "moderation_config.yaml": "a: 1\n"}


def test_moderation_is_not_dropped_silently(load_folder: LoadFolder) -> None:
    error = failure(load_folder, CHAT, TargetType.TEXT_GENERATION, target_name="answer")
    assert "package 'datarobot_dome' is not installed" in str(error)


def test_moderation_may_be_optional(load_folder: LoadFolder) -> None:
    loaded = load_folder(CHAT, TargetType.TEXT_GENERATION, target_name="answer", moderations_optional=True)
    assert len(loaded.warnings) == 1
    assert loaded.warnings[0].endswith("Moderation is disabled.")


def test_moderation_concerns_text_targets_only(load_folder: LoadFolder) -> None:
    assert load_folder(CHAT, TargetType.REGRESSION).warnings == []
