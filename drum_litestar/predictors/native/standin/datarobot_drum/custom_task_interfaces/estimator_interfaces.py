"""Stand-in for the interfaces of custom estimators."""

from __future__ import annotations

from typing import Any

from .custom_task_interface import CustomTaskInterface


class EstimatorInterface(CustomTaskInterface):
    """A task that predicts one column."""

    def predict(self, X: Any, **kwargs: Any) -> Any:  # noqa: N803
        """One prediction for each row of ``X``, as a DataFrame."""
        raise NotImplementedError


class ClassifierInterface(EstimatorInterface):
    """A task that predicts one probability for each class."""

    def predict(self, X: Any, **kwargs: Any) -> Any:  # noqa: N803
        """Not used when serving."""

    def predict_proba(self, X: Any, **kwargs: Any) -> Any:  # noqa: N803
        """A DataFrame with one column for each class label."""
        raise NotImplementedError


class BinaryEstimatorInterface(ClassifierInterface):
    """Binary classification."""


class MulticlassEstimatorInterface(ClassifierInterface):
    """Multiclass classification."""


class RegressionEstimatorInterface(EstimatorInterface):
    """Regression."""


class AnomalyEstimatorInterface(EstimatorInterface):
    """Anomaly detection."""
