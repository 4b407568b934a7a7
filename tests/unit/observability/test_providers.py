"""Processes that export to a real collector: the standard variables, and the flush at exit."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from drum_litestar.observability.providers import LAST_WITH_LOGS
from support.servers.otlp import Collector

PROGRAM = """
{begin}
import logging, sys
from opentelemetry import metrics, trace
from drum_litestar.request_context import request_id_var
from drum_litestar.observability.providers import configure_telemetry
logging.basicConfig(level="INFO", format="%(levelname)s %(message)s")
telemetry = configure_telemetry({arguments})
print("enabled", telemetry.enabled, telemetry.tracing.enabled, flush=True)
request_id_var.set("RID1")
with telemetry.tracing.request_span("drum.invocations", ()):
    with trace.get_tracer("user").start_as_current_span("hook"):
        logging.getLogger("mylog").warning("in hook")
        logging.getLogger("mylog").debug("below the level")
        logging.getLogger("opentelemetry.x").warning("not exported")
metrics.get_meter("user").create_counter("hooks").add(1)
{end}
"""


def run(
    collector: str, *, begin: str = "", arguments: str = "", end: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(begin=begin, arguments=arguments, end=end)],
        env={**inherited, "OTEL_EXPORTER_OTLP_ENDPOINT": collector, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


def test_traces_logs_and_metrics_are_flushed_at_exit() -> None:
    with Collector() as collector:
        done = run(
            collector.endpoint,
            arguments="worker=4",
            OTEL_SERVICE_NAME="my-model",
            OTEL_EXPORTER_OTLP_HEADERS="x-key=secret",
        )
        assert done.stdout == "enabled True True\n", done.stderr
        assert f"INFO OTEL is configured with endpoint: {collector.endpoint}" in done.stderr
        request, hook = collector.span("drum.invocations"), collector.span("hook")
        assert hook["parent"] == request["span_id"]
        told = [*collector.spans, *collector.logs, *collector.metrics]
        assert {each["resource"]["service.name"] for each in told} == {"my-model"}
        (log,) = [log for log in collector.logs if log["span_id"] == hook["span_id"]]
        assert (log["severity"][:4], log["body"]) == ("WARN", "in hook")
        assert str(log["attributes"]["context_data"]) == "{'request_id': 'RID1', 'worker': 4}"
        assert "not exported" not in {log["body"] for log in collector.logs}
        (metric,) = collector.metrics
        assert (metric["name"], metric["temporality"]) == ("hooks", 1)  # delta
        assert {headers["path"] for headers in collector.headers} == {"/v1/traces", "/v1/logs", "/v1/metrics"}
        assert all(headers["x-key"] == "secret" for headers in collector.headers)


def test_exported_logs_and_exceptions_hold_no_secrets() -> None:
    end = """
from drum_litestar.observability.tracing.spans import mark_failed
from drum_litestar.settings.masking import set_secrets
set_secrets((), {"A_TOKEN": "sesame-open"})
try:
    raise ValueError("no sesame-open")
except ValueError as error:
    logging.getLogger("mylog").exception("failed with sesame-open", extra={"detail": "sesame-open"})
    with trace.get_tracer("user").start_as_current_span("failing") as span:
        mark_failed(span, error)
"""
    with Collector() as collector:
        done = run(collector.endpoint, end=end)
        assert done.returncode == 0, done.stderr
        (log,) = [log for log in collector.logs if "failed with" in log["body"]]
        assert log["body"] == "failed with *****"
        assert log["attributes"]["detail"] == "*****"
        assert log["attributes"]["exception.message"] == "no *****"
        assert "sesame" not in str(collector.logs) + str(collector.spans)
        assert "no *****" in str(collector.span("failing"))


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ("import opentelemetry.sdk._logs as logs; del logs.LoggingHandler", "'LoggingHandler'"),
        ("import sys; sys.modules['opentelemetry.exporter.otlp.proto.http._log_exporter'] = None", "_log_exporter"),
    ],
    ids=["handler", "exporter"],
)
def test_an_sdk_without_the_means_to_send_logs_sends_the_rest(lost: str, named: str) -> None:
    with Collector() as collector:
        done = run(collector.endpoint, begin=lost)
        assert done.stdout == "enabled True True\n", done.stderr
        assert sorted(collector.names()) == ["drum.invocations", "hook"]
        assert [metric["name"] for metric in collector.metrics] == ["hooks"]
        assert not collector.logs
    (line,) = [line for line in done.stderr.splitlines() if "Logs are not sent" in line]
    assert line.startswith("WARNING ")
    assert named in line
    assert f"pip install {LAST_WITH_LOGS})" in line
    assert line.endswith("OTEL_LOGS_EXPORTER=none")


def test_a_protocol_whose_exporter_is_missing_is_named_with_its_package() -> None:
    begin = "import sys; sys.modules['opentelemetry.exporter.otlp.proto.grpc'] = None"
    with Collector() as collector:
        done = run(collector.endpoint, begin=begin, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="grpc")
        assert done.stdout == "enabled True False\n", done.stderr
        assert {headers["path"] for headers in collector.headers} == {"/v1/metrics", "/v1/logs"}
    (line,) = [line for line in done.stderr.splitlines() if "Traces are not sent" in line]
    assert "pip install opentelemetry-exporter-otlp-proto-grpc)" in line
    assert line.endswith("OTEL_TRACES_EXPORTER=none")


GIVEN = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
given = TracerProvider()
given.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter("{endpoint}/v1/traces", headers={{"by": "another"}})))
trace.set_tracer_provider(given)
"""


