"""A server whose model is still loading, and every 503 of a server."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import tritonclient.grpc as triton

from support.servers.faults import FULL, WAITED, Faults, FaultyServer, eventually, message, order
from support.servers.process import free_port
from support.wire import Answer, Request, csv, get, post_json

PROBES = ("/", "/ping/", "/health/", "/readyz", "/startupz")
EXECUTORS = pytest.mark.parametrize("executor", ["pool", "inline"])


def start(faults: Faults, executor: str = "pool", *arguments: str, **env: str) -> FaultyServer:
    """Start a server whose model loads until ``on_load`` is changed."""
    server = faults.start(on_load="wait", ready=False, arguments=["--executor", executor, *arguments], env=env)
    server.noted_more("loads")
    return server


def unavailable(answer: Answer, retry_after: str) -> str:
    """Check a 503 and return its text."""
    assert (answer.status, answer.header("Retry-After")) == (503, retry_after), answer
    return message(answer)


@EXECUTORS
def test_calls_wait_for_the_model_and_probes_do_not(faults: Faults, executor: str) -> None:
    server = start(faults, executor, DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH="30")
    large = replace(order("echo", 3), body=order("echo", 3).body + b"echo,3\n" * 700_000)
    calls = [server.begin(order("echo", number)) for number in range(20)]
    others = {
        server.begin(request): status
        for request, status in (
            (large, 200), (csv("a\n1\n", "/transform/"), 422), (csv("a\n1\n", "/predictUnstructured/"), 422),
            (post_json("/chat/completions", {"messages": [], "count": 1}), 200), (get("/models"), 404),
        )
    }  # fmt: skip
    eventually(lambda: server.stats()["executor_queue_depth"] == len(calls) + len(others), "all wait")
    for target in (*PROBES, "/info/", "/capabilities/"):
        assert unavailable(server.send(get(target)), "10") == "Model is still loading"
    assert server.send(get("/livez")).status == 200
    server.on_load("")
    assert [call.result().json() for call in calls] == [{"predictions": [float(number)]} for number in range(20)]
    assert {call.result().status: status for call, status in others.items()} == {200: 200, 422: 422, 404: 404}
    for target in PROBES:
        assert server.send(get(target)).status == 200
    assert server.stats()["backpressure_rejected"] == 0


def infer(do: str, arg: float) -> Request:
    """A V2 call that does ``do`` in its worker."""
    inputs = [
        {"name": "do", "datatype": "BYTES", "shape": [1], "data": [do]},
        {"name": "arg", "datatype": "FP64", "shape": [1], "data": [arg]},
    ]
    return post_json("/v2/models/faulty/infer", {"inputs": inputs})


def test_v2_calls_wait_for_the_model_and_probes_do_not(faults: Faults) -> None:
    """Over HTTP and gRPC. What is asked of the model's metadata does not wait either."""
    port = free_port()
    server = start(faults, DRUM_MODEL_NAME="faulty", DRUM_GRPC_ADDRESS=f"127.0.0.1:{port}")
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as client, ThreadPoolExecutor() as threads:
        eventually(client.is_server_live, "gRPC listens")
        call = server.begin(infer("echo", 3))
        unknown = server.send(post_json("/v2/models/other/infer", {}))
        message = [triton.InferInput("do", [1], "BYTES"), triton.InferInput("arg", [1], "FP64")]
        message[0].set_data_from_numpy(np.array(["echo"], dtype=object))
        message[1].set_data_from_numpy(np.array([4.0]))
        sent = threads.submit(client.infer, "faulty", message)
        eventually(lambda: server.stats()["executor_queue_depth"] == 2, "both wait")
        assert unknown.status == 404
        for target in ("/v2/health/ready", "/v2/models/faulty/ready", "/v2/models/faulty"):
            answer = server.send(get(target))
            assert (answer.status, answer.header("Retry-After")) == (503, "10")
            assert answer.json() == {"error": "Model is still loading"}
        assert server.send(get("/v2/health/live")).json() == {"live": True}
        assert not client.is_server_ready()
        assert not client.is_model_ready("faulty")
        server.on_load("")
        assert call.result().json()["outputs"][0]["data"] == [3.0]
        assert sent.result().as_numpy("predictions").tolist() == [4.0]
        assert server.send(get("/v2/health/ready")).json() == {"live": True, "ready": True}
        assert client.is_model_ready("faulty")


