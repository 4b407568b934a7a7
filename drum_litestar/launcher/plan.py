"""Launch plan: everything that a start needs, as one frozen value made from the command line."""

from __future__ import annotations

import argparse
import logging
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from drum_litestar.errors import SettingsError, StartupError
from drum_litestar.launcher.machine_checks import check_machine
from drum_litestar.launcher.worker_interpreter import WorkerPython
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec
from drum_litestar.server.loop_choice import choose_loop
from drum_litestar.settings.notices import Notice, warning
from drum_litestar.settings.resolve import Resolution, Resolved, parameter, resolve
from drum_litestar.settings.runtime_params import parameters_file as runtime_params_file
from drum_litestar.settings.server_settings import ServerSettings

DIRECT_ACCESS_TIMEOUT = 3600.0
_PROMPT_COLUMN = ("PROMPT_COLUMN_NAME", "prompt_column_name")
"""Runtime parameter, as hooks name it and as DRUM's predictors for language models do (contract, 2.2)."""


class LaunchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Input of the composition root."""

    settings: ServerSettings
    resolved: tuple[Resolved, ...] = ()
    """The settings one by one, with the source of each."""
    spec: PredictorSpec
    """``kind`` is preliminary ("native" for "auto"); ``predictor`` has the requested one."""
    predictor: Literal["auto", "native", "drum"] = "auto"
    with_error_server: bool = False
    show_perf: bool = False
    verbose: bool = False
    show_stacktrace: bool = False
    logging_level: str = "warning"
    """DRUM's name of the level: all, debug, info, warn, warning, error, critical, fatal."""
    direct_access_timeout: float = DIRECT_ACCESS_TIMEOUT
    """Runtime parameter ``NIM_DIRECT_ACCESS_REQUEST_TIMEOUT`` in seconds (contract, 2.2)."""
    worker_python: WorkerPython | None = None
    """The workers' own interpreter (``DRUM_WORKER_PYTHON``), once it has been probed."""
    otel_disabled: bool = False
    """Runtime parameter ``OTEL_SDK_DISABLED`` has a truthy payload (contract, 5.6)."""
    notices: tuple[Notice, ...] = ()
    """Logged once logging is set up."""


def resolve_settings(args: argparse.Namespace, environ: MutableMapping[str, str]) -> Resolution:
    """Resolve the settings from the parsed options that ``server`` and ``settings`` share.

    The runtime parameters' file is loaded into ``environ`` first, because it may set what the server reads. Raises
    SettingsError, also for settings that do not work on this machine (:mod:`drum_litestar.launcher.machine_checks`).
    """
    if args.runtime_params_file is not None:
        if args.code_dir is None:
            raise StartupError("--runtime-params-file needs --code-dir, whose model-metadata.yaml defines the names")
        runtime_params_file.load(args.runtime_params_file, args.code_dir, environ)
    cli = {
        "ADDRESS": args.address,
        "CUSTOM_MODEL_WORKERS": args.max_workers,
        "DRUM_EXECUTOR": args.executor,
        "DRUM_PREDICTOR": args.predictor,
        "DRUM_RELOAD": "true" if args.reload else None,
        "DRUM_WORKER_PYTHON": args.worker_python,
    }
    # An option whose value came from its environment variable has that variable as its source.
    from_environment = {"ADDRESS": "--address", "CUSTOM_MODEL_WORKERS": "--max-workers"}
    resolution = resolve(
        {
            name: str(value)
            for name, value in cli.items()
            if value is not None and from_environment.get(name) not in args.from_environment
        },
        environ,
    )
    check_machine(resolution.settings)
    loop_warning = choose_loop(resolution.settings.loop.kind).warning
    if loop_warning is None:
        return resolution
    return msgspec.structs.replace(resolution, notices=(*resolution.notices, warning(loop_warning)))


