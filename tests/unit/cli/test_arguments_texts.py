"""Error texts of the command line, as datarobot-drum 1.18.1 prints them (contract, 1.2 and 1.4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from drum_litestar.cli.main import main

TARGET_TYPES = (
    "'binary', 'regression', 'anomaly', 'unstructured', 'multiclass', 'transform', 'textgeneration', 'geopoint', "
    "'vectordatabase', 'agenticworkflow', 'multilabel'"
)
ONE_LABEL = (
    "\nError - for binary classification case, both positive and negative class labels have to be provided. "
    "\nSee --help option for more information"
)
TWO_SOURCES = (
    "\nError - for multiclass classification, either the class labels or a class labels file should be provided, "
    "but not both.\nSee --help option for more information"
)
MONITORING = (
    "\n\nError: MLOps Monitoring requires all monitoring options to be present.\n"
    "Note: The following MLOps monitoring option(s) is/are missing:\n{}\n\n\n"
    "These options can also be obtained via environment variables\n\n\nusage: drum server"
)
ACCESS = (
    "\n\nError: DataRobot APIs access requires certain option(s) that are missing.\nMissing options:\n{}\n\n\n"
    "These options can also be obtained via environment variables.\n\n\nusage: drum server"
)
PORTS = "Error: Triton HTTP port or GRPc port configuration is incorrect. {}\n\n\nusage: drum server"


@pytest.fixture(autouse=True)
def model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    (tmp_path / "labels.txt").write_text("a\nb\n")
    (tmp_path / "one.txt").write_text("a\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\n\xff\n")
    for name in ("ADDRESS", "CODE_DIR", "TARGET_TYPE", "MAX_WORKERS"):
        monkeypatch.delenv(name, raising=False)


def drum(*arguments: str) -> int:
    return main(["server", "-cd", "m", "--address", "127.0.0.1:0", *arguments], prog="drum")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--target-type foo", f"argument --target-type: invalid choice: 'foo' (choose from {TARGET_TYPES})"),
        (
            "--logging-level foo",
            "argument --logging-level: invalid choice: 'foo' (choose from 'all', 'debug', 'info', 'warn', 'warning', "
            "'error', 'critical', 'fatal')",
        ),
        ("--language foo", "argument --language: invalid choice: 'foo' (choose from 'python', 'r', 'java', 'other')"),
        (
            "--gpu-predictor foo",
            "argument --gpu-predictor: invalid choice: 'foo' (choose from 'triton', 'nim', 'vllm')",
        ),
        ("--executor foo", "argument --executor: invalid choice: 'foo' (choose from 'pool', 'inline')"),
        ("--predictor foo", "argument --predictor: invalid choice: 'foo' (choose from 'auto', 'native', 'drum')"),
        ("-cd nope", "argument -cd/--code-dir: The path nope is not a directory!"),
        ("--positive-class-label yes", f"argument --positive-class-label: {ONE_LABEL}"),
        ("--negative-class-label=no", f"argument --negative-class-label: {ONE_LABEL}"),
        ("--class-labels a b --class-labels-file labels.txt", f"argument --class-labels: {TWO_SOURCES}"),
        ("--class-labels-file labels.txt --class-labels a b", f"argument --class-labels-file: {TWO_SOURCES}"),
        ("--class-labels a", "argument --class-labels: Multiclass classification requires at least 2 labels."),
        (
            "--class-labels-file one.txt",
            "argument --class-labels-file: Multiclass classification requires at least 2 labels.",
        ),
        (
            "--class-labels-file none.txt",
            "argument --class-labels-file: cannot read the class labels file 'none.txt': No such file or directory",
        ),
        (
            "--class-labels-file binary.txt",
            "argument --class-labels-file: cannot read the class labels file 'binary.txt': it is not UTF-8 text",
        ),
        ("--max-workers 0", "argument --max-workers: must be > 0"),
        ("--max-workers=-3", "argument --max-workers: must be > 0"),
        ("--max-workers abc", "argument --max-workers: invalid type_callback value: 'abc'"),
        ("--max-workers 2.5", "argument --max-workers: invalid type_callback value: '2.5'"),
        ("--monitor --monitor-embedded", "argument --monitor-embedded: not allowed with argument --monitor"),
        ("--monitor-embedded --monitor", "argument --monitor: not allowed with argument --monitor-embedded"),
        ("--deployment-config none.json", "argument --deployment-config: The file none.json does not exist!"),
        ("--runtime-params-file /nofile", "argument --runtime-params-file: The file /nofile does not exist!"),
        ("--lazy-loading-file /nofile", "argument --lazy-loading-file: The file /nofile does not exist!"),
        (
            "--address 127.0.0.1:abc",
            "argument --address: '127.0.0.1:abc' has no valid port: 'abc' is not a number from 0 to 65535",
        ),
    ],
)
def test_argument_errors(arguments: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert drum(*arguments.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(f"\ndrum server: error: {text}\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["server"], "drum server: error: the following arguments are required: -cd/--code-dir, --address"),
        (["server", "-cd", "m"], "drum server: error: the following arguments are required: --address"),
        (
            ["server", "-cd", "m", "--address", "h:1", "--bogus", "1"],
            "drum server: error: unknown option --bogus; drum server --help lists the options",
        ),
        (["server", "-cd", "m", "--address", "h:1", "foo"], "drum: error: unrecognized arguments: foo"),
    ],
)
def test_missing_and_unknown(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments, prog="drum") == 2
    assert capsys.readouterr().err.endswith(f"{text}\n")


@pytest.mark.parametrize(
    ("name", "value", "arguments", "text"),
    [
        ("TARGET_TYPE", "foo", "", f"argument --target-type: invalid choice: 'foo' (choose from {TARGET_TYPES})"),
        ("MAX_WORKERS", "abc", "", "argument --max-workers: invalid type_callback value: 'abc'"),
        ("RUNTIME_PARAMS_FILE", "/nofile", "", "argument --runtime-params-file: The file /nofile does not exist!"),
        ("MONITOR", "1", "--monitor-embedded", "argument --monitor: not allowed with argument --monitor-embedded"),
        ("CLASS_LABELS_FILE", "labels.txt", "--class-labels a b", f"argument --class-labels: {TWO_SOURCES}"),
    ],
)
def test_variables_are_validated_alike(
    name: str,
    value: str,
    arguments: str,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)
    assert drum(*arguments.split()) == 2
    assert capsys.readouterr().err.endswith(f"\ndrum server: error: {text}\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--production", "Production mode requires a non-zero number of workers [--max-workers > 0].\n"),
        ("--skip-deps-install", "Argument '--skip-deps-install' can only be used together with '--docker'.\n"),
        ("--monitor --target-type unstructured", "Error: MLOps monitoring can not be used in unstructured mode.\n"),
        (
            "--monitor-embedded --target-type regression",
            "Error: MLOps embedded monitoring is supported for unstructured modes only.\n",
        ),
        ("--monitor-embedded", "Error: MLOps embedded monitoring is supported for unstructured modes only.\n"),
        ("--monitor", MONITORING.format("  --model-id\n  --deployment-id\n  --monitor-settings")),
        ("--monitor --model-id m --deployment-id d", MONITORING.format("  --monitor-settings")),
        (
            "--monitor-embedded --target-type unstructured",
            MONITORING.format("  --model-id\n  --deployment-id\n  --webserver\n  --api-token"),
        ),
        ("--allow-dr-api-access", ACCESS.format("  --webserver\n  --api-token")),
        ("--triton-host foo", "Error: Triton Host URL must contain scheme and netloc\nusage: drum server"),
        ("--triton-http-port abc", PORTS.format("Value should be a positive integer.")),
        ("--triton-grpc-port 0", PORTS.format("Value should be a positive integer.")),
        ("--triton-http-port 8001", PORTS.format("Ports can't be the same.")),
    ],
)
def test_checks_across_options(arguments: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert drum(*arguments.split()) == 1
    out, err = capsys.readouterr()
    assert out.startswith(text)
    assert err == ""


def test_docker_names_the_command_that_can(capsys: pytest.CaptureFixture[str]) -> None:
    assert drum("--docker", "image", "--memory", "1g", "--skip-deps-install") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "drum server --docker" in err
