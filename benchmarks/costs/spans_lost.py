"""Spans that are lost while the collector is slow, refuses, and restarts: each one is accounted for.

    python -m benchmarks.costs.spans_lost [--requests 20000]

The requests come as fast as they are answered. During each quarter of them the collector behaves in another way:
it takes all; it needs half a second for each export; it answers 503 to every export of three seconds; it is gone for
three seconds. Created, handed to the exporter, sent, and given up by it are counted in the server, by a
``sitecustomize`` around the SDK's processor and exporter; what has arrived, at the collector. An export that still
waits for the collector when the server's time to end is over is cut off. Ends with 1 when the sums differ.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.contenders.base import drum_request
from benchmarks.costs.observability_cost import serving
from benchmarks.servers.server_process import free_port
from benchmarks.workload.models import model_folder
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import BY_NAME

CLIENTS = 16
SLOW = 0.5
"""Seconds for an export."""
AWAY = 3.0
"""Seconds of refusals, and without a collector."""
COUNTING = """import atexit, json, os
from pathlib import Path
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

counts = {"created": 0, "handed": 0, "sent": 0, "given_up": 0}
ended, export = BatchSpanProcessor.on_end, OTLPSpanExporter.export


def on_end(self, span):
    counts["created"] += 1
    ended(self, span)


def counted(self, spans):
    counts["handed"] += len(spans)
    result = export(self, spans)
    counts["sent" if result is SpanExportResult.SUCCESS else "given_up"] += len(spans)
    return result


BatchSpanProcessor.on_end, OTLPSpanExporter.export = on_end, counted
atexit.register(lambda: Path(os.environ["COUNTS"], str(os.getpid())).write_text(json.dumps(counts)))
"""


class Collector:
    """Counts the spans that it has answered with 200."""

    def __init__(self) -> None:
        self.port = free_port()
        self.arrived: set[bytes] = set()
        self.delay = 0.0
        self.status = 200
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                time.sleep(collector.delay)
                if collector.status == 200:
                    collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def take(self, body: bytes) -> None:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in group.scope_spans:
                self.arrived |= {span.span_id for span in scope.spans}

    def quarter(self, number: int) -> None:
        """Behave as in that quarter of the requests; a thread of its own."""
        self.delay = SLOW if number == 1 else 0.0
        if number == 2:
            self.status = 503
            time.sleep(AWAY)
            self.status = 200
        elif number == 3:
            self.stop()
            time.sleep(AWAY)
            self.start()


def send_all(port: int, request: PredictionRequest, count: int, collector: Collector) -> int:
    """Send ``count`` requests; the number of those that were answered with 200."""
    turns = iter(range(count))
    lock = threading.Lock()
    answered: list[int] = []

    def next_turn() -> int | None:
        with lock:
            turn = next(turns, None)
        if turn is not None and turn % (count // 4) == 0:
            threading.Thread(target=collector.quarter, args=(turn // (count // 4),)).start()
        return turn

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while (turn := next_turn()) is not None:
            body = request.bodies[turn % len(request.bodies)]
            connection.request("POST", request.path, body, request.headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                answered.append(turn)

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    return len(answered)


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    collector.start()
    try:
        yield collector
    finally:
        collector.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=20_000, help="default: %(default)s")
    count = parser.parse_args().requests
    request = drum_request(BY_NAME["ridge, 1 row, c=16"])
    with tempfile.TemporaryDirectory() as name, collecting() as collector:
        home = Path(name)
        (home / "counts").mkdir()
        (home / "sitecustomize.py").write_text(COUNTING)
        folder = model_folder("ridge", home, Path(sys.executable))
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}", "PYTHONPATH": str(home)}
        env |= {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "COUNTS": str(home / "counts")}
        with serving(folder, env, request) as server:
            answered = 1 + send_all(server.port, request, count, collector)  # and the first, which waited for the start
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(60)
        counts = [json.loads(path.read_text()) for path in (home / "counts").iterdir()]
    created, handed, sent, given_up = (
        sum(each[key] for each in counts) for key in ("created", "handed", "sent", "given_up")
    )
    cut_off = handed - sent - given_up
    arrived = len(collector.arrived)
    print(f"requests answered        {answered}")
    print(f"spans created            {created}")
    print(f"dropped by the queue     {created - handed}")
    print(f"given up by the exporter {given_up}")
    print(f"cut off at the end       {cut_off}")
    print(f"arrived                  {arrived}")
    return int(created != answered or not sent <= arrived <= sent + cut_off)


if __name__ == "__main__":
    sys.exit(main())
