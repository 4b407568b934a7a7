"""Arguments of an application for Ray Serve: sorted, refused with a hint, resolved as the command's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drum_litestar.cli.argument_parser import Parser
from drum_litestar.cli.server_arguments import add_server_arguments
from drum_litestar.errors import SettingsError, StartupError, UsageError
from drum_litestar.integrations.ray import application_arguments as module
from drum_litestar.integrations.ray.application_arguments import Arguments, plan_of, read_arguments
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.settings.declaration import declared
from drum_litestar.settings.server_settings import ServerSettings
from support.plans import build_plan


def plan(args: dict[str, Any], environ: dict[str, str] | None = None, *, loads: bool = True) -> LaunchPlan:
    found = read_arguments(args)
    return plan_of(found, {**(environ or {}), **found.environment}, loads=loads)


def test_options_settings_and_options_of_ray_are_sorted() -> None:
    found = read_arguments(
        {
            "code_dir": "/models/a",
            "target-type": "binary",
            "workers": "2",
            "with_error_server": "true",
            "show_perf": False,
            "class_labels": ["a", "b"],
            "DRUM_CLIENT_REQUEST_TIMEOUT": 30,
            "DRUM_CORS_ORIGINS": ["https://a", "https://b"],
            "DRUM_CLIENT_ERRORS_4XX": True,
            "MLOPS_RUNTIME_PARAM_LLM_ID": "x",
            "TARGET_NAME": "t",
            "num_gpus": 1,
            "deployment_id": None,
        }
    )
    assert found == Arguments(
        tokens=(
            "--code-dir=/models/a", "--target-type=binary", "--max-workers=2", "--with-error-server",
            "--class-labels", "a", "b",
        ),
        environment={
            "DRUM_CLIENT_REQUEST_TIMEOUT": "30", "DRUM_CORS_ORIGINS": "https://a,https://b",
            "DRUM_CLIENT_ERRORS_4XX": "true", "MLOPS_RUNTIME_PARAM_LLM_ID": "x", "TARGET_NAME": "t",
        },
        deployment={"num_gpus": 1},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({"code_dirr": "x"}, "unknown argument code_dirr; did you mean code_dir?"),
        ({"DRUM_CLIENT_REQUEST_TIMOUT": "3"}, "did you mean DRUM_CLIENT_REQUEST_TIMEOUT?"),
        ({"num_replica": 2}, "did you mean num_replicas?"),
        ({"qqqqqqqq": 2}, "ray.md lists them"),
        ({"address": "0.0.0.0:80"}, "address has no effect in Ray Serve: Ray's proxy listens"),
        ({"DRUM_LAME_DUCK": 5}, "DRUM_LAME_DUCK has no effect in Ray Serve: Ray takes a replica out"),
        ({"show_perf": "perhaps"}, "show_perf: value can't be converted to Bool: 'perhaps'"),
    ],
)
def test_what_cannot_be_meant_is_refused(args: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_arguments(args)
    assert text in str(caught.value)


def test_every_option_and_setting_is_an_argument() -> None:
    parser = Parser()
    add_server_arguments(parser)
    for action in parser.arguments:
        name = action.option_strings[-1].lstrip("-")
        if name not in ("help", "address"):
            value = True if action.nargs == 0 else "1"
            assert read_arguments({name: value}).tokens, name
    for setting in declared(ServerSettings):
        for name in setting.option.names():
            if setting.option.name in module.WITHOUT_EFFECT:
                with pytest.raises(UsageError, match="has no effect"):
                    read_arguments({name: "1"})
            else:
                assert read_arguments({name: "1"}).environment == {name: "1"} or name.lower() in ("max_workers",)


def test_settings_without_effect_are_settings() -> None:
    assert set(module.WITHOUT_EFFECT) <= {setting.option.name for setting in declared(ServerSettings)}


def test_the_plan_is_the_commands(tmp_path: Path) -> None:
    words = ["-cd", str(tmp_path), "--address", module.NOWHERE, "--target-type", "binary", "--max-workers", "3"]
    words += ["--positive-class-label", "a b", "--negative-class-label", "-1"]
    environ = {"DRUM_BATCH_MAX_ROWS": "7", "URL_PREFIX": "/x", "TARGET_NAME": "t"}
    ours = plan(
        {
            "code_dir": str(tmp_path),
            "target_type": "binary",
            "workers": 3,
            "positive_class_label": "a b",
            "negative_class_label": "-1",
            **environ,
        }
    )
    theirs = build_plan(["server", *words[:-2], "--negative-class-label=-1"], {**environ})
    assert ours.settings == theirs.settings
    assert ours.spec == theirs.spec.__class__(**{**_fields(theirs.spec), "argv": ours.spec.argv})


def _fields(spec: Any) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in spec.__struct_fields__}


def test_variables_of_the_node_count(tmp_path: Path) -> None:
    environ = {"CODE_DIR": str(tmp_path), "TARGET_TYPE": "regression", "DRUM_LAME_DUCK": "3", "MAX_WORKERS": "2"}
    found = plan({}, environ)
    assert found.spec.code_dir == str(tmp_path)
    assert found.settings.workers.count == 2
    (notice,) = [notice for notice in found.notices if "Ray" in notice.text]
    assert notice.text.startswith("environment variable DRUM_LAME_DUCK has no effect in Ray Serve")


def test_a_folder_on_another_node_is_looked_for_there_only() -> None:
    args = {"code_dir": "/no/such/folder", "target_type": "regression", "workers": 2}
    assert plan(args, loads=False).settings.workers.count == 2
    with pytest.raises(UsageError, match="is not a directory"):
        plan(args)


def test_a_folder_is_required() -> None:
    for loads in (True, False):
        with pytest.raises(UsageError, match="code_dir is required"):
            plan({"target_type": "regression"}, loads=loads)


def test_what_the_command_refuses_is_refused_in_its_words(tmp_path: Path) -> None:
    base = {"code_dir": str(tmp_path)}
    with pytest.raises(UsageError, match="invalid choice: 'nonsense'"):
        plan({**base, "target_type": "nonsense"})
    with pytest.raises(UsageError, match="both positive and negative class labels"):
        plan({**base, "target_type": "binary", "positive_class_label": "a"})
    with pytest.raises(StartupError, match="MLOps monitoring can not be used in unstructured mode"):
        plan({**base, "target_type": "unstructured", "monitor": True})
    with pytest.raises(SettingsError, match="DRUM_BATCH_MAX_WAIT_MS"):
        plan({**base, "DRUM_BATCH_MAX_WAIT_MS": "-3"})