@EXECUTORS
def test_a_model_that_cannot_be_loaded_answers_waiting_calls(faults: Faults, executor: str) -> None:
    """With an answer, not a reset connection, although the server ends with exit code 1."""
    server = start(faults, executor, DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH="30")
    calls = [server.begin(order("echo", number)) for number in range(10)]
    eventually(lambda: server.stats()["executor_queue_depth"] == 10, "all wait")
    server.on_load("raise")
    assert {unavailable(call.result(), "10") for call in calls} == {"Model failed to load"}
    assert server.server.wait_exit() == 1
    assert "no such artifact" in server.server.output().splitlines()[-1]


def test_the_error_server_answers_waiting_calls(faults: Faults) -> None:
    server = start(faults, "pool", "--with-error-server")
    call = server.begin(order("echo"))
    eventually(lambda: server.stats()["executor_queue_depth"] == 1, "it waits")
    server.on_load("raise")
    assert call.result().status == 513
    assert "no such artifact" in message(call.result())


@EXECUTORS
def test_a_stop_while_calls_wait_for_the_model(faults: Faults, executor: str) -> None:
    server = start(faults, executor)
    calls = [server.begin(order("echo", number)) for number in range(5)]
    eventually(lambda: server.stats()["executor_queue_depth"] == 5, "all wait")
    server.server.process.send_signal(signal.SIGTERM)
    assert {unavailable(call.result(), "10") for call in calls} == {"Server is shutting down"}
    assert server.server.wait_exit() == 0  # its grace would be 299 s


def test_a_client_that_disconnects_while_the_model_loads(faults: Faults) -> None:
    server = start(faults)
    connections = [server.half(order("echo"), announce=1000) for _ in range(3)]
    eventually(lambda: server.stats()["executor_queue_depth"] == 3, "three wait")
    for sock in connections:
        sock.close()
    eventually(lambda: server.stats()["executor_pending"] == 0, "their places are free")
    server.on_load("")
    server.server.wait_ready()
    server.still_works()


@EXECUTORS
def test_limits_of_the_wait(faults: Faults, executor: str) -> None:
    server = start(faults, executor, DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH="2", DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT="0.3")
    text = unavailable(server.send(order("echo")), "10")
    assert text == "Model is still loading: the request has waited 0.3 s (DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT)"
    server.on_load("")
    server.server.wait_ready()
    slow = [server.half(csv(""), announce=1000) for _ in range(3)]
    eventually(lambda: server.stats()["executor_pending"] == 3, "three places taken")
    assert unavailable(server.send(order("echo")), "5") == FULL
    for sock in slow:
        sock.close()


def test_every_503_of_a_model_that_was_loaded_has_a_retry_after(faults: Faults) -> None:
    """Those of a hook, of the queue's timeout, of a dead worker, of a probe meanwhile, and of a shutdown."""
    server = faults.start(env={"DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT": "0.3", "DRUM_UVICORN_GRACEFUL_TIMEOUT": "1"})
    assert unavailable(server.send(order("unavailable", 1)), "10") == "not today 1"
    blocked = server.begin_one("wait", 1)
    assert unavailable(server.send(order("echo")), "10") == WAITED
    server.on_load("wait")
    os.kill(server.workers()[0], signal.SIGKILL)
    assert "terminated unexpectedly" in unavailable(blocked.result(), "5")
    assert unavailable(server.send(get("/readyz")), "10") == "No model worker is ready"
    assert unavailable(server.send(order("echo")), "10")  # waits for the new worker as for any other slot
    server.on_load("")
    server.still_works()
    late = server.begin_one("sleep", 600)
    server.server.process.send_signal(signal.SIGTERM)
    assert unavailable(late.result(), "10") == "Server is shutting down"
    assert server.server.wait_exit() == 0
