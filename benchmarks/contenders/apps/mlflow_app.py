"""``mlflow_app.py PORT WORKERS``: saves the model as MLflow has it, then becomes ``mlflow models serve``."""

import os
import sys
import tempfile
from pathlib import Path

import mlflow.pyfunc
from served_model import predictor

HOME = Path(__file__).parent


class Rows(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.predict_frame = predictor()

    def predict(self, context, model_input, params=None):
        return self.predict_frame(model_input)


if __name__ == "__main__":
    port, workers = sys.argv[1:]
    folder = tempfile.mkdtemp()
    mlflow.pyfunc.save_model(folder, python_model=Rows(), code_paths=[str(HOME / "served_model.py")])
    mlflow_command = str(Path(sys.executable).with_name("mlflow"))
    options = ["-m", folder, "-h", "127.0.0.1", "-p", port, "-w", workers, "--env-manager", "local"]
    os.execv(mlflow_command, [mlflow_command, "models", "serve", *options])
