"""``kserve_app.py FILE PORT``: the classifier in a model of KServe's SDK, with both of its outputs."""

import sys

import joblib
from kserve import InferOutput, InferResponse, Model, ModelServer
from kserve.utils.utils import from_np_dtype, generate_uuid


class Iris(Model):
    def __init__(self, name, path):
        super().__init__(name)
        self.path = path
        self.load()

    def load(self):
        self.estimator = joblib.load(self.path)
        self.ready = True
        return self.ready

    async def get_input_types(self):
        return [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}]

    async def get_output_types(self):
        return [
            {"name": "predict", "datatype": "INT64", "shape": [-1]},
            {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3]},
        ]

    async def predict(self, payload, headers=None, response_headers=None):
        rows = payload.inputs[0].as_numpy()
        outputs = []
        for name in ("predict", "predict_proba"):
            values = getattr(self.estimator, name)(rows)
            output = InferOutput(name, list(values.shape), from_np_dtype(values.dtype))
            output.set_data_from_numpy(values, binary_data=payload.use_binary_outputs)
            outputs.append(output)
        return InferResponse(
            model_name=self.name,
            infer_outputs=outputs,
            response_id=payload.id or generate_uuid(),
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


if __name__ == "__main__":
    ModelServer(http_port=int(sys.argv[2]), enable_grpc=False, workers=1).start([Iris("iris", sys.argv[1])])
