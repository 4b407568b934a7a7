"""The options of ``drum-litestar server``: all of DRUM's, and this server's own (contract, 1.2).

Only declarations: environment variables are handled in :mod:`drum_litestar.cli.environment_arguments`, checks across
options in :mod:`drum_litestar.cli.argument_checks`.
"""

from __future__ import annotations

import argparse
from typing import Any

from drum_litestar.cli.argument_types import (
    Choice,
    StoreLabels,
    directory,
    existing_file,
    labels_file,
    listen_address,
    positive_number,
)
from drum_litestar.predictors.protocol import TargetType

VARIABLES = """\
TARGET_NAME  target of a text generation, vector database or agentic model
URL_PREFIX   path in front of every route: /model makes it /model/predict/
MLOPS_RUNTIME_PARAM_LLM_ID
             LLM_ID, the name that /models shows for a text generation model
MLOPS_RUNTIME_PARAM_PROMPT_COLUMN_NAME
             column in which the score hook gets the prompts of /v1/completions (default: promptText)"""
LOGGING_LEVELS = ("all", "debug", "info", "warn", "warning", "error", "critical", "fatal")


def add_setting_arguments(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the options that set settings, which ``server`` and ``settings`` share."""
    model = parser.add_argument_group("model")
    model.add_argument(
        "-cd",
        "--code-dir",
        type=directory,
        required=required,
        help="folder with the model: artifacts, custom.py, model-metadata.yaml (env: CODE_DIR)",
    )
    _add_runtime_params_file(model)
    server = parser.add_argument_group("server")
    server.add_argument(
        "--address",
        metavar="HOST[:PORT]",
        type=listen_address,
        required=required,
        help="where to listen; the port is 8080 unless given, IPv6 as [::1]:8080 (env: ADDRESS)",
    )
    _add_worker_arguments(server)
    server.add_argument(
        "--executor",
        metavar="{pool,inline}",
        type=Choice("pool", "inline"),
        help="run the model in worker processes (default), or inside the server for debugging (env: DRUM_EXECUTOR)",
    )
    server.add_argument(
        "--reload",
        action="store_true",
        help="for development: load the model folder again when one of its files changes; needs the package watchfiles "
        "(env: DRUM_RELOAD)",
    )


def _add_runtime_params_file(group: Any) -> None:
    group.add_argument(
        "--runtime-params-file",
        metavar="FILE",
        type=existing_file,
        help="YAML file of values for the runtime parameters that model-metadata.yaml defines "
        "(env: RUNTIME_PARAMS_FILE)",
    )


def _add_worker_arguments(group: Any) -> None:
    group.add_argument(
        "--max-workers",
        metavar="N",
        type=positive_number,
        help="model worker processes, 1 to 199; more is 1 with a warning, as in DRUM; 0 or less is an error; the "
        "runtime parameter CUSTOM_MODEL_WORKERS has precedence (env: MAX_WORKERS)",
    )
    group.add_argument(
        "--worker-python",
        metavar="PATH",
        help="Python 3.8 or later that runs the model workers, instead of the server's own: an interpreter, or the "
        "folder of a virtual environment with the model's packages (env: DRUM_WORKER_PYTHON)",
    )
    group.add_argument(
        "--predictor",
        metavar="{auto,native,drum}",
        type=Choice("auto", "native", "drum"),
        help="native: this server's own predictor, for Python models; drum: datarobot-drum's; auto (default): native "
        "where it supports the model and the options (env: DRUM_PREDICTOR)",
    )


def add_server_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add every option of ``server``. With ``required`` False, no option is required."""
    add_setting_arguments(parser, required=required)
    _add_target_arguments(parser)
    _add_server_log_arguments(parser)
    _add_platform_arguments(parser)
    _add_gpu_arguments(parser)
    _add_other_arguments(parser)
    parser.add_argument_group("variables without an option", VARIABLES)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``server`` that say what the model is and where it runs, for commands without a server."""
    model = parser.add_argument_group("model, as for server")
    _add_runtime_params_file(model)
    _add_worker_arguments(model)
    _add_target_arguments(parser)
    _add_secret_arguments(parser.add_argument_group("files and secrets of the platform"))
    logs = parser.add_argument_group("logs and errors")
    _add_log_arguments(logs, "critical")


def _add_target_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("target")
    group.add_argument(
        "--target-type",
        metavar="TYPE",
        type=Choice(*(target.value for target in TargetType)),
        help=f"what the model predicts, unless model-metadata.yaml has it or an artifact alone is certain; one of "
        f"{', '.join(target.value for target in TargetType)} (env: TARGET_TYPE)",
    )
    for sign in ("positive", "negative"):
        group.add_argument(
            f"--{sign}-class-label",
            metavar="LABEL",
            help=f"the {sign} class of a binary model (env: {sign.upper()}_CLASS_LABEL)",
        )
    group.add_argument(
        "--class-labels",
        metavar="LABEL",
        nargs="+",
        action=StoreLabels,
        help="classes of a multiclass or multilabel model, in the order of the model's probabilities "
        "(env: CLASS_LABELS, separated by spaces)",
    )
    group.add_argument(
        "--class-labels-file",
        metavar="FILE",
        type=labels_file,
        action=StoreLabels,
        help="file of the classes, one a line (env: CLASS_LABELS_FILE)",
    )


def _add_log_arguments(group: Any, level: str) -> None:
    group.add_argument(
        "--logging-level",
        metavar="LEVEL",
        type=Choice(*LOGGING_LEVELS),
        default=level,
        help=f"one of {', '.join(LOGGING_LEVELS)} (default: {level})",
    )
    group.add_argument(
        "--show-stacktrace",
        action="store_true",
        help="show tracebacks of start-up errors, and every frame in the log's (env: SHOW_STACKTRACE)",
    )


def _add_server_log_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("logs and errors")
    _add_log_arguments(group, "warning")
    group.add_argument("--verbose", action="store_true", help="print more on standard output")
    group.add_argument("--show-perf", action="store_true", help="time requests and report it on /stats/")
    group.add_argument(
        "--with-error-server",
        action="store_true",
        help="when the model cannot be loaded, serve the reason with status 513 instead of exiting "
        "(env: WITH_ERROR_SERVER)",
    )


def _add_platform_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("DataRobot platform")
    monitor = group.add_mutually_exclusive_group()
    monitor.add_argument("--monitor", action="store_true", help="report predictions to MLOps (env: MONITOR)")
    monitor.add_argument(
        "--monitor-embedded",
        action="store_true",
        help="let an unstructured model report to MLOps itself (env: MLOPS_REPORTING_FROM_UNSTRUCTURED_MODELS)",
    )
    group.add_argument(
        "--deployment-id", metavar="ID", help="deployment that is monitored (env: DEPLOYMENT_ID, MLOPS_DEPLOYMENT_ID)"
    )
    group.add_argument("--model-id", metavar="ID", help="model that is monitored (env: MODEL_ID, MLOPS_MODEL_ID)")
    group.add_argument("--monitor-settings", metavar="CHANNEL", help="MLOps channel (env: MONITOR_SETTINGS)")
    group.add_argument("--webserver", metavar="URL", help="DataRobot's address (env: EXTERNAL_WEB_SERVER_URL)")
    group.add_argument("--api-token", metavar="TOKEN", help="DataRobot's API token (env: API_TOKEN)")
    group.add_argument(
        "--allow-dr-api-access",
        action="store_true",
        help="give the model a DataRobot client (env: ALLOW_DR_API_ACCESS_FOR_ALL_CUSTOM_MODELS)",
    )
    group.add_argument(
        "--deployment-config",
        metavar="FILE",
        type=existing_file,
        help="answer in the prediction server's layout (env: DEPLOYMENT_CONFIG)",
    )
    _add_secret_arguments(group)


def _add_secret_arguments(group: Any) -> None:
    group.add_argument(
        "--user-secrets-mount-path", metavar="DIR", help="folder of secrets (env: USER_SECRETS_MOUNT_PATH)"
    )
    group.add_argument(
        "--user-secrets-prefix", metavar="PREFIX", help="prefix of secret variables (env: USER_SECRETS_PREFIX)"
    )
    group.add_argument(
        "--lazy-loading-file",
        metavar="FILE",
        type=existing_file,
        help="files to download before the model is loaded (env: LAZY_LOADING_FILE)",
    )


def _add_gpu_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("GPU predictors (datarobot-drum runs them)")
    group.add_argument("--gpu-predictor", metavar="{triton,nim,vllm}", type=Choice("triton", "nim", "vllm"))
    group.add_argument("--sidecar", action="store_true", help="use a model server that already runs")
    group.add_argument("--triton-host", metavar="URL", default="http://localhost", help="(env: TRITON_HOST)")
    group.add_argument("--triton-http-port", metavar="PORT", default="8000", help="(env: TRITON_HTTP_PORT)")
    group.add_argument("--triton-grpc-port", metavar="PORT", default="8001", help="(env: TRITON_GRPC_PORT)")


def _add_other_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("kept for command lines written for DRUM")
    group.add_argument(
        "--language",
        metavar="{python,r,java,other}",
        type=Choice("python", "r", "java", "other"),
        help="the model's language, instead of detecting it",
    )
    group.add_argument(
        "--production", action="store_true", help="deprecated; only checks --max-workers (env: PRODUCTION)"
    )
    group.add_argument("--query", help="unused; unstructured models only")
    group.add_argument("--content-type", help="unused; unstructured models only")
    group.add_argument("--docker", metavar="IMAGE", help="refused: use DRUM's own 'drum server --docker'")
    group.add_argument("--memory", metavar="SIZE", help="unused without --docker")
    group.add_argument("--skip-deps-install", action="store_true", help="only together with --docker")
