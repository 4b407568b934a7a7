"""A custom predictor of the KServe SDK that speaks V2."""

import asyncio
import sys
import uuid

import numpy as np
from kserve import InferOutput, InferResponse, Model, ModelServer
from served_model import TIMEOUT, is_async, predictor, rows_predictor


class Rows(Model):
    def load(self):
        self.predict_frame, self.predict_rows = predictor(), rows_predictor()
        self.is_async = is_async()
        self.ready = True
        return True

    def __getstate__(self):
        """With several workers each gets a pickled copy, and loads the model itself."""
        return {name: value for name, value in vars(self).items() if not name.startswith("predict_")}

    def __setstate__(self, state):
        vars(self).update(state)
        self.load()

    async def predict(self, payload, headers=None, response_headers=None):
        if len(payload.inputs) > 1:
            predict, data = self.predict_frame, payload.as_dataframe()
        else:
            predict, data = self.predict_rows, payload.inputs[0].as_numpy()
        call = predict(data) if self.is_async else asyncio.to_thread(predict, data)
        values = np.array(await asyncio.wait_for(call, TIMEOUT))
        output = InferOutput(name="predict", shape=list(values.shape), datatype="FP64")
        output.set_data_from_numpy(values, binary_data=False)
        return InferResponse(response_id=payload.id or str(uuid.uuid4()), model_name=self.name, infer_outputs=[output])


if __name__ == "__main__":
    name, port, workers = sys.argv.pop(1), int(sys.argv.pop(1)), int(sys.argv.pop(1))
    model = Rows(name)
    model.load()
    ModelServer(http_port=port, workers=workers, enable_grpc=False, access_log_format=None).start([model])
