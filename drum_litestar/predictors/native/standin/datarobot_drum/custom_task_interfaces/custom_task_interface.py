"""Stand-in for the base of every custom task."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ..drum.exceptions import DrumSerializationError

Task = TypeVar("Task", bound="Serializable")


class Serializable:
    """Saves and loads a task as one pickle; tasks override ``save`` and ``load`` for other formats."""

    default_artifact_filename: ClassVar[str] = "drum_artifact.pkl"

    def save(self: Task, artifact_directory: str) -> Task:
        """Write the task below ``artifact_directory``."""
        self.save_task(artifact_directory)
        return self

    @classmethod
    def load(cls: type[Task], artifact_directory: str) -> Task:
        """The task saved below ``artifact_directory``."""
        return cls.load_task(artifact_directory)

    def save_task(self, artifact_directory: str, exclude: list[str] | None = None) -> None:
        """Pickle the task; attributes named in ``exclude`` are saved as None.

        Raises DrumSerializationError for a name that is not an attribute.
        """
        names = list(exclude or ())
        for name in names:
            if not hasattr(self, name):
                raise DrumSerializationError(f"The object named {name} passed in exclude= was not found")
        kept = {name: getattr(self, name) for name in names}
        try:
            for name in names:
                setattr(self, name, None)
            with (Path(artifact_directory) / self.default_artifact_filename).open("wb") as file:
                pickle.dump(self, file)
        finally:
            for name, value in kept.items():
                setattr(self, name, value)

    @classmethod
    def load_task(cls: type[Task], artifact_directory: str) -> Task:
        """Unpickle a task. Raises DrumSerializationError when it is not of this class."""
        with (Path(artifact_directory) / cls.default_artifact_filename).open("rb") as file:
            task = pickle.load(file)
        if not isinstance(task, cls):
            raise DrumSerializationError(f"load_task method must return a {cls.__name__} class")
        return task


class CustomTaskInterface(Serializable):
    """Base of every custom task."""

    _secrets: dict[str, Any] | None = None

    @property
    def secrets(self) -> dict[str, Any]:
        """The user's secrets by name; empty when there are none."""
        return self._secrets or {}

    def fit(self, X: Any, y: Any, parameters: Any = None, row_weights: Any = None, **kwargs: Any) -> Any:  # noqa: N803
        """Train the task. Not used when serving."""
        raise NotImplementedError

    @staticmethod
    def log_message(message: str) -> None:
        """Log ``message`` at level INFO."""
        logging.getLogger("drum").info(message)
