"""Telemetry of a real server with the oldest and the newest OpenTelemetry SDK, as a collector receives it.

The SDK of a cell comes before the one of the tests on the path. Needs the package index once.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import running
from support.environments.worker_pythons import with_packages
from support.servers.backends import ROOT, console_script, start_ours
from support.servers.otlp import Collector
from support.servers.process import ServerProcess, free_port
from support.wire import post
from support.zoo.registry import ModelFolder

GRPC_COLLECTOR = ROOT / "tests" / "support" / "servers" / "otlp_grpc.py"
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
PACKAGES = ("sdk", "exporter-otlp-proto-http", "exporter-otlp-proto-grpc", "propagator-b3")
SDKS = {
    "1.20": (*(f"opentelemetry-{name}==1.20.0" for name in PACKAGES), "opentelemetry-distro==0.41b0"),
    "newest": (*(f"opentelemetry-{name}" for name in PACKAGES), "opentelemetry-distro"),
}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
DELTA = 1
STEPS = {"queue", "model"}
HOOKS = """
import logging
from opentelemetry import metrics, trace
from opentelemetry.sdk import version
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

class Noting(SpanProcessor):
    def on_start(self, span, parent_context=None):
        span.set_attribute("noted", True)

def load_model(code_dir):
    trace.get_tracer_provider().add_span_processor(Noting())
    return metrics.get_meter("hook").create_counter("hooks")

def score_unstructured(model, data, query, **kwargs):
    model.add(1)
    with trace.get_tracer("hook").start_as_current_span("hook"):
        logging.getLogger("hook").warning("in the hook")
    return version.__version__
"""
OWN_PROVIDER = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

def load_model(code_dir):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint="{endpoint}/v1/traces")))
    trace.set_tracer_provider(provider)
    return "the model"

def score_unstructured(model, data, query, **kwargs):
    with trace.get_tracer("hook").start_as_current_span("hook"):
        return "done"
"""
FOLDER = ModelFolder("telemetry", lambda _: None, "unstructured")
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_BLRP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "200"}


@pytest.fixture(params=["newest", pytest.param("1.20", marks=pytest.mark.slow)])
def cell(request: pytest.FixtureRequest) -> Path:
    """Home of the environment with the cell's SDK."""
    try:
        return with_packages(HERE, *SDKS[request.param])
    except RuntimeError as error:
        pytest.skip(str(error))


def on_path(cell: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(cell / "lib" / f"python{HERE}" / "site-packages")}


@contextmanager
def grpc_in_front_of(collector: Collector, cell: Path) -> Iterator[str]:
    """The endpoint of a gRPC collector that hands on all to ``collector``."""
    command = [str(cell / "bin" / "python"), str(GRPC_COLLECTOR), collector.endpoint]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def ask(server: ServerProcess) -> str:
    request = post("/predictUnstructured/", b"x", "text/plain")
    answer = server.send(request.with_headers(("traceparent", f"00-{TRACE}-{PARENT}-01")))
    assert answer.status == 200, answer.body
    return answer.body.decode()


def total(collector: Collector, name: str) -> float:
    """What a counter has counted of calls of the model."""
    points = [
        (metric["temporality"], point["value"])
        for metric in collector.metrics
        if metric["name"] == name
        for point in metric["points"]
        if point["attributes"].get("endpoint", "/predictUnstructured") == "/predictUnstructured"
    ]
    deltas = [value for temporality, value in points if temporality == DELTA]
    return sum(deltas) if deltas else max((value for _, value in points), default=0)


def counted_once(collector: Collector, name: str) -> bool:
    return total(collector, name) == 1


