"""Launch plan, from a command line and an environment."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from drum_litestar.errors import SettingsError, StartupError
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.pip_command import pip
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.settings.address import Address
from support.plans import build_plan


def plan(folder: Path, *arguments: str, **environ: str) -> LaunchPlan:
    return build_plan(["server", "-cd", str(folder), "--address", "127.0.0.1:7100", *arguments], dict(environ))


def test_minimal(tmp_path: Path) -> None:
    launch = plan(tmp_path)
    assert launch.spec.code_dir == str(tmp_path.resolve())
    assert launch.spec.target_type is None
    assert launch.spec.kind == "native"
    assert launch.predictor == "auto"
    assert launch.settings.listen.address == Address("127.0.0.1", 7100)
    assert launch.logging_level == "warning"
    assert [(notice.text, notice.logger) for notice in launch.notices] == [
        (">>> Start drum in the server mode", "drum")
    ]
    flags = (launch.with_error_server, launch.show_perf, launch.verbose, launch.show_stacktrace)
    assert flags == (False, False, False, False)


def test_everything_reaches_the_spec(tmp_path: Path) -> None:
    config = tmp_path / "deployment.json"
    config.touch()
    launch = plan(
        tmp_path,
        *("--target-type", "binary", "--positive-class-label", "yes", "--negative-class-label=no"),
        *("--monitor", "--deployment-id", "d1", "--model-id=m1", "--monitor-settings", "spooler"),
        *("--webserver", "http://x", "--api-token", "t", "--allow-dr-api-access"),
        *("--gpu-predictor", "nim", "--sidecar", "--triton-host", "http://h", "--triton-http-port", "9000"),
        *("--deployment-config", str(config), "--user-secrets-mount-path", "/s", "--user-secrets-prefix", "PFX"),
        *("--with-error-server", "--show-perf", "--verbose", "--show-stacktrace", "--logging-level", "info"),
        *("--predictor", "drum", "--language", "python"),
        TARGET_NAME="target",
        DRUM_SINGLE_OUTPUT_IS="positive",
        MLOPS_RUNTIME_PARAM_LLM_ID='{"type": "string", "payload": "gpt-x"}',
        MLOPS_RUNTIME_PARAM_prompt_column_name='{"type": "string", "payload": "question"}',
    )
    spec = launch.spec
    assert spec.prompt_column == "question"
    assert (spec.target_type, spec.positive_class_label, spec.negative_class_label) == (TargetType.BINARY, "yes", "no")
    assert (spec.monitor, spec.deployment_id, spec.model_id, spec.monitor_settings) == (True, "d1", "m1", "spooler")
    assert (spec.webserver, spec.api_token, spec.allow_dr_api_access) == ("http://x", "t", True)
    assert (spec.gpu_predictor, spec.sidecar) == ("nim", True)
    assert (spec.triton_host, spec.triton_http_port, spec.triton_grpc_port) == ("http://h", "9000", "8001")
    assert (spec.deployment_config, spec.user_secrets_mount_path, spec.user_secrets_prefix) == (
        str(config),
        "/s",
        "PFX",
    )
    assert (spec.kind, spec.language, spec.target_name, spec.llm_id) == ("drum", "python", "target", "gpt-x")
    assert (spec.single_output_is, spec.show_stacktrace) == ("positive", True)
    assert (launch.with_error_server, launch.show_perf, launch.verbose, launch.logging_level) == (
        True,
        True,
        True,
        "info",
    )
    assert spec.argv[1] == "server"
    assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", Address("127.0.0.1", 8080)), ("[::1]:7158", Address("::1", 7158)), ("[::1]", Address("::1", 8080))],
)
def test_addresses(tmp_path: Path, address: str, expected: Address) -> None:
    environ = {"ADDRESS": "1.2.3.4:5"}
    launch = build_plan(["server", "-cd", str(tmp_path), f"--address={address}"], environ)
    assert launch.settings.listen.address == expected
    assert environ["ADDRESS"] == address


def test_max_workers_is_honoured(tmp_path: Path) -> None:
    assert plan(tmp_path, "--max-workers", "3").settings.workers.count == 3
    assert plan(tmp_path, "--max-workers=3", MAX_WORKERS="5").settings.workers.count == 3
    assert plan(tmp_path, MAX_WORKERS="5").settings.workers.count == 5
    assert plan(tmp_path, "--max-w", "3", MLOPS_RUNTIME_PARAM_CUSTOM_MODEL_WORKERS="2").settings.workers.count == 2


def test_max_workers_out_of_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As ``--help`` documents it."""
    launch = plan(tmp_path, "--max-workers", "1000")
    assert launch.settings.workers.count == 1
    assert "value '1000' is out of range (allowed: 1 to 199); using 1 instead" in launch.notices[-1].text
    for number in ("0", "-1"):
        with pytest.raises(SystemExit) as caught:
            plan(tmp_path, f"--max-workers={number}")
        assert caught.value.code == 2
        assert "must be > 0" in capsys.readouterr().err


