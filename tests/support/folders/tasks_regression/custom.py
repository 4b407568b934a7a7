"""A CustomTask class for regression."""

import numpy as np
import pandas as pd
from datarobot_drum.custom_task_interfaces import RegressionEstimatorInterface


class CustomTask(RegressionEstimatorInterface):
    def fit(self, X, y, **kwargs):
        return self

    @classmethod
    def load(cls, artifact_directory):
        return cls()

    def predict(self, data, **kwargs):
        if "do" in data.columns:
            return eval(data["do"].iloc[0], {"np": np, "pd": pd, "data": data, "kwargs": kwargs, "self": self})
        return pd.DataFrame({"anything": data.sum(axis=1)})


def score(data, model, **kwargs):
    raise AssertionError("a hook was called although CustomTask exists")
