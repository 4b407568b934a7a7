"""A real OTLP/HTTP collector for tests: a loopback server that decodes the protobuf bodies it is sent."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

KINDS = {0: "unspecified", 1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
STATUSES = {0: "unset", 1: "ok", 2: "error"}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return (
        (_attributes(value.kvlist_value.values) if kind == "kvlist_value" else getattr(value, kind)) if kind else None
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _point(point: Any) -> dict[str, Any]:
    kind = "value" in point.DESCRIPTOR.oneofs_by_name and point.WhichOneof("value")
    return {"attributes": _attributes(point.attributes), "value": getattr(point, kind) if kind else None}


class Collector:
    """Records what exporters send. ``spans``, ``logs`` and ``metrics`` hold plain dicts."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._arrived = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector._receive(self.path, body, dict(self.headers))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_for(self, condition: Callable[[Collector], Any], timeout: float = 120) -> None:
        """Return when ``condition(self)`` holds, which is looked at each time something arrives."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: condition(self), timeout):
                raise AssertionError(f"not received in {timeout} s; spans: {self.names()}, logs: {len(self.logs)}")

    def names(self) -> list[str]:
        return [span["name"] for span in self.spans]

    def span(self, name: str) -> dict[str, Any]:
        """The only span of that name."""
        (found,) = [span for span in self.spans if span["name"] == name]
        return found

    def _receive(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        with self._arrived:
            self.headers.append({"path": path, **headers})
            if path.endswith("/v1/traces"):
                self._traces(body)
            elif path.endswith("/v1/logs"):
                self._logs(body)
            elif path.endswith("/v1/metrics"):
                self._metrics(body)
            self._arrived.notify_all()

    def _traces(self, body: bytes) -> None:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in group.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        {
                            "name": span.name,
                            "kind": KINDS[span.kind],
                            "tracer": scope.scope.name,
                            "trace_id": span.trace_id.hex(),
                            "span_id": span.span_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "start": span.start_time_unix_nano,
                            "end": span.end_time_unix_nano,
                            "status": (STATUSES[span.status.code], span.status.message),
                            "attributes": _attributes(span.attributes),
                            "links": [
                                {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()} for link in span.links
                            ],
                            "events": [(event.name, _attributes(event.attributes)) for event in span.events],
                            "resource": _attributes(group.resource.attributes),
                            "received": time.time_ns(),
                        }
                    )

    def _logs(self, body: bytes) -> None:
        for group in ExportLogsServiceRequest.FromString(body).resource_logs:
            for scope in group.scope_logs:
                for record in scope.log_records:
                    self.logs.append(
                        {
                            "logger": scope.scope.name,
                            "severity": record.severity_text,
                            "body": _value(record.body),
                            "trace_id": record.trace_id.hex(),
                            "span_id": record.span_id.hex(),
                            "attributes": _attributes(record.attributes),
                            "resource": _attributes(group.resource.attributes),
                        }
                    )

    def _metrics(self, body: bytes) -> None:
        for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    data = getattr(metric, metric.WhichOneof("data"))
                    self.metrics.append(
                        {
                            "name": metric.name,
                            "kind": metric.WhichOneof("data"),
                            "temporality": getattr(data, "aggregation_temporality", 0),
                            "points": [_point(point) for point in data.data_points],
                            "resource": _attributes(group.resource.attributes),
                        }
                    )
