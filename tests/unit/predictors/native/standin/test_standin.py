"""The stand-in for ``datarobot_drum``: used only without the real package, and equal in what hooks use."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.predictors.native.hooks.user_errors import is_user_error
from drum_litestar.predictors.native.standin import StandinFinder, install_standin

GCP = {
    "gcp_key": {"type": "service_account", "private_key": "k", "unknown": 1},
    "config_id": "c",
    "unknown": 2,
}


@pytest.fixture
def standin() -> Any:
    try:
        importlib.metadata.version("datarobot-drum")
    except importlib.metadata.PackageNotFoundError:
        install_standin()
        return importlib.import_module("datarobot_drum")
    return pytest.skip("the real datarobot-drum is installed")


def test_a_real_package_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "datarobot_drum").mkdir()
    (tmp_path / "datarobot_drum" / "__init__.py").write_text("real = True\n")
    install_standin()
    install_standin()
    assert sum(isinstance(finder, StandinFinder) for finder in sys.meta_path) == 1
    monkeypatch.syspath_prepend(str(tmp_path))
    assert importlib.import_module("datarobot_drum").real


def test_unknown_names_fail_as_usual(standin: Any) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"datarobot_drum\.nosuch"):
        importlib.import_module("datarobot_drum.nosuch")
    with pytest.raises(ImportError):
        exec("from datarobot_drum import nosuch")


def test_runtime_parameters(standin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_RUNTIME_PARAM_A", '{"type": "numeric", "payload": 5}')
    assert standin.RuntimeParameters.has("A")
    assert standin.RuntimeParameters.get("A") == 5
    assert not standin.RuntimeParameters.has("B")
    with pytest.raises(ValueError, match=r"^Runtime parameter 'B' does not exist!$"):
        standin.RuntimeParameters.get("B")


def test_http_error(standin: Any) -> None:
    error = standin.CustomHTTPError()
    assert is_user_error(error) == ("User's HTTP error in custom model", 400)
    assert is_user_error(standin.CustomHTTPError("tea", 418)) == ("tea", 418)
    assert [str(p) for p in inspect.signature(standin.CustomHTTPError).parameters] == ["message", "status_code"]
    base = type(error).__mro__[1]
    assert (base.__module__, base.__name__) == ("datarobot_drum.drum.exceptions", "BaseCustomUserError")


@pytest.mark.parametrize(
    ("status", "expected"), [("404", 404), (200, 200), (99, 500), ("x", 500), (None, 500), (1000, 500)]
)
def test_status_of_user_errors(standin: Any, status: Any, expected: int) -> None:
    assert is_user_error(standin.CustomHTTPError("m", status)) == ("m", expected)


def test_base_class_and_unrelated_classes(standin: Any) -> None:
    base = sys.modules["datarobot_drum.drum.exceptions"].BaseCustomUserError

    class Mine(base):  # type: ignore[misc, valid-type]
        pass

    class BaseCustomUserError(Exception):  # same name, another package
        status_code = 418

    assert is_user_error(Mine("m")) == ("m", 400)
    assert is_user_error(BaseCustomUserError("m")) is None
    assert is_user_error(ValueError("m")) is None


@pytest.mark.parametrize(
    ("name", "values", "shown"),
    [
        (
            "BasicSecret",
            {"username": "u", "password": "p", "unknown": 1},
            "BasicSecret(username='*****', password='*****', snowflake_account_name=None)",
        ),
        (
            "GCPSecret",
            GCP,
            "GCPSecret(gcp_key=GCPKey(type='*****', project_id=None, private_key_id=None, private_key='*****', "
            "client_email=None, client_id=None, auth_uri=None, token_uri=None, auth_provider_x509_cert_url=None, "
            "client_x509_cert_url=None), config_id='*****')",
        ),
        (
            "S3Secret",
            {"config_id": "c"},
            "S3Secret(aws_access_key_id=None, aws_secret_access_key=None, aws_session_token=None, config_id='*****')",
        ),
    ],
)
def test_secrets(standin: Any, name: str, values: dict[str, Any], shown: str) -> None:
    interfaces = importlib.import_module("datarobot_drum.custom_task_interfaces")
    secret = getattr(interfaces, name).from_dict(values)
    assert repr(secret) == shown
    assert secret.is_partial_secret() == ("config_id" in values)


def test_interfaces(standin: Any, caplog: pytest.LogCaptureFixture) -> None:
    interfaces = importlib.import_module("datarobot_drum.custom_task_interfaces")
    for name in ("Binary", "Multiclass", "Regression", "Anomaly"):
        task = getattr(interfaces, f"{name}EstimatorInterface")()
        assert task.secrets == {}
        with pytest.raises(NotImplementedError):
            task.fit([], [])
    assert interfaces.BinaryEstimatorInterface().predict([]) is None
    with pytest.raises(NotImplementedError):
        interfaces.BinaryEstimatorInterface().predict_proba([])
    with pytest.raises(NotImplementedError):
        interfaces.RegressionEstimatorInterface().predict([])
    with pytest.raises(NotImplementedError):
        interfaces.TransformerInterface().transform([])
    with caplog.at_level("INFO", logger="drum"):
        interfaces.TransformerInterface.log_message("hello")
    assert caplog.messages == ["hello"]
