"""Saves a model with mlflow, loads it back with its signature, and predicts with that."""

import sys
import tempfile
from pathlib import Path

import mlflow
import pandas as pd
import pydantic
from mlflow.models import infer_signature

versions = {"mlflow": mlflow.__version__, "pydantic": pydantic.VERSION}
print("custom.py uses " + ", ".join(f"{name} {version}" for name, version in versions.items()), file=sys.stderr)


class Linear(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return 2.0 * model_input["a"] - 0.5 * model_input["b"]


def load_model(code_dir):
    example = pd.DataFrame({"a": [1.0], "b": [1.0]})
    signature = infer_signature(example, pd.Series([1.5]))
    with tempfile.TemporaryDirectory() as home:
        path = str(Path(home) / "saved")
        # Named requirements keep mlflow from looking for them in a process of its own.
        mlflow.pyfunc.save_model(path, python_model=Linear(), signature=signature, pip_requirements=["mlflow"])
        return mlflow.pyfunc.load_model(path)


def score(data, model, **kwargs):
    # The signature's columns are doubles, and mlflow refuses whole numbers in their place.
    return pd.DataFrame({"Predictions": model.predict(data.astype(float))})
