"""``check`` reports what ``server`` refuses before it runs the model's code, with the same text."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.cli.main import main
from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.build import build_predictor
from drum_litestar.tools import environment_checks
from drum_litestar.tools.findings import import_problem
from support.plans import build_plan

tried = functools.cache(import_problem)
RUINOUS = "raise SystemExit('the model\\'s code has run')\n"
METADATA = "name: m\ntype: inference\ntargetType: {}\n"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment_checks, "import_problem", tried)
    for name in list(os.environ):
        if name.startswith(("DRUM_", "MLOPS_")) or name in ("CODE_DIR", "ADDRESS", "TARGET_TYPE", "TARGET_NAME"):
            monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A model folder with these files; a ``custom.py`` that must not run unless another one is given."""

    def make(**files: str) -> Path:
        for name, text in {"custom.py": RUINOUS, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            if text:
                path.write_text(text)
        return tmp_path

    return make


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and the blocking findings."""
    capsys.readouterr()
    code = main(["check", "--json", *arguments])
    findings = json.loads(capsys.readouterr().out)["findings"]
    return code, [finding for finding in findings if finding["level"] == "blocking"]


def refusal(*arguments: str) -> str:
    """Error of the model worker of ``server`` that cannot load the model, as one line."""
    spec = build_plan(["server", "--address", "127.0.0.1:1", *arguments], dict(os.environ)).spec
    with pytest.raises(ModelLoadError) as caught:
        build_predictor(spec).load()
    return " ".join(str(caught.value).split())


TEXT_TARGETS = ("textgeneration", "vectordatabase", "agenticworkflow")


@pytest.mark.parametrize(
    ("options", "metadata", "words"),
    [
        ("", "", "Target type is missing"),
        ("--target-type binary", "", "Positive/negative class labels are missing"),
        ("--target-type multiclass", "", "Class labels are missing"),
        ("--target-type multilabel", "", "Class labels are missing"),
        ("--target-type multiclass --class-labels Yes yes", "", "cannot be told apart"),
        *((f"--target-type {target}", "", "Unexpected empty target name") for target in TEXT_TARGETS),
        ("", METADATA.format("foo"), "'foo' is not a valid TargetType"),
        ("", METADATA.format("regression") + "nonsense: 1\n", "unexpected key not in schema 'nonsense'"),
        ("", METADATA.format("regression") + "majorVersion: [1]\n", "StrictYAMLError"),
        ("", METADATA.format("regression") + "majorVersion: 7\n", "when expecting a boolean value"),
        ("", METADATA.format("binary"), "keys are missing in model-metadata.yaml"),
        ("--target-type binary", METADATA.format("regression"), "doesn't match target type from model config file"),
    ],
)
def test_target_and_metadata(
    folder: Callable[..., Path], capsys: pytest.CaptureFixture[str], options: str, metadata: str, words: str
) -> None:
    given = ("-cd", str(folder(**{"model-metadata.yaml": metadata})), *options.split())
    code, (finding,) = check(capsys, *given)
    assert (code, finding["topic"]) == (1, "target")
    assert words in finding["text"]
    assert "\n" not in finding["text"]
    assert finding["text"].startswith(refusal(*given))


def test_texts_name_the_remedy(folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    model = folder(**{"model-metadata.yaml": METADATA.format("binary")})
    assert check(capsys, "-cd", str(model))[1][0]["text"].endswith(f"({model / 'model-metadata.yaml'})")
    (model / "model-metadata.yaml").write_text(METADATA.format("foo"))
    assert check(capsys, "-cd", str(model))[1][0]["text"].count("model-metadata.yaml") == 1
    (model / "model-metadata.yaml").unlink()
    _, (finding,) = check(capsys, "-cd", str(model), "--target-type", "textgeneration")
    assert finding["text"].endswith(
        "Set the environment variable TARGET_NAME to the name of the column that the score hook returns; targetName in "
        "model-metadata.yaml is not read, as in DRUM."
    )


@pytest.mark.parametrize(
    ("options", "metadata", "shown"),
    [
        ("--target-type regression", "", "regression"),
        ("--target-type binary --positive-class-label a --negative-class-label b", "", "binary, labels a, b"),
        ("--target-type multiclass --class-labels a b c", "", "multiclass, labels a, b, c"),
        ("", METADATA.format("unstructured"), "unstructured"),
    ],
)
def test_what_can_be_served(
    folder: Callable[..., Path], capsys: pytest.CaptureFixture[str], options: str, metadata: str, shown: str
) -> None:
    model = folder(**{"model-metadata.yaml": metadata})
    assert main(["check", "-cd", str(model), *options.split()]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.split()[1] == "target"]
    assert line.split(maxsplit=2) == ["ok", "target", shown]


def test_target_name_from_the_environment(
    folder: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_NAME", "answer")
    assert check(capsys, "-cd", str(folder()), "--target-type", "textgeneration") == (0, [])


@pytest.mark.parametrize(
    ("files", "target", "words"),
    [
        ({"a/custom.py": RUINOUS}, "regression", "Found too many custom hook files"),
        ({"custom.py": "", "model.pkl": "x"}, "unstructured", "hook 'score_unstructured' must be provided"),
        ({"custom.py": "", "a.pkl": "x", "b.pkl": "x"}, "regression", "Multiple serialized model files found"),
        ({"custom.py": "", "a/a.pkl": "x", "b/b.pkl": "x"}, "regression", "Could not find model artifact file"),
        ({"moderation_config.yaml": "x"}, "textgeneration", "the package 'datarobot_dome' is not installed"),
    ],
)
def test_what_the_folder_lacks(
    folder: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    target: str,
    words: str,
) -> None:
    monkeypatch.setenv("TARGET_NAME", "answer")
    given = ("-cd", str(folder(**files)), "--target-type", target)
    code, (finding,) = check(capsys, *given)
    assert (code, finding["topic"]) == (1, "model")
    assert words in finding["text"]
    assert refusal(*given).endswith(finding["text"])


def test_artifact_without_its_library(
    folder: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "drum_litestar.predictors.native.frameworks.onnx_framework.OnnxFramework.can_load", lambda _: False
    )
    code, (finding,) = check(
        capsys, "-cd", str(folder(**{"custom.py": "", "m.onnx": "x"})), "--target-type", "regression"
    )
    assert code == 1
    assert "pip install onnxruntime" in finding["text"]


def test_optional_moderations_are_a_warning(
    folder: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_NAME", "answer")
    monkeypatch.setenv("DRUM_MODERATIONS_OPTIONAL", "true")
    model = folder(**{"moderation_config.yaml": "x"})
    assert main(["check", "-cd", str(model), "--target-type", "textgeneration"]) == 0
    assert "Moderation is disabled" in capsys.readouterr().out


def test_deployment_config(folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    model = folder(**{"config.json": "{"})
    given = ("-cd", str(model), "--target-type", "regression", "--deployment-config", str(model / "config.json"))
    code, (finding,) = check(capsys, *given)
    assert code == 1
    assert finding["text"] == refusal(*given)


@pytest.mark.parametrize("prefix", ["/{x}", "no-slash"])
def test_url_prefix(
    folder: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("URL_PREFIX", prefix)
    code, (finding,) = check(capsys, "-cd", str(folder()), "--target-type", "regression")
    assert (code, finding["topic"]) == (1, "settings")
    assert "URL_PREFIX" in finding["text"]


def test_shared_store_without_its_package(
    folder: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRUM_RATE_LIMIT_ENABLED", "true")
    monkeypatch.setenv("DRUM_RATE_LIMIT_STORE", "redis://localhost")
    given = ("-cd", str(folder()), "--target-type", "regression")
    assert check(capsys, *given)[0] == 0
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    code, (finding,) = check(capsys, *given)
    assert code == 1
    assert "pip install redis" in finding["text"]


def test_reload_without_its_package(
    folder: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("-cd", str(folder()), "--target-type", "regression", "--reload")
    assert check(capsys, *given)[0] == 0
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    code, (finding,) = check(capsys, *given)
    assert code == 1
    assert "--reload (DRUM_RELOAD) needs the package 'watchfiles'" in finding["text"]


def test_options_that_do_not_go_together_leave_the_json_whole(
    folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where `server` prints its help on standard output."""
    code, (finding,) = check(capsys, "-cd", str(folder()), "--target-type", "regression", "--triton-http-port", "x")
    assert (code, finding["topic"]) == (1, "settings")


def check_without_roots_rights(model: Path, closed: Path, mode: int) -> subprocess.CompletedProcess[str]:
    """``check`` of ``model`` while ``closed`` has ``mode``, in a process of its own: root may read everything unless
    it gives that up."""
    command = [sys.executable, "-c", "from drum_litestar.cli.main import main; raise SystemExit(main())"]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv to be refused anything")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    closed.chmod(mode)
    try:
        return subprocess.run(
            [*command, "check", "-cd", str(model), "--target-type", "regression"],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    finally:
        closed.chmod(0o755)


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_folder_that_cannot_be_read(folder: Callable[..., Path], mode: int) -> None:
    model = folder()
    done = check_without_roots_rights(model, model, mode)
    assert done.returncode == 1, done.stderr
    assert not done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("blocking")]
    assert line.split()[1] == "folder"
    assert f"The model folder '{model}' cannot be read" in line
    assert any(line.startswith("ok        python") for line in done.stdout.splitlines())


def test_folder_that_cannot_be_reached(folder: Callable[..., Path]) -> None:
    model = folder() / "inner"
    model.mkdir()
    done = check_without_roots_rights(model, model.parent, 0o600)
    assert "Traceback" not in done.stderr
    assert f"The path {model} cannot be reached: Permission denied" in done.stdout + done.stderr
    assert done.returncode in (1, 2)
