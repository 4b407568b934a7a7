"""A runtime for hooks, in threads as they wait (``async def`` ones on the event loop), and MLServer's own one for
estimators with an addition."""

import asyncio

import numpy as np
import pandas as pd
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from mlserver_sklearn import SKLearnModel
from served_model import TIMEOUT, is_async, predictor


class Hooks(MLModel):
    async def load(self):
        self.predict_frame, self.is_async = predictor(), is_async()
        return True

    async def predict(self, payload):
        frame = pd.DataFrame(NumpyCodec.decode_input(payload.inputs[0]))
        call = self.predict_frame(frame) if self.is_async else asyncio.to_thread(self.predict_frame, frame)
        predictions = await asyncio.wait_for(call, TIMEOUT)
        output = NumpyCodec.encode_output("predict", np.asarray(predictions))
        return InferenceResponse(model_name=self.name, outputs=[output])


class Mixed(SKLearnModel):
    def decode_request(self, *args, **kwargs):
        """The codec's frame has None for a blank text, and scikit-learn's imputers take NaN for one."""
        frame = super().decode_request(*args, **kwargs)
        return frame.where(frame.notna())
