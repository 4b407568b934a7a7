"""NVIDIA's HTTP client."""

import asyncio
import sys

import numpy as np
import tritonclient.http as triton
from calls import ROWS, check, close, expected, input_name, report
from tritonclient.utils import InferenceServerException

url, _, model = sys.argv[1:]
client = triton.InferenceServerClient(url.removeprefix("http://"))
output, name = expected(url, model), input_name(url, model)


def tensor(binary):
    given = triton.InferInput(name, [2, 4], "FP64")
    given.set_data_from_numpy(np.array(ROWS), binary_data=binary)
    return [given]


def infer(binary, outputs, **options):
    result = client.infer(model, tensor(binary), outputs=outputs, request_id="7", **options)
    check(result.get_response()["id"] == "7")
    close(result.as_numpy(output["name"]).ravel().tolist(), output)


def asked(binary):
    return [triton.InferRequestedOutput(output["name"], binary_data=binary)]


def several():
    handles = [client.async_infer(model, tensor(True)) for _ in range(4)]
    for handle in handles:
        close(handle.get_result().as_numpy(output["name"]).ravel().tolist(), output)


def refused():
    try:
        client.infer("no-such-model", tensor(True))
    except InferenceServerException as error:
        check(error.status() == "404" and error.message(), str(error))
    else:
        check(False)


asyncio.run(
    report(
        {
            "is_server_live": client.is_server_live,
            "is_server_ready": client.is_server_ready,
            "is_model_ready": lambda: client.is_model_ready(model),
            "get_server_metadata": lambda: check("binary_tensor_data" in client.get_server_metadata()["extensions"]),
            "get_model_metadata": lambda: check(client.get_model_metadata(model)["inputs"][0]["name"] == name),
            "get_model_config": lambda: check(client.get_model_config(model)["name"] == model),
            "get_model_repository_index": lambda: check(client.get_model_repository_index()[0]["name"] == model),
            "get_inference_statistics": lambda: check(client.get_inference_statistics(model)["model_stats"]),
            "infer, binary both ways": lambda: infer(True, asked(True)),
            "infer, JSON both ways": lambda: infer(False, asked(False)),
            "infer, binary in": lambda: infer(True, asked(False)),
            "infer, JSON in": lambda: infer(False, asked(True)),
            "infer, no outputs named": lambda: infer(True, None),
            "infer, gzip request": lambda: infer(True, asked(True), request_compression_algorithm="gzip"),
            "infer, gzip answer": lambda: infer(True, asked(True), response_compression_algorithm="gzip"),
            "async_infer": several,
            "an error": refused,
        }
    )
)
