"""The gRPC port of a real server, asked by Triton's client and by gRPC's own for health and reflection."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from support.servers.certificates import make_pair
from support.servers.faults import Faults, FaultyServer, eventually, faults_of
from support.servers.process import free_port
from support.wire import get
from support.zoo import Zoo

MODEL = "faulty"
TOKEN = {"authorization": "Bearer t0ken"}
LARGEST = 200_000


class Served(FaultyServer):
    """A server with a gRPC port, and a client."""

    def __init__(self, server: FaultyServer, port: int) -> None:
        self.__dict__.update(vars(server))
        self.grpc_port = port
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.client = triton.InferenceServerClient(f"127.0.0.1:{port}")
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def infer(self, *inputs: Any, **options: Any) -> Any:
        return self.client.infer(MODEL, list(inputs), **{"headers": TOKEN, **options})

    def refusal(self, *inputs: Any, **options: Any) -> tuple[str, str]:
        """Status and text of a call that fails."""
        with pytest.raises(InferenceServerException) as caught:
            self.infer(*inputs, **options)
        return str(caught.value.status()).removeprefix("StatusCode."), caught.value.message()

    def model_infer(self, request: Any, **options: Any) -> Any:
        """The answer to a message."""
        call = self.channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=None if isinstance(request, bytes) else service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )
        return call(request, metadata=tuple(TOKEN.items()), timeout=60, **options)


@pytest.fixture(scope="module")
def served(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    for faults in faults_of(zoo, tmp_path_factory.mktemp("grpc")):
        port = free_port()
        env = {
            "DRUM_GRPC_ADDRESS": f"127.0.0.1:{port}",
            "DRUM_MODEL_NAME": MODEL,
            "DRUM_API_TOKEN": "t0ken",
            "DRUM_FASTAPI_MAX_UPLOAD_SIZE": str(LARGEST),
        }
        found = Served(faults.start(env=env), port)
        try:
            yield found
        finally:
            found.client.close()
            found.channel.close()
        assert "raised by servicer method" not in found.server.output()


def tensor(name: str, *values: float | str) -> Any:
    array = np.array(values, dtype=object if isinstance(values[0], str) else np.float64)
    found = triton.InferInput(name, [len(values)], "BYTES" if array.dtype == object else "FP64")
    found.set_data_from_numpy(array)
    return found


def order(do: str, arg: float = 1) -> list[Any]:
    """Inputs that make the hook do ``do``."""
    return [tensor("do", do), tensor("arg", arg)]


def test_raw_contents(served: Served) -> None:
    result = served.infer(*order("echo", 7), request_id="first")
    assert result.as_numpy("predictions").tolist() == [7.0]
    answer = result.get_response()
    assert (answer.model_name, answer.id) == (MODEL, "first")
    assert len(answer.raw_output_contents) == 1
    line = "POST /inference.GRPCInferenceService/ModelInfer HTTP/2"
    eventually(lambda: line in served.server.output(), "the call is in the access log")


def test_typed_contents(served: Served) -> None:
    request = service_pb2.ModelInferRequest(model_name=MODEL)
    request.inputs.add(name="do", datatype="BYTES", shape=[2]).contents.bytes_contents.extend([b"echo", b"echo"])
    request.inputs.add(name="arg", datatype="INT32", shape=[2]).contents.int_contents.extend([3, 4])
    answer = served.model_infer(request)
    assert not answer.raw_output_contents
    (output,) = answer.outputs
    assert (output.datatype, list(output.shape), list(output.contents.fp64_contents)) == ("FP64", [2], [3.0, 3.0])


def test_metadata(served: Served) -> None:
    client = served.client
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.get_server_metadata(TOKEN).name == "drum-litestar"
    (output,) = client.get_model_metadata(MODEL, headers=TOKEN).outputs
    assert (output.name, output.datatype, list(output.shape)) == ("predictions", "FP64", [-1])


def test_what_tritons_tools_read(served: Served) -> None:
    client = served.client
    found = client.get_model_config(MODEL, headers=TOKEN).config
    assert (found.name, found.max_batch_size, found.output[0].data_type) == (MODEL, 0, 12)
    statistics = client.get_inference_statistics(headers=TOKEN).model_stats
    assert [each.name for each in statistics] == [MODEL]
    before = statistics[0].inference_count
    served.infer(*order("echo"))
    assert client.get_inference_statistics(MODEL, headers=TOKEN).model_stats[0].inference_count == before + 1
    (model,) = client.get_model_repository_index(TOKEN).models
    assert (model.name, model.state) == (MODEL, "READY")


def test_repository(served: Served) -> None:
    (worker,) = served.workers()
    served.client.load_model(MODEL, headers=TOKEN)
    eventually(lambda: worker not in served.workers(), "the old worker ends")
    with pytest.raises(InferenceServerException) as caught:
        served.client.unload_model(MODEL, headers=TOKEN)
    assert caught.value.status() == "StatusCode.UNIMPLEMENTED"
    kserve = served.channel.unary_unary("/inference.GRPCInferenceService/RepositoryModelLoad")
    name = b"\x0a%c%b" % (len(MODEL), MODEL.encode())
    assert kserve(name, metadata=tuple(TOKEN.items())) == name + b"\x10\x01"


def test_health_needs_no_token(served: Served) -> None:
    for service in ("", "inference.GRPCInferenceService", MODEL):
        assert served.health.Check(health_pb2.HealthCheckRequest(service=service)).status == 1
    with pytest.raises(grpc.RpcError) as caught:
        served.health.Check(health_pb2.HealthCheckRequest(service="other"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    watch = served.health.Watch(health_pb2.HealthCheckRequest(service="other"))
    assert next(iter(watch)).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()
    for request, status in ((b"\xff", "INVALID_ARGUMENT"), (b"\0" * 70_000, "RESOURCE_EXHAUSTED")):
        with pytest.raises(grpc.RpcError) as refused:
            served.channel.unary_unary("/grpc.health.v1.Health/Check")(request)
        assert refused.value.code() is getattr(grpc.StatusCode, status)
        with pytest.raises(grpc.RpcError) as refused:
            next(iter(served.channel.unary_stream("/grpc.health.v1.Health/Watch")(request)))
        assert refused.value.code() is getattr(grpc.StatusCode, status)


def test_reflection(served: Served) -> None:
    database = ProtoReflectionDescriptorDatabase(served.channel)
    assert set(database.get_services()) >= {"inference.GRPCInferenceService", "grpc.health.v1.Health"}
    service = DescriptorPool(database).FindServiceByName("inference.GRPCInferenceService")
    assert "ModelStreamInfer" in service.methods_by_name


def test_refusals(served: Served) -> None:
    echo = order("echo")
    assert served.refusal(*echo, headers={}) == ("UNAUTHENTICATED", "Missing or invalid API token")
    for status, options in (("NOT_FOUND", {"model_name": "other"}), ("UNIMPLEMENTED", {"model_version": "3"})):
        with pytest.raises(InferenceServerException) as caught:
            served.client.infer(**{"model_name": MODEL, "inputs": echo, "headers": TOKEN, **options})
        assert caught.value.status() == f"StatusCode.{status}"
    assert served.refusal(tensor("do", "echo"), tensor("arg", 1.0, 2.0))[0] == "INVALID_ARGUMENT"
    assert served.refusal(*echo, outputs=[triton.InferRequestedOutput("none")])[0] == "INVALID_ARGUMENT"
    with pytest.raises(grpc.RpcError) as broken:
        served.model_infer(b"\xff\xff\xff")
    assert broken.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert served.refusal(tensor("do", "x" * LARGEST))[0] == "RESOURCE_EXHAUSTED"
    assert served.refusal(*order("unavailable"))[0] == "UNAVAILABLE"
    with pytest.raises(grpc.RpcError) as large:
        served.model_infer(b"\0" * 100 * LARGEST, compression=grpc.Compression.Gzip)
    assert large.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    served_request = service_pb2.ModelInferRequest(model_name=MODEL)
    served_request.inputs.add(name="x", datatype="INT64", shape=[LARGEST // 4]).contents.int64_contents.extend(
        [0] * (LARGEST // 4)
    )
    with pytest.raises(grpc.RpcError) as grown:
        served.model_infer(served_request)
    assert grown.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    no_message = served.channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
    with pytest.raises(grpc.RpcError) as empty:
        no_message(iter(()), metadata=tuple(TOKEN.items()), timeout=60)
    assert empty.value.code() is grpc.StatusCode.CANCELLED
    assert served.infer(*order("echo", 5)).as_numpy("predictions").tolist() == [5.0]


def test_a_stream_answers_in_order(served: Served) -> None:
    answers: Queue[tuple[Any, Any]] = Queue()
    served.client.start_stream(lambda result, error: answers.put((result, error)), headers=TOKEN)
    try:
        for number in (1, 2, 3):
            served.client.async_stream_infer(MODEL, order("echo", number), request_id=str(number))
        served.client.async_stream_infer("other", order("echo"))
        served.client.async_stream_infer(MODEL, order("echo", 4))
        found = [answers.get(timeout=60) for _ in range(5)]
    finally:
        served.client.stop_stream()
    assert [result and result.as_numpy("predictions").tolist() for result, _ in found] == [[1], [2], [3], None, [4]]
    assert "there is no model 'other'" in str(found[3][1])


def test_a_stream_needs_the_token(served: Served) -> None:
    stream = served.channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
    with pytest.raises(grpc.RpcError) as caught:
        next(iter(stream(iter([b""]))))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_deadline_ends_the_work(served: Served) -> None:
    """The worker that still computes at the client's deadline is replaced, and its slot is free again."""
    (worker,) = served.workers()
    before = served_stats(served)["executor_timed_out"]
    assert served.refusal(*order("wait", 1), client_timeout=0.5)[0] == "DEADLINE_EXCEEDED"
    eventually(lambda: worker not in served.workers(), "the worker ends")
    assert served_stats(served)["executor_timed_out"] == before + 1
    assert served.infer(*order("echo", 8)).as_numpy("predictions").tolist() == [8.0]


