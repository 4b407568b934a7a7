"""A CustomTask class for binary classification."""

import pandas as pd
from datarobot_drum.custom_task_interfaces import BinaryEstimatorInterface


class CustomTask(BinaryEstimatorInterface):
    def fit(self, X, y, **kwargs):
        return self

    @classmethod
    def load(cls, artifact_directory):
        return cls()

    def predict_proba(self, data, **kwargs):
        p = data.iloc[:, 0].clip(0.0, 1.0)
        return pd.DataFrame({kwargs["positive_class_label"]: p, kwargs["negative_class_label"]: 1.0 - p})