@pytest.mark.parametrize(
    ("environ", "paths"),
    [({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, {"/v1/traces"}), ({}, {"/v1/traces", "/v1/metrics", "/v1/logs"})],
    ids=["alone", "and-the-endpoint"],
)
def test_a_provider_that_is_there_stays(environ: dict[str, str], paths: set[str]) -> None:
    with Collector() as collector:
        done = run(collector.endpoint, begin=GIVEN.format(endpoint=collector.endpoint), **environ)
        assert done.stdout == "enabled True True\n", done.stderr
        assert collector.names() == ["hook", "drum.invocations"], "each once"
        assert {headers["path"] for headers in collector.headers} == paths
        assert [headers.get("by") for headers in collector.headers if headers["path"] == "/v1/traces"] == [
            "another"
        ] * 2
    assert "Overriding" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, "INFO OTEL is not configured"),
        ("sdk_disabled=True", {}, "INFO OTEL explictly disabled"),
        ("", {"OTEL_SDK_DISABLED": "true"}, "INFO OTEL explictly disabled"),
    ],
)
def test_off(arguments: str, environ: dict[str, str], message: str) -> None:
    with Collector() as collector:
        done = run(collector.endpoint, arguments=arguments, **environ)
        assert done.stdout == "enabled False False\n", done.stderr
        assert message in done.stderr
        assert collector.headers == []


def test_one_signal_can_be_turned_off() -> None:
    with Collector() as collector:
        run(collector.endpoint, OTEL_LOGS_EXPORTER="none", OTEL_METRICS_EXPORTER="none")
        assert {headers["path"] for headers in collector.headers} == {"/v1/traces"}


def test_without_the_sdk_a_warning_names_the_command() -> None:
    program = "import sys; sys.modules['opentelemetry.sdk'] = None\n" + PROGRAM.format(begin="", arguments="", end="")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "enabled False False\n"
    assert "pip install opentelemetry-sdk" in done.stderr


def test_a_collector_that_does_not_answer_delays_the_exit_no_longer_than_the_timeout() -> None:
    """All three signals together."""
    end = "import time; began = time.monotonic(); print(telemetry.shutdown(2), time.monotonic() - began)"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = run(url, end=end, OTEL_EXPORTER_OTLP_TIMEOUT="3600")
    assert done.returncode == 0, done.stderr
    sent, taken = done.stdout.splitlines()[1].split()
    assert sent == "False"
    assert 2 <= float(taken) < 4


def test_an_export_is_not_logged_in_the_next_one() -> None:
    """At level debug the SDK's HTTP client logs each request; without end if these records were exported."""
    begin = """
import logging, threading
exported = threading.Event()

class Seen(logging.Handler):
    def emit(self, record):
        if record.name.startswith("urllib3") and "/v1/traces" in record.getMessage():
            exported.set()

logging.getLogger("urllib3").setLevel("DEBUG")
logging.getLogger("urllib3").addHandler(Seen())
"""
    end = 'assert exported.wait(60); logging.getLogger("urllib3").debug("of a hook")'
    with Collector() as collector:
        done = run(collector.endpoint, begin=begin, end=end, OTEL_BSP_SCHEDULE_DELAY="1")
        assert done.returncode == 0, done.stderr
        assert [log["body"] for log in collector.logs if log["logger"].startswith("urllib3")] == ["of a hook"]


def test_an_empty_variable_is_as_good_as_unset() -> None:
    empty = {f"OTEL_{name}": "" for name in ("TRACES_EXPORTER", "EXPORTER_OTLP_LOGS_PROTOCOL")}
    with Collector() as collector:
        done = run(collector.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="grpc", **empty)
        for signal in ("Traces", "Metrics", "Logs"):
            assert f"{signal} are not sent" in done.stderr


def test_unknown_propagators_are_replaced_with_a_warning() -> None:
    with Collector() as collector:
        done = run(collector.endpoint, OTEL_PROPAGATORS="nonsense")
        assert "Propagator nonsense not found" in done.stderr
        assert done.stdout == "enabled True True\n"


def test_b3_is_found_by_its_standard_name() -> None:
    with Collector() as collector:
        done = run(
            collector.endpoint,
            end=f"""
headers = [(b"x-b3-traceid", b"{7:032x}"), (b"x-b3-spanid", b"{8:016x}"), (b"x-b3-sampled", b"1")]
with telemetry.tracing.request_span("of b3", headers): pass
""",
            OTEL_PROPAGATORS="b3multi",
        )
        assert collector.span("of b3")["trace_id"] == f"{7:032x}", done.stderr
