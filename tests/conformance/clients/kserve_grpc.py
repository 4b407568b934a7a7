"""KServe's gRPC client."""

import asyncio
import sys

import numpy as np
from calls import ROWS, check, close, expected, input_name, report
from kserve import InferenceGRPCClient, InferInput, InferRequest

url, address, model = sys.argv[1:]
output, name = expected(url, model), input_name(url, model)


async def main():
    client = InferenceGRPCClient(address, retries=0)

    async def infer(binary):
        given = InferInput(name, [2, 4], "FP64")
        given.set_data_from_numpy(np.array(ROWS), binary_data=binary)
        answer = await client.infer(InferRequest(model_name=model, infer_inputs=[given], request_id="7"))
        check(answer.id == "7", answer.id)
        close(answer.outputs[0].as_numpy().ravel().tolist(), output)

    await report(
        {
            "is_server_live": client.is_server_live,
            "is_server_ready": client.is_server_ready,
            "is_model_ready": lambda: client.is_model_ready(model),
            "infer, raw contents": lambda: infer(True),
            "infer, typed contents": lambda: infer(False),
        }
    )
    await client.close()


asyncio.run(main())
