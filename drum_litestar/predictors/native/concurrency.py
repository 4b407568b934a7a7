"""Default number of concurrent calls in one worker (``ModelCard.concurrency``)."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from drum_litestar.predictors.native.hooks import loop_calls
from drum_litestar.predictors.protocol import CallLoop, TargetType

if TYPE_CHECKING:  # Ray's driver wants to know the default of a target, and nothing of models
    from drum_litestar.predictors.native.calls.loaded_model import LoadedModel

COMPUTING: Final = 1
WAITING: Final = 8
"""For targets that wait on networks more than they compute."""
ASYNCHRONOUS: Final = 256 if loop_calls.AVAILABLE else 64
"""For hooks that are ``async def``. A call that waits holds a task, or without greenlets a sleeping thread."""

_STREAM: Final = "predict_stream"
_OUTSIDE_CALLS: Final = frozenset({"init", "load_model", "get_supported_llm_models"})
"""They do not run in predictions, so it does not matter whether they are asynchronous."""


def target_concurrency(target_type: TargetType) -> int:
    """The default for a model whose code is synchronous."""
    return WAITING if target_type.generates_text else COMPUTING


def model_concurrency(loaded: LoadedModel) -> int:
    """The default for a loaded model: :data:`ASYNCHRONOUS` if all of its code that calls run is asynchronous.

    One synchronous hook (or artifact, ``CustomTask``, moderation, ``predict_stream`` method of the model) is enough
    for the target's default: threads belong to a worker, not to a hook, and code that was written for one thread must
    not run in many.
    """
    return ASYNCHRONOUS if _runs_only_async_code(loaded) else target_concurrency(loaded.target_type)


def overlapping_calls(loaded: LoadedModel) -> CallLoop | None:
    """The hooks' event loop where all calls may run in its thread; None: they need threads."""
    return loaded.hooks.loop if loop_calls.AVAILABLE and _runs_only_async_code(loaded) else None


def _runs_only_async_code(loaded: LoadedModel) -> bool:
    hooks, target = loaded.hooks, loaded.target_type
    if hooks.custom_task is not None or loaded.framework is not None or loaded.moderation is not None:
        return False
    if target is TargetType.TRANSFORM and hooks.get("transform") is None:
        return False  # scikit-learn's own transformer
    names = [name for name in hooks.names if name not in _OUTSIDE_CALLS]
    method = getattr(loaded.model, _STREAM, None)
    if _STREAM not in names and callable(method) and not is_asynchronous(method):
        return False
    return bool(names) and all(is_asynchronous(hooks.get(name)) for name in names)


def is_asynchronous(function: Any) -> bool:
    """``function`` is a coroutine function, an asynchronous generator function, or an object called like one."""
    return any(
        inspect.iscoroutinefunction(candidate) or inspect.isasyncgenfunction(candidate)
        for candidate in (function, getattr(function, "__call__", None))  # noqa: B004 - the method itself
    )
