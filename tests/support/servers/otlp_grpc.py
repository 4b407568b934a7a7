"""An OTLP/gRPC collector that hands on what it receives to the OTLP/HTTP one of ``otlp.py``.

    python otlp_grpc.py http://127.0.0.1:4318

It runs in an environment that has gRPC, prints its port, and ends with its standard input.
"""

from __future__ import annotations

import sys
import urllib.request
from concurrent import futures
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

SERVICES = {"traces": trace_service_pb2, "metrics": metrics_service_pb2, "logs": logs_service_pb2}


def relayed(service: Any, url: str) -> Any:
    """A handler of the service's ``Export``."""
    (described,) = service.DESCRIPTOR.services_by_name.values()
    method = described.methods_by_name["Export"]
    asked, answer = (vars(service)[message.name] for message in (method.input_type, method.output_type))

    def export(request: Any, _: Any) -> Any:
        with urllib.request.urlopen(urllib.request.Request(url, request.SerializeToString())):
            return answer()

    handler = grpc.unary_unary_rpc_method_handler(
        export, request_deserializer=asked.FromString, response_serializer=answer.SerializeToString
    )
    return grpc.method_handlers_generic_handler(described.full_name, {"Export": handler})


def main() -> None:
    to = sys.argv[1]
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(
        tuple(relayed(service, f"{to}/v1/{signal}") for signal, service in SERVICES.items())
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
