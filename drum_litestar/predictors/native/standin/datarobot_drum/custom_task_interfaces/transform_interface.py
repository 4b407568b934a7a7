"""Stand-in for the interface of custom transformers."""

from __future__ import annotations

from typing import Any

from .custom_task_interface import CustomTaskInterface


class TransformerInterface(CustomTaskInterface):
    """A task that turns features into other features."""

    def transform(self, X: Any) -> Any:  # noqa: N803
        """The transformed features, as a DataFrame."""
        raise NotImplementedError