def test_environment_and_argv_stay_the_users(tmp_path: Path) -> None:
    environ = {"MAX_WORKERS": "3", "MLOPS_RUNTIME_PARAM_CUSTOM_MODEL_WORKERS": "2", "TARGET_TYPE": "regression"}
    before = dict(environ)
    launch = build_plan(["server", "-cd", str(tmp_path), "--address", "h:1"], environ)
    assert environ == before | {"ADDRESS": "h:1"}
    assert launch.spec.argv[1:] == ("server", "-cd", str(tmp_path), "--address", "h:1")


def test_class_labels_of_a_file_are_not_trimmed(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_bytes("one\r\n\r\n  två \nthree".encode())
    assert plan(tmp_path, "--class-labels-file", str(labels)).spec.class_labels == ("one", "  två ", "three")
    assert plan(tmp_path, "--class-labels", "b", "a").spec.class_labels == ("b", "a")


def test_runtime_params_file_may_set_the_server(tmp_path: Path) -> None:
    (tmp_path / "model-metadata.yaml").write_text(
        "name: x\ntype: inference\ntargetType: regression\nruntimeParameterDefinitions:\n"
        "  - fieldName: CUSTOM_MODEL_WORKERS\n    type: numeric\n  - fieldName: LLM_ID\n    type: string\n"
        "  - fieldName: DRUM_CLIENT_REQUEST_TIMEOUT\n    type: numeric\n"
    )
    values = tmp_path / "values.yaml"
    values.write_text("CUSTOM_MODEL_WORKERS: 4\n")
    environ: dict[str, str] = {"RUNTIME_PARAMS_FILE": str(values)}
    launch = build_plan(["server", "-cd", str(tmp_path), "--address", "h:1"], environ)
    assert launch.settings.workers.count == 4
    assert launch.settings.timeouts.request_timeout == 600
    assert launch.spec.llm_id is None
    assert json.loads(environ["MLOPS_RUNTIME_PARAM_CUSTOM_MODEL_WORKERS"]) == {"payload": 4, "type": "numeric"}


def test_unreadable_llm_id_is_a_warning(tmp_path: Path) -> None:
    launch = plan(tmp_path, MLOPS_RUNTIME_PARAM_LLM_ID="{")
    assert launch.spec.llm_id is None
    assert "runtime parameter LLM_ID: Invalid runtime parameter json payload" in launch.notices[-1].text


def test_otel_switch(tmp_path: Path) -> None:
    name = "MLOPS_RUNTIME_PARAM_OTEL_SDK_DISABLED"
    for text in ("true", '{"type": "string", "payload": "false"}', '{"type": "boolean", "payload": true}'):
        assert plan(tmp_path, **{name: text}).otel_disabled
    for text in ("false", '{"type": "boolean", "payload": false}', '{"type": "boolean", "payload": null}', "{"):
        assert not plan(tmp_path, **{name: text}).otel_disabled


def test_start_up_errors_come_out_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="DRUM_BATCH_MAX_ROWS"):
        plan(tmp_path, DRUM_BATCH_MAX_ROWS="0")
    values = tmp_path / "values.yaml"
    values.write_text("A: 1\n")
    with pytest.raises(StartupError, match=r"model-metadata\.yaml must exist to use runtime parameters"):
        plan(tmp_path, "--runtime-params-file", str(values))


def test_query_needs_an_unstructured_target(tmp_path: Path) -> None:
    plan(tmp_path, "--query", "a=1", "--content-type", "text/plain", "--target-type", "unstructured")
    for option in ("--query", "--content-type"):
        with pytest.raises(StartupError) as caught:
            plan(tmp_path, option, "x", "--target-type", "regression")
        assert str(caught.value) == f"{option} argument can be used only with --target-type unstructured"
        assert caught.value.exit_code == 1


def test_a_replaced_event_loop_is_the_last_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drum_litestar.server.loop_choice.installed_uvloop", lambda: None)
    texts = [notice.text for notice in plan(tmp_path, DRUM_RATE_LIMIT_RPM="5").notices]
    assert texts[1].startswith("DRUM_RATE_LIMIT_RPM has no effect")
    assert texts[2:] == [f"uvloop is not installed; using asyncio. Install it with: {pip()} install uvloop"]