def test_a_cancelled_call_leaves_the_queue(served: Served) -> None:
    begun = served.noted("begins")
    with ThreadPoolExecutor() as threads:
        running = threads.submit(served.infer, *order("wait", 2))
        served.noted_more("begins", begun)
        waiting = served.client.async_infer(MODEL, order("record", 9), lambda result, error: None, headers=TOKEN)
        eventually(lambda: served_stats(served)["executor_queue_depth"] == 1, "the call waits")
        waiting.cancel()
        eventually(lambda: served_stats(served)["executor_queue_depth"] == 0, "the call has left the queue")
        served.go(2)
        assert running.result().as_numpy("predictions").tolist() == [2.0]
    assert not served.noted("record")


def served_stats(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = served.send(get("/stats/").with_headers(("Authorization", "Bearer t0ken"))).json()
    return found


def test_ids_and_metrics_are_those_of_requests(served: Served) -> None:
    method = served.channel.unary_unary("/inference.GRPCInferenceService/ServerMetadata")
    _, call = method.with_call(b"", metadata=(*TOKEN.items(), ("x-request-id", "abc")))
    assert ("x-request-id", "abc") in [tuple(pair) for pair in call.trailing_metadata()]
    with pytest.raises(grpc.RpcError) as refused:
        method(b"", metadata=(("x-request-id", "abc"),))
    assert ("x-request-id", "abc") in [tuple(pair) for pair in refused.value.trailing_metadata()]
    text = served.send(get("/metrics").with_headers(("Authorization", "Bearer t0ken"))).body.decode()
    assert 'endpoint="/inference.GRPCInferenceService/ModelInfer"' in text


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_tls_and_drain(faults: Faults, tmp_path: Path) -> None:
    """Running calls are answered, an idle stream ends, and health says so before."""
    pair, port = make_pair(tmp_path, "server"), free_port()
    env = {
        "DRUM_GRPC_ADDRESS": f"localhost:{port}",
        "DRUM_MODEL_NAME": MODEL,
        "DRUM_SSL_CERTFILE": pair.cert,
        "DRUM_SSL_KEYFILE": pair.key,
        "DRUM_PROBE_ADDRESS": "127.0.0.1:0",
        "DRUM_LAME_DUCK": "600",
    }
    server = faults.start(env=env, ready=False)
    closing = Event()
    credentials = grpc.ssl_channel_credentials(Path(pair.cert).read_bytes())
    with (
        grpc.secure_channel(f"localhost:{port}", credentials) as channel,
        triton.InferenceServerClient(f"localhost:{port}", ssl=True, root_certificates=pair.cert) as client,
        ThreadPoolExecutor() as threads,
    ):
        health = health_pb2_grpc.HealthStub(channel)

        def state() -> int:
            status: int = health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=60).status
            return status

        eventually(lambda: state() == health_pb2.HealthCheckResponse.SERVING, "the model is loaded")
        watched = watch(health)
        assert watched() == health_pb2.HealthCheckResponse.SERVING
        running = threads.submit(client.infer, MODEL, order("wait", 1), client_timeout=100)
        server.noted_more("begins")
        server.server.process.send_signal(signal.SIGTERM)
        assert watched() == health_pb2.HealthCheckResponse.NOT_SERVING
        assert state() == health_pb2.HealthCheckResponse.NOT_SERVING
        assert client.get_model_metadata(MODEL).name == MODEL
        stream = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")(never(closing))
        server.server.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as caught:
            next(iter(stream))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        server.go(1)
        assert running.result().as_numpy("predictions").tolist() == [1.0]
        assert server.server.process.wait(60) == 0
        closing.set()


def watch(health: Any) -> Callable[[], int]:
    states = iter(health.Watch(health_pb2.HealthCheckRequest()))
    return lambda: next(states).status


def never(closing: Event) -> Iterator[bytes]:
    """Messages that do not come until ``closing``."""
    closing.wait(60)
    yield from ()
