"""A runtime for hooks, in threads as they wait; estimators have MLServer's own."""

import asyncio

import numpy as np
import pandas as pd
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from served_model import predictor


class Hooks(MLModel):
    async def load(self):
        self.predict_frame = predictor()
        return True

    async def predict(self, payload):
        frame = pd.DataFrame(NumpyCodec.decode_input(payload.inputs[0]))
        predictions = await asyncio.to_thread(self.predict_frame, frame)
        output = NumpyCodec.encode_output("predict", np.asarray(predictions))
        return InferenceResponse(model_name=self.name, outputs=[output])
