from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from drum_litestar.observability.metrics.execution_telemetry import ExecutorTelemetry
from drum_litestar.observability.metrics.otlp_metrics import export_metrics
from drum_litestar.observability.metrics.prometheus import Metrics, create_metrics
from drum_litestar.observability.metrics.request_series import UNMATCHED
from drum_litestar.predictors.protocol import ModelCard, TargetType

NAMES = {
    "drum_requests_total",
    "drum_request_duration_seconds",
    "drum_predictions_in_progress",
    "drum_memory_bytes",
    "drum_executor_queue_depth",
    "drum_executor_queue_memory_bytes",
    "drum_executor_workers_busy",
    "drum_queue_wait_seconds",
    "drum_model_seconds",
    "drum_batch_rows",
    "drum_worker_restarts_total",
    "drum_rejected_total",
    "drum_connections",
    "drum_model_info",
    "drum_model_reloads_total",
    "drum_model_last_reload_successful",
    "drum_model_loaded_timestamp_seconds",
}


@pytest.fixture
def metrics() -> Metrics:
    stats = {"executor_in_flight": 2, "executor_queue_depth": 7, "executor_workers_busy": 3}
    created = create_metrics(executor_stats=lambda: stats, workers=lambda: {"worker-1": os.getpid(), "gone": 2**22 + 1})
    assert created is not None
    return created


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    body, _ = metrics.render()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(body.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, tuple(sorted(labels.items()))]


def test_every_metric_is_there(metrics: Metrics) -> None:
    body, content_type = metrics.render()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    types = [line.split()[2] for line in body.decode().splitlines() if line.startswith("# TYPE")]
    assert {name for name in types if not name.endswith("_created")} - {"drum_oom_kills_total"} == NAMES


def test_requests_are_counted_by_route_template(metrics: Metrics) -> None:
    metrics.request_finished("POST", "/predict/", "/predict", 200, 0.02)
    metrics.request_finished("POST", "/predict", "/predict", 200, 0.2)
    metrics.request_finished("POST", "/predict", "/predict", 422, 70.0)
    assert value(metrics, "drum_requests_total", method="POST", endpoint="/predict", status="200") == 2
    assert value(metrics, "drum_requests_total", method="POST", endpoint="/predict", status="422") == 1
    labels = {"method": "POST", "endpoint": "/predict"}
    assert value(metrics, "drum_request_duration_seconds_bucket", le="0.025", **labels) == 1
    assert value(metrics, "drum_request_duration_seconds_bucket", le="60.0", **labels) == 2
    assert value(metrics, "drum_request_duration_seconds_count", **labels) == 3


def test_clients_cannot_create_series(metrics: Metrics) -> None:
    for number in range(50):
        metrics.request_finished(f"M{number}", f"/random/{number}", None, 404, 0.001)
    made = [key for key in samples(metrics) if key[0] == "drum_requests_total"]
    assert len(made) == 1
    assert value(metrics, "drum_requests_total", method="OTHER", endpoint=UNMATCHED, status="404") == 50


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/p/predict", "/p/predict"),
        ("/p/predict/", "/p/predict"),
        ("//p//predict//", "/p/predict"),
        ("/p/nim/v1/models", "/p/nim/{path}"),
        ("//p/nim//v1/models", "/p/nim/{path}"),
        ("/p/items/1/x", UNMATCHED),
        ("/p/predict/x", UNMATCHED),
        ("/", UNMATCHED),
    ],
)
def test_requests_refused_before_routing_are_labelled_with_their_route(
    metrics: Metrics, path: str, endpoint: str
) -> None:
    metrics.set_routes(["/p/predict", "/p/nim/{path}", "/p/items/{id}/x", "/{all}"])
    metrics.request_finished("POST", path, None, 503, 0.001)
    assert value(metrics, "drum_requests_total", method="POST", endpoint=endpoint, status="503") == 1