def make_plan(args: argparse.Namespace, environ: MutableMapping[str, str], argv: tuple[str, ...]) -> LaunchPlan:
    """Make the plan from parsed and checked options.

    ``environ`` gets the runtime parameters' file and ``ADDRESS`` (contract, 1.1, step 3); ``argv`` is the command
    line that user code will see as ``sys.argv``. Raises StartupError.
    """
    resolution = resolve_settings(args, environ)
    settings, notices = resolution.settings, [_start_line(), *resolution.notices]
    environ["ADDRESS"] = args.address
    llm_id = _parameter("LLM_ID", environ, notices)
    prompt_column = next(filter(None, (_parameter(name, environ, notices) for name in _PROMPT_COLUMN)), None)
    spec = PredictorSpec(
        kind="drum" if settings.model.predictor == "drum" else "native",
        code_dir=args.code_dir,
        target_type=TargetType(args.target_type) if args.target_type else None,
        positive_class_label=args.positive_class_label,
        negative_class_label=args.negative_class_label,
        class_labels=tuple(labels) if (labels := args.class_labels or args.class_labels_file) else None,
        target_name=environ.get("TARGET_NAME") or None,
        language=args.language,
        deployment_config=args.deployment_config,
        user_secrets_mount_path=args.user_secrets_mount_path,
        user_secrets_prefix=args.user_secrets_prefix,
        single_output_is=settings.model.single_output_is,
        client_errors_4xx=settings.model.client_errors_4xx,
        moderations_optional=settings.model.moderations_optional,
        shortcuts=settings.model.shortcuts,
        model_name=settings.model.name or Path(args.code_dir).name or "model",
        max_table_size=settings.uploads.max_upload_size,
        show_stacktrace=args.show_stacktrace,
        llm_id=None if llm_id is None else str(llm_id),
        prompt_column=None if prompt_column is None else str(prompt_column),
        monitor=args.monitor,
        monitor_embedded=args.monitor_embedded,
        deployment_id=args.deployment_id,
        model_id=args.model_id,
        monitor_settings=args.monitor_settings,
        webserver=args.webserver,
        api_token=args.api_token,
        allow_dr_api_access=args.allow_dr_api_access,
        lazy_loading_file=args.lazy_loading_file,
        gpu_predictor=args.gpu_predictor,
        sidecar=args.sidecar,
        triton_host=args.triton_host,
        triton_http_port=args.triton_http_port,
        triton_grpc_port=args.triton_grpc_port,
        argv=argv,
    )
    return LaunchPlan(
        settings=settings,
        resolved=resolution.values,
        spec=spec,
        predictor=settings.model.predictor,
        with_error_server=args.with_error_server,
        show_perf=args.show_perf,
        verbose=args.verbose,
        show_stacktrace=args.show_stacktrace,
        logging_level=args.logging_level,
        direct_access_timeout=_seconds("NIM_DIRECT_ACCESS_REQUEST_TIMEOUT", DIRECT_ACCESS_TIMEOUT, environ, notices),
        # Any truthy payload, as in DRUM: the JSON string "false" too.
        otel_disabled=bool(_parameter("OTEL_SDK_DISABLED", environ, notices)),
        notices=tuple(notices),
    )


def _parameter(name: str, environ: MutableMapping[str, str], notices: list[Notice]) -> Any:
    """Payload of a parameter that DRUM reads too; a malformed one counts as absent, with a warning."""
    try:
        return parameter(name, environ)
    except SettingsError as error:
        notices.append(warning(f"{error}; it is ignored"))
        return None


def _seconds(name: str, default: float, environ: MutableMapping[str, str], notices: list[Notice]) -> float:
    """A positive number of seconds from a parameter that DRUM reads too; ``default`` with a warning for others."""
    value = _parameter(name, environ, notices)
    if value is None:
        return default
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if 0 < seconds < float("inf"):
        return seconds
    notices.append(warning(f"runtime parameter {name}: value {value!r} is no number above 0; {default:g} is used"))
    return default


def _start_line() -> Notice:
    return Notice(logging.INFO, ">>> Start drum in the server mode", "drum")
