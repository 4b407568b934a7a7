"""What is odd about the functions of ``custom.py``: names that miss a hook's, signatures that cannot be called.

Nothing is called. These are warnings: DRUM serves such folders, and answers what their other hooks can.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, Dict, List, Tuple

from drum_litestar.predictors.native.hooks.custom_module import (
    OWN_HOOKS,
    STRUCTURED_HOOKS,
    Hooks,
    hook_names,
)
from drum_litestar.predictors.protocol import TargetType

_LIKENESS = 0.8
"""Of a function's name with a hook's, from which it counts as a misspelling."""
_SCORE_ARGUMENTS = ("binary_data", "mimetype", "charset", "sparse_colnames", "target_type")
_BINARY_ARGUMENTS = ("positive_class_label", "negative_class_label")

_DEFINITIONS: Dict[str, str] = {
    "init": "init(code_dir)",
    "load_model": "load_model(code_dir)",
    "read_input_data": "read_input_data(data)",
    "transform": "transform(data, model)",
    "score": "score(data, model, **kwargs)",
    "post_process": "post_process(predictions, model)",
    "chat": "chat(params, model, **kwargs)",
    "completion": "completion(params, model, **kwargs)",
    "embed": "embed(params, model, **kwargs)",
    "get_supported_llm_models": "get_supported_llm_models(model)",
    "score_unstructured": "score_unstructured(model, data, **kwargs)",
    "predict_stream": "predict_stream(data, model)",
}
"""How each hook is defined."""


def review_hooks(module: ModuleType | None, hooks: Hooks, target_type: TargetType) -> List[str]:
    """Warnings about the functions of ``module``, the imported ``custom.py``."""
    if module is None or getattr(module, "CustomTask", None):
        return []
    wanted = hook_names(target_type)
    functions = _functions(module)
    notes = []
    for name in functions:
        if name in OWN_HOOKS:
            if name in wanted and hooks.get(name) is None:
                notes.append(f"custom.py: {name}() is no hook: it has other arguments than {_DEFINITIONS[name]}.")
        elif name in STRUCTURED_HOOKS and name not in wanted:
            notes.append(f"custom.py: {name}() is not called, because the target type is {target_type.value}.")
        elif name not in wanted:
            near = difflib.get_close_matches(name, [hook for hook in wanted if hooks.get(hook) is None], 1, _LIKENESS)
            notes += [f"custom.py: {name}() is not a hook; did you mean {_DEFINITIONS[hook]}?" for hook in near]
    if not hooks.names and not notes:
        notes.append(_no_hooks(functions, wanted))
    for name in hooks.names:
        notes += _signature(name, hooks.get(name), target_type)
    return notes


def _functions(module: ModuleType) -> List[str]:
    """Names of the public functions that ``custom.py`` itself defines."""
    return [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]


def _no_hooks(functions: List[str], wanted: Tuple[str, ...]) -> str:
    defined = f"it defines {', '.join(f'{name}()' for name in functions)}; " if functions else ""
    score = f" Predictions come from {_DEFINITIONS['score']}." if "predict" in functions and "score" in wanted else ""
    return f"custom.py has no hook, so that it is only imported: {defined}hooks are {', '.join(wanted)}.{score}"


def _signature(name: str, hook: Callable[..., Any] | None, target_type: TargetType) -> List[str]:
    """One warning if the call that the server makes does not fit the hook's parameters."""
    if not callable(hook):
        return [f"custom.py: {name} is not a function. Define {_DEFINITIONS[name]}."]
    try:
        signature = inspect.signature(hook, follow_wrapped=False)  # a wrapper is called, not what it wraps
    except (TypeError, ValueError):
        return []
    positional, named = _arguments(name, len(signature.parameters), target_type)
    try:
        signature.bind(*(None,) * positional, **dict.fromkeys(named))
    except TypeError as error:
        return [f"custom.py: {name}{signature} cannot be called ({error}). Define {_DEFINITIONS[name]}."]
    return []


def _arguments(name: str, parameters: int, target_type: TargetType) -> Tuple[int, Tuple[str, ...]]:
    """Number of positional arguments and names of keyword arguments that the server passes (contract, 4.2)."""
    if name == "init":
        return 0, ("code_dir",)
    if name == "score":
        labels: Tuple[str, ...] = ("class_labels",) if target_type.has_label_list else ()
        return 2, _SCORE_ARGUMENTS + (_BINARY_ARGUMENTS if target_type is TargetType.BINARY else labels)
    if name == "score_unstructured":
        return 2, ("mimetype", "charset", "query", "headers")
    if name in ("chat", *OWN_HOOKS):
        return 2, ("headers",) if parameters > 2 else ()
    if name == "transform":
        return (3 if target_type is TargetType.TRANSFORM and parameters == 3 else 2), ()
    return (1 if name in ("load_model", "read_input_data", "get_supported_llm_models") else 2), ()
