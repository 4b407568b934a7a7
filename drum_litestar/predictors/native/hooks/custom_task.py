"""Class mode: a ``CustomTask`` in ``custom.py`` instead of hook functions (contract, 4.10)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.hooks.user_errors import is_subclass_by_name
from drum_litestar.predictors.native.hooks.user_secrets import OutputMask, load_secrets, sensitive_values
from drum_litestar.predictors.spec import PredictorSpec
from drum_litestar.settings.masking import add_secrets, secret_members

_INTERFACE = "CustomTaskInterface"


class CustomTask:
    """A loaded task. Its methods may be ``async def``."""

    def __init__(self, task: Any, run: Callable[..., Any], mask: OutputMask | None = None) -> None:
        """``run`` calls a function and awaits its result (see :meth:`Hooks.run`)."""
        self.task = task
        self._run = run
        self._mask = mask

    def predict(self, data: Any, **kwargs: Any) -> Any:
        """Predictions, not validated; ``kwargs`` as for the ``score`` hook. Raises what the task raises."""
        return self._run(self.task.predict, data, **kwargs)

    def predict_proba(self, data: Any, **kwargs: Any) -> Any:
        """Class probabilities, not validated; ``kwargs`` as for the ``score`` hook."""
        return self._run(self.task.predict_proba, data, **kwargs)

    def transform(self, data: Any) -> Any:
        """Transformed features, not validated. The task gets neither the target nor keyword arguments."""
        return self._run(self.task.transform, data)

    def close(self) -> None:
        """Stop masking secret values. Idempotent."""
        if self._mask is not None:
            self._mask.remove()


def require_interface(task_class: Any) -> None:
    """Raises ModelLoadError unless ``task_class`` is a class that inherits from the interface base."""
    if not isinstance(task_class, type) or not is_subclass_by_name(task_class, _INTERFACE):
        raise ModelLoadError(f"The CustomTask class must inherit from the {_INTERFACE}")


def load_custom_task(task_class: Any, code_dir: Path, spec: PredictorSpec, run: Callable[..., Any]) -> CustomTask:
    """Create the task, set its secrets, and start masking their values in the output. Raises ModelLoadError."""
    try:
        task = run(task_class.load, str(code_dir))
        secrets = load_secrets(spec.user_secrets_mount_path, spec.user_secrets_prefix)
        if task.secrets or secrets:
            task._secrets = secrets
    except Exception as error:
        raise ModelLoadError(f"Failed to load custom task class. Exception: {error!r}") from error
    mask = None
    if secrets:
        add_secrets(secret_members([dataclasses.asdict(secret) for secret in secrets.values()]))
        mask = OutputMask(sensitive_values(secrets.values()))
        mask.install()
    return CustomTask(task, run, mask)
