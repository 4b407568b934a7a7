"""KServe's HTTP client, for both versions of its protocol."""

import asyncio
import sys

import numpy as np
from calls import ROWS, check, close, expected, input_name, report
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput

url, _, model = sys.argv[1:]
output, name = expected(url, model), input_name(url, model)


def request(binary, **fields):
    given = InferInput(name, [2, 4], "FP64")
    given.set_data_from_numpy(np.array(ROWS), binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=[given], request_id="7", **fields)


async def main():
    second = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    first = InferenceRESTClient(RESTConfig(protocol="v1", retries=0))

    async def infer(*arguments, **fields):
        answer = await second.infer(url, request(*arguments, **fields), model_name=model)
        check(answer.id == "7", answer.id)
        close(answer.outputs[0].as_numpy().ravel().tolist(), output)

    async def instances():
        answer = await first.infer(url, {"instances": ROWS}, model_name=model)
        check(len(answer["predictions"]) == 2, str(answer))

    asked = [RequestedOutput(output["name"], parameters={"binary_data": True})]
    await report(
        {
            "is_server_live": lambda: second.is_server_live(url),
            "is_server_ready": lambda: second.is_server_ready(url),
            "is_model_ready": lambda: second.is_model_ready(url, model),
            "infer, JSON": lambda: infer(False),
            "infer, binary": lambda: infer(True),
            "infer, binary both ways": lambda: infer(True, request_outputs=asked),
            "infer, all outputs binary": lambda: infer(True, parameters={"binary_data_output": True}),
            "V1 is_model_ready": lambda: first.is_model_ready(url, model),
            "V1 infer": instances,
        }
    )


asyncio.run(main())