def test_values_of_other_components_are_read_at_the_scrape(metrics: Metrics) -> None:
    assert value(metrics, "drum_predictions_in_progress") == 2
    assert value(metrics, "drum_executor_queue_depth") == 7
    assert value(metrics, "drum_executor_workers_busy") == 3
    for process in ("server", "worker-1"):
        assert value(metrics, "drum_memory_bytes", type="rss", process=process) > 1e6
    assert not any(("process", "gone") in labels for _, labels in samples(metrics))
    assert value(metrics, "drum_memory_bytes", type="available", process="container") > 0


def test_executor_events(metrics: Metrics) -> None:
    observer = ExecutorTelemetry(metrics=metrics)
    observer.queue_wait(0.3, {})
    observer.model_seconds(0.004)
    observer.batch_rows(5)
    observer.rejected("queue_full")
    observer.worker_restarted("died")
    observer.worker_restarted("died")
    assert value(metrics, "drum_queue_wait_seconds_sum") == 0.3
    assert value(metrics, "drum_model_seconds_bucket", le="0.005") == 1
    assert value(metrics, "drum_batch_rows_bucket", le="8.0") == 1
    assert value(metrics, "drum_rejected_total", reason="queue_full") == 1
    assert value(metrics, "drum_worker_restarts_total", cause="died") == 2


def test_reloads(metrics: Metrics) -> None:
    assert value(metrics, "drum_model_last_reload_successful") == 1
    stats: dict[str, Any] = {
        "executor_reloads": {"succeeded": 3, "failed": 1},
        "executor_reload_error": "no such artifact",
        "executor_loaded_at": 1.5e9,
    }
    after = create_metrics(executor_stats=lambda: stats)
    assert after is not None
    assert value(after, "drum_model_reloads_total", result="succeeded") == 3
    assert value(after, "drum_model_reloads_total", result="failed") == 1
    assert value(after, "drum_model_last_reload_successful") == 0
    assert value(after, "drum_model_loaded_timestamp_seconds") == 1.5e9


def test_connections_go_up_and_down(metrics: Metrics) -> None:
    metrics.connection_opened()
    metrics.connection_opened()
    metrics.connection_closed()
    assert value(metrics, "drum_connections") == 1


def test_model_info_is_replaced_on_reload(metrics: Metrics) -> None:
    for predictor in ("scikit-learn", "xgboost"):
        info: dict[str, Any] = {"predictor": predictor, "language": "python"}
        metrics.set_model_info(ModelCard(target_type=TargetType.REGRESSION, info=info))
    shown = [labels for name, labels in samples(metrics) if name == "drum_model_info"]
    assert [dict(labels)["predictor"] for labels in shown] == ["xgboost"]


def test_openmetrics_when_asked_for(metrics: Metrics) -> None:
    metrics.request_finished("GET", "/info", "/info", 200, 0.001)
    body, content_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    families = parse_openmetrics(body.decode())  # type: ignore[no-untyped-call]
    assert any(family.name == "drum_requests" for family in families)


def test_two_servers_in_one_process_share_nothing() -> None:
    first, second = create_metrics(), create_metrics()
    assert first is not None
    assert second is not None
    first.request_finished("GET", "/info", "/info", 200, 0.001)
    assert b'endpoint="/info"' in first.render()[0]
    assert b'endpoint="/info"' not in second.render()[0]


def test_without_the_extra_there_are_no_metrics() -> None:
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from drum_litestar.observability.metrics.prometheus import create_metrics\n"
        "assert create_metrics() is None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_opentelemetry_reads_the_same_series() -> None:
    metrics = create_metrics()
    assert metrics is not None
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    export_metrics(metrics.registry, provider.get_meter("test"))
    metrics.request_finished("POST", "/predict", "/predict", 200, 0.02)
    metrics.model_seconds.observe(0.5)
    metrics.rejected("queue_full")
    found = {
        (metric.name, frozenset((point.attributes or {}).items())): point.value
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    expected = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    assert found.keys() == expected.keys()
    moving = {key for key in found if key[0] == "drum_memory_bytes"}
    assert {key: found[key] for key in found.keys() - moving} == {
        key: expected[key] for key in expected.keys() - moving
    }
    provider.shutdown()
