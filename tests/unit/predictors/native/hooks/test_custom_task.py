"""Class mode and its secrets: contract, 4.10 and 4.12. Runs on the stand-in, or on the real interfaces if installed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.calls.error_replies import error_reply
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.protocol import TargetType

LoadFolder = Callable[..., LoadedModel]

FAILED = "An error occurred when loading your artifact: Failed to load custom task class. Exception: "
TASK = """
import pandas as pd
from datarobot_drum.custom_task_interfaces import RegressionEstimatorInterface, ApiTokenSecret
class CustomTask(RegressionEstimatorInterface):
    @classmethod
    def load(cls, code_dir):
        return cls()
    def predict(self, X, **kwargs):
        return pd.DataFrame({"p": [kwargs["factor"]] * len(X)})
    async def predict_proba(self, X, **kwargs):
        return len(X)
    def transform(self, X):
        return X * 2
def score(*args, **kwargs): raise AssertionError("hooks are ignored in class mode")
init = score
"""
TOKEN = '{"credential_type": "API_TOKEN", "api_token": "%s", "unknown": 1}'


def test_calls(load_folder: LoadFolder) -> None:
    loaded = load_folder({"custom.py": TASK})
    task = loaded.hooks.custom_task
    frame = pd.DataFrame({"a": [1, 2]})
    assert task is not None
    assert loaded.hooks.names == ()
    assert loaded.model is task.task
    assert task.predict(frame, factor=3)["p"].tolist() == [3, 3]
    assert task.predict_proba(frame) == 2
    assert task.transform(frame)["a"].tolist() == [2, 4]


def test_unstructured_target_starts(load_folder: LoadFolder) -> None:
    assert load_folder({"custom.py": TASK}, TargetType.UNSTRUCTURED).hooks.custom_task is not None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("pass", f"{FAILED}FileNotFoundError(2, 'No such file or directory')"),
        (
            "load = classmethod(lambda cls, code_dir: 3)",
            f"{FAILED}AttributeError(\"'int' object has no attribute 'secrets'\")",
        ),
        ("load = classmethod(lambda cls, code_dir: (_ for _ in ()).throw(CustomHTTPError('tea', 418)))", "tea"),
    ],
)
def test_load_fails(load_folder: LoadFolder, body: str, message: str) -> None:
    code = (
        "from datarobot_drum import CustomHTTPError\n"
        "from datarobot_drum.custom_task_interfaces import TransformerInterface\n"
        f"class CustomTask(TransformerInterface):\n    {body}\n"
    )
    with pytest.raises(ModelLoadError) as caught:
        load_folder({"custom.py": code})
    assert str(caught.value) == message


def test_saved_task_loads_back(load_folder: LoadFolder, tmp_path: Path) -> None:
    code = TASK.replace("        return cls()", "        return cls.load_task(code_dir)")
    code += "class Other(RegressionEstimatorInterface): pass\n"
    loaded = None
    with pytest.raises(ModelLoadError, match="No such file"):
        load_folder({"custom.py": code})
    task = sys.modules["custom"].CustomTask()
    task.keep, task.drop = 1, 2
    folder = tmp_path / "model"
    task.save_task(str(folder), exclude=["drop"])
    assert task.drop == 2
    loaded = sys.modules["custom"].CustomTask.load(str(folder))
    assert vars(loaded) == {"keep": 1, "drop": None}
    with pytest.raises(Exception, match=r"^load_task method must return a Other class$"):
        sys.modules["custom"].Other.load_task(str(folder))
    with pytest.raises(Exception, match=r"^The object named nope passed in exclude= was not found$"):
        task.save_task(str(folder), exclude=["nope"])
    assert task.save(str(folder)) is task


def test_secrets_are_typed_and_masked(
    load_folder: LoadFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mount = tmp_path / "mount"
    (mount / "directory").mkdir(parents=True)
    (mount / "A").write_text(TOKEN % "file-token")
    monkeypatch.setenv("PFX_A", TOKEN % "hidden by the file")
    monkeypatch.setenv("PFX_B", TOKEN % "file-token-longer")
    monkeypatch.setenv("PFXC", "not ours")
    loaded = load_folder({"custom.py": TASK}, user_secrets_mount_path=str(mount), user_secrets_prefix="PFX")
    secrets = loaded.model.secrets
    assert {name: secret.api_token for name, secret in secrets.items()} == {
        "A": "file-token",
        "B": "file-token-longer",
    }
    assert isinstance(secrets["A"], sys.modules["custom"].ApiTokenSecret)
    assert repr(secrets["A"]) == "ApiTokenSecret(api_token='*****')"

    stream = sys.stdout
    sys.stdout.write("out file-token-longer, file-token\n")
    sys.stderr.writelines(["err ", "file-token\n"])
    sys.stdout.flush()
    record = logging.getLogger("made.later").makeRecord(
        "made.later", logging.INFO, __file__, 1, "log %s %d", ("file-token", 5), _exception("file-token")
    )
    assert record.getMessage() == "log ***** 5"
    assert record.exc_text is not None
    assert "file-token" not in record.exc_text
    assert error_reply(ValueError("no file-token-longer")).body == b'{"message":"ERROR: no *****"}\n'

    loaded.hooks.close()
    assert sys.stdout is not stream
    assert capsys.readouterr() == ("out *****, *****\n", "err *****\n")


def _exception(text: str) -> Any:
    try:
        raise ValueError(text)
    except ValueError:
        return sys.exc_info()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"credential_type": "zzz"}', "UnsupportedSecretError(\"Unsupported secret type: 'zzz'\")"),
        ('{"token": "x"}', "KeyError('credential_type')"),
        ("[1", "JSONDecodeError(\"Expecting ',' delimiter: line 1 column 3 (char 2)\")"),
        (
            '{"credential_type": "basic", "username": "u"}',
            "TypeError(\"BasicSecret.__init__() missing 1 required positional argument: 'password'\")",
        ),
    ],
)
def test_broken_secret(load_folder: LoadFolder, monkeypatch: pytest.MonkeyPatch, text: str, error: str) -> None:
    monkeypatch.setenv("PFX_A", text)
    with pytest.raises(ModelLoadError) as caught:
        load_folder({"custom.py": TASK}, user_secrets_prefix="PFX")
    assert str(caught.value) == FAILED + error


def test_missing_mount_is_no_error(load_folder: LoadFolder, tmp_path: Path) -> None:
    loaded = load_folder({"custom.py": TASK}, user_secrets_mount_path=str(tmp_path / "nowhere"))
    assert loaded.model.secrets == {}
