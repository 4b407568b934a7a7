"""Reads its weights from a Ray Serve configuration, a Pydantic 1 model, and runs the deployment without a cluster."""

import sys

import pandas as pd
import pydantic
import ray
from ray import serve
from ray.serve.schema import DeploymentSchema

versions = {"ray": ray.__version__, "pydantic": pydantic.VERSION}
print("custom.py uses " + ", ".join(f"{name} {version}" for name, version in versions.items()), file=sys.stderr)


@serve.deployment(num_replicas=1, user_config={"a": 0.0, "b": 0.0})
class Linear:
    def reconfigure(self, weights):
        self.weights = weights

    def __call__(self, row):
        return sum(weight * row[name] for name, weight in self.weights.items())


def load_model(code_dir):
    schema = DeploymentSchema.parse_raw('{"name": "Linear", "user_config": {"a": 2.0, "b": -0.5}}')
    deployment = Linear.options(name=schema.name, user_config=schema.user_config)
    model = deployment.func_or_class()
    model.reconfigure(deployment.user_config)
    return model


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": [model(row) for row in data.to_dict("records")]})
