"""The HTTP client that is generated from the specification's OpenAPI document."""

import asyncio
import sys

from calls import FLAT, check, close, expected, input_name, report
from open_inference.openapi.client import InferenceRequest, OpenInferenceClient
from open_inference.openapi.core.api_error import ApiError

url, _, model = sys.argv[1:]
client = OpenInferenceClient(base_url=url)
output, name = expected(url, model), input_name(url, model)
TENSOR = {"name": name, "shape": [2, 4], "datatype": "FP64", "data": FLAT}


def infer():
    answer = client.model_infer(model, request=InferenceRequest(id="7", inputs=[TENSOR]))
    check((answer.id, answer.model_name) == ("7", model))
    data = answer.outputs[0].data
    flat = [value for row in getattr(data, "__root__", data) for value in (row if isinstance(row, list) else [row])]
    close(flat, output)


def refused():
    try:
        client.read_model_metadata("no-such-model")
    except ApiError as error:
        check(error.status_code == 404, str(error))
    else:
        check(False)


asyncio.run(
    report(
        {
            "check_server_liveness": client.check_server_liveness,
            "check_server_readiness": client.check_server_readiness,
            "check_model_readiness": lambda: client.check_model_readiness(model),
            "read_server_metadata": lambda: check(client.read_server_metadata().version),
            "read_model_metadata": lambda: check(client.read_model_metadata(model).inputs[0].name == name),
            "model_infer": infer,
            "an error": refused,
        }
    )
)
