"""Environment variables that replace options (contract, 1.3, with section 8's Q-20)."""

from __future__ import annotations

from pathlib import Path

import pytest

from drum_litestar.errors import UsageError
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.predictors.spec import PredictorSpec
from support.plans import build_plan


def spec(*arguments: str, **environ: str) -> PredictorSpec:
    return launch(*arguments, **environ).spec


def launch(*arguments: str, **environ: str) -> LaunchPlan:
    return build_plan(["server", *arguments], {"ADDRESS": "127.0.0.1:0", **environ})


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path.resolve())


@pytest.mark.parametrize("spelling", ["-cd {}", "-cd={}", "--code-dir {}", "--code-dir={}", "--code {}"])
def test_given_in_any_spelling_beats_the_variable(folder: str, spelling: str) -> None:
    assert spec(*spelling.format(folder).split(), CODE_DIR="/nope").code_dir == folder


def test_every_option_with_a_value(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a\nb\n")
    result = spec(
        CODE_DIR=folder,
        TARGET_TYPE="multiclass",
        CLASS_LABELS_FILE=str(file),
        DEPLOYMENT_CONFIG=str(file),
        USER_SECRETS_PREFIX="PFX",
        USER_SECRETS_MOUNT_PATH="/m",
        MLOPS_DEPLOYMENT_ID="d",
        MODEL_ID="m",
        MLOPS_MODEL_ID="other",
        MONITOR_SETTINGS="s",
        EXTERNAL_WEB_SERVER_URL="http://w",
        API_TOKEN="-t",
        TRITON_HOST="http://t",
        TRITON_HTTP_PORT="1",
        TRITON_GRPC_PORT="2",
        MONITOR="Yes",
        ALLOW_DR_API_ACCESS_FOR_ALL_CUSTOM_MODELS=" ON ",
    )
    assert result.target_type is not None
    assert result.target_type.value == "multiclass"
    assert result.class_labels == ("a", "b")
    assert (result.deployment_config, result.user_secrets_prefix, result.user_secrets_mount_path) == (
        str(file),
        "PFX",
        "/m",
    )
    assert (result.deployment_id, result.model_id, result.monitor_settings) == ("d", "m", "s")
    assert (result.webserver, result.api_token) == ("http://w", "-t")
    assert (result.triton_host, result.triton_http_port, result.triton_grpc_port) == ("http://t", "1", "2")
    assert result.monitor
    assert result.allow_dr_api_access


def test_labels(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "labels"
    file.write_text("a\nb\n")
    assert spec("-cd", folder, CLASS_LABELS=" x  y\tz ").class_labels == ("x", "y", "z")
    assert spec("-cd", folder, CLASS_LABELS="x y", CLASS_LABELS_FILE=str(file)).class_labels == ("a", "b")
    assert spec("-cd", folder, "--class-labels-file", str(file), CLASS_LABELS="x y").class_labels == ("a", "b")
    assert spec("-cd", folder, "--class-labels", "p", "q", CLASS_LABELS="x y").class_labels == ("p", "q")
    both = spec("-cd", folder, POSITIVE_CLASS_LABEL="1 0", NEGATIVE_CLASS_LABEL="-1")
    assert (both.positive_class_label, both.negative_class_label) == ("1 0", "-1")


def test_empty_variables_are_not_there(folder: str) -> None:
    result = launch("-cd", folder, TARGET_TYPE="", RUNTIME_PARAMS_FILE="", WITH_ERROR_SERVER="", CODE_DIR="")
    assert result.spec.target_type is None
    assert not result.with_error_server


@pytest.mark.parametrize("word", ["t", "TRUE", "y", "Yes", "on", "1", " 1.0 "])
def test_true_words(folder: str, word: str) -> None:
    assert launch("-cd", folder, WITH_ERROR_SERVER=word).with_error_server


@pytest.mark.parametrize("word", ["false", "N", "no", "off", "0", "None", "0.0"])
def test_false_words(folder: str, word: str) -> None:
    assert not launch("-cd", folder, WITH_ERROR_SERVER=word, SHOW_STACKTRACE=word).with_error_server


def test_other_words_are_one_line(folder: str) -> None:
    with pytest.raises(UsageError) as caught:
        launch("-cd", folder, WITH_ERROR_SERVER="maybe")
    assert str(caught.value) == (
        "environment variable WITH_ERROR_SERVER: value can't be converted to Bool: 'maybe' (allowed: true, false)"
    )
    assert caught.value.exit_code == 2
    assert launch("-cd", folder, "--with-error-server", WITH_ERROR_SERVER="maybe").with_error_server


def test_our_own_options(folder: str) -> None:
    settings = launch("-cd", folder, DRUM_EXECUTOR="inline", DRUM_PREDICTOR="native").settings
    assert (settings.model.executor, settings.model.predictor) == ("inline", "native")
    settings = launch("-cd", folder, "--executor", "pool", "--predictor=drum", DRUM_EXECUTOR="inline").settings
    assert (settings.model.executor, settings.model.predictor) == ("pool", "drum")
