"""A custom predictor of the KServe SDK that speaks V2."""

import asyncio
import sys

import numpy as np
from kserve import InferOutput, InferResponse, Model, ModelServer
from served_model import predictor


class Rows(Model):
    def load(self):
        self.predict_frame = predictor()
        self.ready = True
        return True

    async def predict(self, payload, headers=None, response_headers=None):
        frame = payload.as_dataframe() if len(payload.inputs) > 1 else _matrix(payload.inputs[0])
        values = np.array(await asyncio.to_thread(self.predict_frame, frame))
        output = InferOutput(name="predict", shape=list(values.shape), datatype="FP64")
        output.set_data_from_numpy(values, binary_data=False)
        return InferResponse(response_id=payload.id, model_name=self.name, infer_outputs=[output])


def _matrix(tensor):
    import pandas as pd

    return pd.DataFrame(tensor.as_numpy(), columns=[f"x{number}" for number in range(tensor.shape[1])])


if __name__ == "__main__":
    name, port, workers = sys.argv.pop(1), int(sys.argv.pop(1)), int(sys.argv.pop(1))
    model = Rows(name)
    model.load()
    ModelServer(http_port=port, workers=workers, enable_grpc=False, access_log_format=None).start([model])
