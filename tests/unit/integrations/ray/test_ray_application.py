"""Options of the deployment, the floor of Ray's version, the policy of the autoscaler, logs."""

from __future__ import annotations

import importlib.util
import logging
import pickle
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from drum_litestar.errors import MissingExtraError, PredictionError, StartupError, UsageError
from drum_litestar.integrations.ray import build, queue_policy
from drum_litestar.integrations.ray.application import check_version, deployment_options
from drum_litestar.integrations.ray.autoscaling import BUSY, SLOTS
from drum_litestar.integrations.ray.serve_logs import SERVE_LOGGER, ServeLogs
from drum_litestar.observability.logs.log_format import ACCESS_LOGGER, LIFECYCLE_LOGGER
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.settings import masking
from drum_litestar.settings.masking import set_secrets
from drum_litestar.settings.resolve import resolve
from drum_litestar.settings.server_settings import ServerSettings


def settings(**values: str) -> ServerSettings:
    return resolve({}, values).settings


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_command_is_named() -> None:
    with pytest.raises(MissingExtraError, match=r"Ray Serve needs the package 'ray'.*install 'ray\[serve\]>=2.56.1'"):
        build({"code_dir": "."})


@pytest.mark.parametrize("version", ["2.46.0", "2.55.1", "1.13.0"])
def test_an_older_ray_is_refused_with_the_reason(version: str) -> None:
    with pytest.raises(StartupError, match=f"Ray {version} is too old: 2.56.1 is the first whose Serve takes a Lites"):
        check_version(version)


def test_a_newer_ray_is_taken() -> None:
    for version in ("2.56.1", "2.60.0", "3.0.0.dev0"):
        check_version(version)


@pytest.mark.parametrize(
    ("values", "target", "expected"),
    [
        ({}, None, 1 + 1024),
        ({"CUSTOM_MODEL_WORKERS": "4", "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "6"}, None, 10),
        ({"DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "0"}, None, 1),
        ({"DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "0"}, TargetType.TEXT_GENERATION, 8),
        ({"DRUM_GUNICORN_WORKER_CLASS": "gevent"}, None, 5 + 1024),
        ({"CUSTOM_MODEL_WORKERS": "20", "DRUM_FASTAPI_EXECUTOR_WORKERS": "10"}, None, 200 + 2000),
        ({"CUSTOM_MODEL_WORKERS": "4", "DRUM_MAX_CONCURRENT_REQUESTS": "2"}, None, 2 + 1024),
    ],
)
def test_ongoing_requests_cover_slots_and_queue(
    values: dict[str, str], target: TargetType | None, expected: int
) -> None:
    assert deployment_options(settings(**values), {}, target)["max_ongoing_requests"] == expected


def test_the_drain_fits_into_rays() -> None:
    found = deployment_options(settings(DRUM_UVICORN_GRACEFUL_TIMEOUT="20"), {})
    assert 20 + 10 < found["graceful_shutdown_timeout_s"] < 20 + 20


def test_the_deployments_options() -> None:
    plain = deployment_options(settings(CUSTOM_MODEL_WORKERS="3"), {})
    assert plain["name"] == "Model"
    assert plain["num_replicas"] == 1
    assert plain["ray_actor_options"] == {"num_cpus": 3}
    given = {"name": "Prices", "num_replicas": "2", "num_cpus": "0.5", "num_gpus": "1"}
    found = deployment_options(settings(), given)
    assert (found["name"], found["num_replicas"]) == ("Prices", 2)
    assert found["ray_actor_options"] == {"num_cpus": 0.5, "num_gpus": 1}
    automatic = deployment_options(settings(CUSTOM_MODEL_WORKERS="3"), {"num_replicas": "auto"})
    assert automatic["num_replicas"] == "auto"
    assert automatic["autoscaling_config"] == {"target_ongoing_requests": 6}


@pytest.mark.parametrize(
    "given", [{"num_replicas": 0}, {"num_replicas": "1.5"}, {"num_replicas": "x"}, {"num_cpus": -1}, {"num_gpus": "a"}]
)
def test_numbers_that_are_none(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(given))):
        deployment_options(settings(), given)


def context(busy: list[float], slots: float = 2, queued: float = 0, target: int = 1) -> Any:
    metrics = {BUSY: dict(enumerate(busy)), SLOTS: dict.fromkeys(range(len(busy)), slots)} if busy else None
    return SimpleNamespace(aggregated_metrics=metrics, total_queued_requests=queued, target_num_replicas=target)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (context([0, 0]), 0),
        (context([1]), 1),
        (context([5]), 3),
        (context([2, 2], queued=1), 3),
        (context([], queued=0, target=0), 0),
        (context([], queued=3, target=0), 1),
        (context([], target=2), 2),
    ],
)
def test_the_policy_asks_for_a_slot_for_each_call(given: Any, wanted: int) -> None:
    assert queue_policy(given) == (wanted, {})


def test_errors_of_calls_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(PredictionError(422, "no data")))
    assert (error.status, error.message, str(error)) == (422, "no data", "422: no data")


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def ray_lines() -> Iterator[Lines]:
    """The handler of Ray's logger, and loggers as they were afterwards."""
    names = ("", SERVE_LOGGER, ACCESS_LOGGER, LIFECYCLE_LOGGER, "drum.otel")
    levels = {name: logging.getLogger(name).level for name in names}
    lines, logger = Lines(), logging.getLogger(SERVE_LOGGER)
    logger.addHandler(lines)
    yield lines
    logger.removeHandler(lines)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_logs_go_to_rays_logger(ray_lines: Lines) -> None:
    logs = ServeLogs("warning")
    try:
        assert logs.show_status is None
        logging.getLogger("drum").info("not at this level")
        logging.getLogger("drum").warning("a warning")
        logging.getLogger(LIFECYCLE_LOGGER).info("ready")
        logging.getLogger(ACCESS_LOGGER).info("Ray has a line for each request itself")
        logs.forward(2, "stdout", "printed by a hook")
    finally:
        logs.close()
    logging.getLogger("drum").warning("later")
    assert ray_lines.lines == ["a warning", "ready", "[worker 2 stdout] printed by a hook"]


def test_rays_logger_gets_no_secret_and_no_line_of_a_clients(ray_lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_process_values", ())
    set_secrets(["--api-token=abcdef123456"], {})
    logs = ServeLogs("warning")
    try:
        logs.forward(1, "stderr", "printed abcdef123456")
        logging.getLogger("drum").warning("asked for %s", "a\nINFO forged abcdef123456")
        try:
            raise ValueError("with abcdef123456")
        except ValueError:
            logging.getLogger("drum").exception("failed")
        logging.getLogger("drum").error("of a worker", extra={"traceback": "in abcdef123456\n\x1b[31m"})
    finally:
        logs.close()
    printed, asked, failed, worker = ray_lines.lines
    assert printed == "[worker 1 stderr] printed *****"
    assert asked == "asked for a\\nINFO forged *****"
    assert failed.startswith("failed\nTraceback (most recent call last):\n")
    assert failed.endswith("ValueError: with *****")
    assert worker == "of a worker\nin *****\n\\x1b[31m"