def with_hooks(folder: Path, source: str) -> Path:
    (folder / "custom.py").write_text(source)
    return folder


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_all_signals_arrive(tmp_path: Path, cell: Path, protocol: str) -> None:
    grpc = protocol == "grpc"
    folder = with_hooks(tmp_path, HOOKS)
    with Collector() as collector, grpc_in_front_of(collector, cell) as endpoint:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint if grpc else collector.endpoint, **QUICK, **on_path(cell)}
        env |= {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "DRUM_TRACE_STEPS": "true" if grpc else "false"}
        with running(start_ours(FOLDER, folder, tmp_path / "server.log", env=env)) as server:
            assert ask(server).startswith("1.20." if "1.20.0" in str(list(cell.glob("lib/*/*/*sdk-*"))) else "1.")
            collector.wait_for(lambda seen: {"drum.predictUnstructured", "hook"} <= set(seen.names()))
            collector.wait_for(lambda seen: any(log["body"] == "in the hook" for log in seen.logs))
            for name in ("hooks", "drum_requests_total", "drum_request_duration_seconds_count"):
                collector.wait_for(functools.partial(counted_once, name=name))
            wanted = {"drum_request_duration_seconds_bucket", "drum_request_duration_seconds_sum", "drum_memory_bytes"}
            collector.wait_for(lambda seen: wanted <= {metric["name"] for metric in seen.metrics})
            collector.wait_for(lambda seen: not grpc or set(seen.names()) >= STEPS)
        assert f"INFO drum.otel:  OTEL is configured with endpoint: {env['OTEL_EXPORTER_OTLP_ENDPOINT']}" in (
            server.output()
        )
        assert "Traceback" not in server.output()
    request, hook = collector.span("drum.predictUnstructured"), collector.span("hook")
    assert (request["trace_id"], request["parent"]) == (TRACE, PARENT)
    assert {"drum.queue.duration_ms", "drum.model.duration_ms"} <= request["attributes"].keys()
    above = collector.span("model") if grpc else request
    assert hook["parent"] == above["span_id"]
    assert hook["attributes"] == {"noted": True}, "the hook's processor has seen it, and the server's exported it"
    told = [*collector.spans, *collector.logs, *collector.metrics]
    assert {each["resource"]["service.name"] for each in told} == {"drum-litestar"}
    (log,) = [log for log in collector.logs if log["body"] == "in the hook"]
    assert (log["trace_id"], log["span_id"]) == (TRACE, hook["span_id"])


@pytest.mark.parametrize("cell", ["newest", pytest.param("1.20", marks=pytest.mark.slow)], indirect=True)
def test_by_opentelemetry_instrument(tmp_path: Path, cell: Path) -> None:
    """Its provider makes the requests' spans; the model's process has one of the server's making."""
    folder = with_hooks(tmp_path, HOOKS)
    port = free_port()
    run = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
    command = [sys.executable, "-c", run, console_script(), "server", "--address", f"127.0.0.1:{port}"]
    with Collector() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        env |= {"OTEL_SERVICE_NAME": "instrumented", "OTEL_TRACES_EXPORTER": "otlp", **QUICK, **on_path(cell)}
        words = [*command, *FOLDER.command_line(folder)]
        with running(ServerProcess(words, port=port, log=tmp_path / "server.log", env=env)) as server:
            ask(server)
            collector.wait_for(lambda seen: {"drum.predictUnstructured", "hook"} <= set(seen.names()))
        assert "Overriding of current TracerProvider" not in server.output()
    request = collector.span("drum.predictUnstructured")
    assert request["resource"]["telemetry.auto.version"]
    assert collector.span("hook")["parent"] == request["span_id"]
    assert "drum.model.duration_ms" in request["attributes"]


@pytest.mark.parametrize("steps", [False, True])
def test_a_provider_of_the_hooks_own(tmp_path: Path, steps: bool) -> None:
    """Without the server's: hooks' spans are in the client's trace, and so are steps if they are asked for."""
    with Collector() as collector:
        folder = with_hooks(tmp_path, OWN_PROVIDER.format(endpoint=collector.endpoint))
        env = {"DRUM_TRACE_STEPS": str(steps)}
        with running(start_ours(FOLDER, folder, tmp_path / "server.log", env=env)) as server:
            assert ask(server) == "done"
            found = {span["name"]: span for span in collector.spans}  # they are exported as they end
    assert found.keys() == ({"hook", "model"} if steps else {"hook"})
    assert {span["trace_id"] for span in found.values()} == {TRACE}
    assert found["hook"]["parent"] == (found["model"]["span_id"] if steps else PARENT)
