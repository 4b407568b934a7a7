"""NVIDIA's gRPC client."""

import asyncio
import queue
import sys

import numpy as np
import tritonclient.grpc as triton
from calls import ROWS, check, close, expected, input_name, report
from tritonclient.utils import InferenceServerException

url, address, model = sys.argv[1:]
client = triton.InferenceServerClient(address)
output, name = expected(url, model), input_name(url, model)


def tensor():
    given = triton.InferInput(name, [2, 4], "FP64")
    given.set_data_from_numpy(np.array(ROWS))
    return [given]


def matches(result):
    close(result.as_numpy(output["name"]).ravel().tolist(), output)


def infer():
    outputs = [triton.InferRequestedOutput(output["name"])]
    result = client.infer(model, tensor(), outputs=outputs, request_id="7")
    check(result.get_response().id == "7")
    matches(result)


def stream():
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for _ in range(3):
        client.async_stream_infer(model, tensor())
    for _ in range(3):
        result, error = answers.get(timeout=30)
        check(error is None, str(error))
        matches(result)
    client.stop_stream()


def several():
    answers = queue.Queue()
    client.async_infer(model, tensor(), lambda result, error: answers.put((result, error)))
    result, error = answers.get(timeout=30)
    check(error is None, str(error))
    matches(result)


def refused():
    try:
        client.infer("no-such-model", tensor())
    except InferenceServerException as error:
        check(error.status() == "StatusCode.NOT_FOUND", str(error))
    else:
        check(False)


asyncio.run(
    report(
        {
            "is_server_live": client.is_server_live,
            "is_server_ready": client.is_server_ready,
            "is_model_ready": lambda: client.is_model_ready(model),
            "get_server_metadata": lambda: check(client.get_server_metadata().name),
            "get_model_metadata": lambda: check(client.get_model_metadata(model).inputs[0].name == name),
            "get_model_config": lambda: check(client.get_model_config(model).config.name == model),
            "get_model_repository_index": lambda: check(client.get_model_repository_index().models[0].name == model),
            "get_inference_statistics": lambda: check(client.get_inference_statistics(model).model_stats),
            "infer": infer,
            "infer, no outputs named": lambda: matches(client.infer(model, tensor())),
            "async_infer": several,
            "async_stream_infer": stream,
            "infer, gzip": lambda: matches(client.infer(model, tensor(), compression_algorithm="gzip")),
            "infer, with a deadline": lambda: matches(client.infer(model, tensor(), client_timeout=30)),
            "an error": refused,
        }
    )
)
