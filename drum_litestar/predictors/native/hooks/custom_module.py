"""The user's ``custom.py``: importing it, and calling its hooks, which may be ``async def``.

Contract, 4.1 and 4.2.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.folder.files import CUSTOM_FILE, PYTHON_INTRO, find_custom
from drum_litestar.predictors.native.hooks import loop_calls
from drum_litestar.predictors.native.hooks.hook_loop import AsyncSource, HookLoop, JobSource, SyncSource
from drum_litestar.predictors.native.missing_modules import import_remedy
from drum_litestar.predictors.protocol import TargetType

if TYPE_CHECKING:
    from drum_litestar.predictors.native.hooks.custom_task import CustomTask

_MODULE = "custom"
STRUCTURED_HOOKS = (
    "init",
    "load_model",
    "read_input_data",
    "transform",
    "score",
    "post_process",
    "chat",
    "completion",
    "embed",
    "get_supported_llm_models",
    "score_unstructured",
    "predict_stream",
)
UNSTRUCTURED_HOOKS = ("init", "load_model", "score_unstructured")
OWN_HOOKS = ("completion", "embed")
"""Hooks that DRUM does not have. A model's helper may have such a name, so that it must look like the hook, too."""

logger = logging.getLogger("drum")


class Hooks:
    """The hooks of one model folder, callable from any thread."""

    def __init__(self, path: Path | None = None, functions: dict[str, Callable[..., Any]] | None = None) -> None:
        """``path``: the ``custom.py``; ``functions``: its hooks by name."""
        self.path = path
        self.custom_task: CustomTask | None = None
        """Class mode (contract, 4.10); then no other hook is used."""
        self._functions = functions or {}
        self.loop = HookLoop()

    def takes_headers(self, name: str) -> bool:
        """The hook ``name`` is called with the request's headers, as it has more than two parameters (contract,
        3.10)."""
        return len(inspect.signature(self._functions[name]).parameters) > 2

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the hooks found, in the order of the contract's table."""
        return tuple(self._functions)

    def get(self, name: str) -> Callable[..., Any] | None:
        """The hook's function, to inspect it; None when it is not defined."""
        return self._functions.get(name)

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a hook. Raises what it raises, and KeyError when it is not defined."""
        return self.run(self._functions[name], *args, **kwargs)

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call ``function``; await an awaitable result on the hooks' event loop."""
        result = function(*args, **kwargs)
        return self.loop.run(result) if inspect.isawaitable(result) else result

    def iterate(self, iterable: Any) -> SyncSource | AsyncSource | JobSource:
        """Iterate over ``iterable``, synchronous or not. The iterator's ``close()`` closes the iterable."""
        if hasattr(iterable, "__aiter__"):
            return JobSource(iterable) if loop_calls.inside() else AsyncSource(self.loop, iterable)
        return SyncSource(iterable, self.loop.away)

    def close(self) -> None:
        """Stop the hooks' event loop and the masking of secrets. Idempotent."""
        self.loop.close()
        if self.custom_task is not None:
            self.custom_task.close()


def hook_names(target_type: TargetType) -> tuple[str, ...]:
    """The hooks that a model of ``target_type`` may define, in the order of the contract's table."""
    return UNSTRUCTURED_HOOKS if target_type is TargetType.UNSTRUCTURED else STRUCTURED_HOOKS


def require_hooks(target_type: TargetType, hooks: Hooks) -> None:
    """Check that hooks without a default are defined. Raises ModelLoadError."""
    if target_type is TargetType.UNSTRUCTURED and hooks.get("score_unstructured") is None:
        raise ModelLoadError("In 'unstructured' mode hook 'score_unstructured' must be provided.")


def import_custom(code_dir: Path, target_type: TargetType) -> tuple[Hooks, ModuleType | None]:
    """Import ``custom.py`` and run its ``init``. Returns its hooks and the module, which is None without a file.

    Puts the file's directory first and the model folder last on ``sys.path``. In class mode (a truthy
    ``CustomTask``) there are no hooks. Raises ModelLoadError for several files and for an ImportError; other
    exceptions of the user's code pass unchanged.
    """
    path = find_custom(code_dir)
    if path is None:
        sys.path.append(str(code_dir))
        logger.info("No %s file detected in %s", CUSTOM_FILE, code_dir)
        return Hooks(), None
    logger.info("Detected %s .. trying to load hooks", path)
    sys.path.insert(0, str(path.parent))
    sys.path.append(str(code_dir))
    try:
        module = _fresh_module()
        hooks = Hooks(path, _functions(module, target_type, code_dir))
        if hooks.get("init") is not None:
            hooks.call("init", code_dir=str(code_dir))
    except ImportError as error:
        raise ModelLoadError(
            f"{PYTHON_INTRO}Failed loading hooks from [{path}] : {error}", remedy=import_remedy(error, path.name)
        ) from error
    return hooks, module


def _fresh_module() -> ModuleType:
    # A module of another folder may be left from an earlier load in this process (inline executor, tests).
    sys.modules.pop(_MODULE, None)
    importlib.invalidate_caches()
    return importlib.import_module(_MODULE)


def _functions(module: ModuleType, target_type: TargetType, code_dir: Path) -> dict[str, Callable[..., Any]]:
    if getattr(module, "CustomTask", None):
        return {}
    found = {name: hook for name in hook_names(target_type) if (hook := getattr(module, name, None)) is not None}
    for name in OWN_HOOKS:
        if name in found and not _looks_like_a_hook(found[name], code_dir):
            del found[name]
    return found


def _looks_like_a_hook(value: Any, code_dir: Path) -> bool:
    """``value`` needs two arguments, ``(params, model)``, or is given headers besides; and it is not a library's
    (``from litellm import completion``)."""
    file = getattr(sys.modules.get(getattr(value, "__module__", None) or ""), "__file__", None)
    if not callable(value) or file is None or code_dir.resolve() not in Path(file).resolve().parents:
        return False
    try:
        signature = inspect.signature(value, follow_wrapped=False)
        signature.bind(None, None, **({"headers": None} if len(signature.parameters) > 2 else {}))
    except (TypeError, ValueError):
        return False
    positional = [each for each in signature.parameters.values() if each.kind is not each.KEYWORD_ONLY]
    return all(each.default is each.empty for each in positional[:2])
