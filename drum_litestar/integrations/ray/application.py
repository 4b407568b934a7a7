"""The Serve application: one deployment of :class:`~drum_litestar.integrations.ray.replica.ModelReplica`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from packaging.version import Version

from drum_litestar.errors import StartupError, UsageError
from drum_litestar.execution.pool.pool_options import PoolOptions
from drum_litestar.execution.queue_limits import default_queue_depth
from drum_litestar.extras import require
from drum_litestar.integrations.ray.application_arguments import plan_of, read_arguments
from drum_litestar.pip_command import install_extra
from drum_litestar.predictors.native.concurrency import target_concurrency
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.settings.masking import set_secrets
from drum_litestar.settings.server_settings import ServerSettings

OLDEST: Final = "2.56.1"
DEPLOYMENT: Final = "Model"
"""Name of the deployment; a Serve config sets its options under this name."""
_STOP_MARGIN: Final = PoolOptions(builder="").stop_grace + PoolOptions(builder="").kill_grace
"""Seconds between the end of the drain and the end of the slowest worker."""


def build(args: dict[str, Any]) -> Any:
    """The application for ``serve run drum_litestar.integrations.ray:build code_dir=...`` and ``import_path``.

    ``args`` are the options and settings of ``drum-litestar server``, and ``name``, ``num_replicas``, ``num_cpus`` and
    ``num_gpus`` of the deployment. Raises StartupError, one line, for what can be refused without the model.
    """
    serve = require_serve()
    from drum_litestar.integrations.ray.replica import ModelReplica

    arguments = read_arguments(args)
    environ = {**os.environ, **arguments.environment}
    set_secrets(arguments.tokens, environ)  # Ray shows errors in its status and its logs
    plan = plan_of(arguments, environ, loads=False)
    options = deployment_options(plan.settings, arguments.deployment, plan.spec.target_type)
    return serve.deployment(serve.ingress()(ModelReplica), **options).bind(arguments)


def require_serve() -> Any:
    """Import Ray Serve. Raises StartupError where it is missing or too old."""
    ray = require("ray", "Ray Serve", "ray")
    check_version(ray.__version__)
    return require("ray.serve", "Ray Serve", "ray")


def check_version(version: str) -> None:
    """Raises StartupError for a Ray in which this server cannot work."""
    if Version(version).release < Version(OLDEST).release:
        raise StartupError(
            f"Ray {version} is too old: {OLDEST} is the first whose Serve takes a Litestar application, and builds it "
            f"in the replica. Install it with: {install_extra('ray')}"
        )


def deployment_options(
    settings: ServerSettings, given: Mapping[str, Any], target_type: TargetType | None = None
) -> dict[str, Any]:
    """Options of the deployment that follow from the settings; a Serve config may override each.

    ``given`` has those of ``OF_RAY`` that are arguments. Raises UsageError.
    """
    slots = settings.slots(target_concurrency(target_type) if target_type is not None else 1)
    depth = settings.admission.queue_depth
    # Batches are made of calls that wait here, so the queue must be filled from Ray's.
    options: dict[str, Any] = {
        "name": str(given.get("name", DEPLOYMENT)),
        "max_ongoing_requests": slots + (default_queue_depth(slots) if depth is None else depth),
        "graceful_shutdown_timeout_s": settings.timeouts.graceful_timeout + _STOP_MARGIN,
        "ray_actor_options": {"num_cpus": _number("num_cpus", given.get("num_cpus", settings.workers.count))},
    }
    if "num_gpus" in given:
        options["ray_actor_options"]["num_gpus"] = _number("num_gpus", given["num_gpus"])
    replicas = given.get("num_replicas", 1)
    if replicas != "auto":
        count = _number("num_replicas", replicas)
        if count < 1 or count != int(count):
            raise UsageError(f"num_replicas: '{replicas}' is no whole number above 0, and not auto")
        return {**options, "num_replicas": int(count)}
    # As many requests on average as run and wait their turn once: Ray's own 2 would scale for what one batch answers.
    return {**options, "num_replicas": "auto", "autoscaling_config": {"target_ongoing_requests": 2 * slots}}


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise UsageError(f"{name}: '{value}' is no number")
    return number
