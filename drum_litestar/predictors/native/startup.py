"""Loading a model folder, with the order of events and the error texts of DRUM (contract, 1.1, 4.1 to 4.3)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.folder.language import PYTHON
from drum_litestar.predictors.folder.model_folder import read_folder
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.datarobot.api_client import connect_api
from drum_litestar.predictors.native.datarobot.lazy_loading import download_files
from drum_litestar.predictors.native.datarobot.moderation import start_moderation, unguarded_hooks
from drum_litestar.predictors.native.datarobot.monitoring import start_monitor
from drum_litestar.predictors.native.formats.columnar import ColumnarReader
from drum_litestar.predictors.native.frameworks.artifacts import load_artifact, locate_artifact, recognise
from drum_litestar.predictors.native.frameworks.base import Framework
from drum_litestar.predictors.native.hooks.custom_module import OWN_HOOKS, Hooks, import_custom, require_hooks
from drum_litestar.predictors.native.hooks.custom_task import load_custom_task, require_interface
from drum_litestar.predictors.native.hooks.hook_review import review_hooks
from drum_litestar.predictors.native.hooks.user_errors import is_user_error
from drum_litestar.predictors.native.model_checks import check_model
from drum_litestar.predictors.native.model_target import decide, model_decides
from drum_litestar.predictors.native.shortcuts.csv_parser import csv_parser
from drum_litestar.predictors.native.standin import install_standin
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec
from drum_litestar.settings.masking import set_secrets
from drum_litestar.tracebacks import format_exception

_ARTIFACT_ERROR = "An error occurred when loading your artifact: "


def load_model_folder(spec: PredictorSpec) -> LoadedModel:
    """Load the folder of ``spec``. Raises ModelLoadError with the contract's texts, and nothing else."""
    with load_errors():
        return _load(spec)


@contextmanager
def load_errors() -> Iterator[None]:
    """Raise what loading raises, ``SystemExit`` included, as a ModelLoadError with its traceback."""
    try:
        yield
    except ModelLoadError as error:
        if not error.detail and error.__cause__ is not None:
            error.detail = format_exception(error)
        raise
    except SystemExit as error:
        raise ModelLoadError(
            f"The model's code called sys.exit({error.code!r}) during start-up.", detail=format_exception(error)
        ) from error
    except Exception as error:
        raise ModelLoadError(str(error) or repr(error), detail=format_exception(error)) from error


def hide_secrets(spec: PredictorSpec) -> None:
    """Register the secrets that logs and answers must not show. To be called before the model's code runs."""
    set_secrets((*spec.argv, f"--api-token={spec.api_token or ''}"), os.environ)


def _load(spec: PredictorSpec) -> LoadedModel:
    code_dir = Path(spec.code_dir)
    artifact: Any = None
    columns: tuple[str, ...] | None = None
    if model_decides(spec):
        artifact = _load_artifact_alone(spec)
        spec, columns = decide(artifact, spec)
    folder = read_folder(spec)
    target_type = folder.target_type
    if folder.language != PYTHON:
        raise ModelLoadError(
            f"The native predictor serves Python models only; this folder's language is {folder.language}. "
            "Use --predictor drum, which needs the package 'datarobot-drum'."
        )
    hide_secrets(spec)
    download_files(spec.lazy_loading_file)
    target_name = spec.target_name or os.environ.get("TARGET_NAME", "")
    moderation, warnings = start_moderation(spec, code_dir, target_type, target_name)
    if spec.argv:
        sys.argv = list(spec.argv)
    install_standin()
    hooks, module = import_custom(code_dir, target_type)
    notes = review_hooks(module, hooks, target_type)
    warnings.extend(notes)
    if moderation is not None:
        warnings.extend(unguarded_hooks(hooks.names))
    monitor = None
    try:
        connect_api(spec)
        monitor = start_monitor(spec, target_type)
        model, framework = _load_model(spec, code_dir, target_type, hooks, module, artifact)
        loaded = LoadedModel.from_folder(
            spec,
            folder,
            hooks,
            model,
            framework=framework,
            columns=columns,
            monitor=monitor,
            moderation=moderation,
            warnings=warnings,
        )
        warnings.extend(check_model(loaded))
    except BaseException as error:
        hooks.close()
        if monitor is not None:
            monitor.close()
        if isinstance(error, ModelLoadError):
            error.remedy = "\n".join(filter(None, [error.remedy, *notes]))
        raise
    loaded.columnar = ColumnarReader(spec.max_table_size)
    if spec.shortcuts:
        loaded.parse_csv = csv_parser()  # after the user's code, which may set options of pandas
    warnings.extend(_single_output_warnings(loaded))
    return loaded


def _load_artifact_alone(spec: PredictorSpec) -> Any:
    """The model of a folder without hooks, to be asked for its target type."""
    hide_secrets(spec)
    download_files(spec.lazy_loading_file)
    install_standin()
    with _artifact_errors():
        return load_artifact(locate_artifact(Path(spec.code_dir)))


def _load_model(
    spec: PredictorSpec, code_dir: Path, target_type: TargetType, hooks: Hooks, module: ModuleType | None, artifact: Any
) -> tuple[Any, Framework | None]:
    task_class = getattr(module, "CustomTask", None)
    if task_class:
        require_interface(task_class)
        with _artifact_errors():
            hooks.custom_task = load_custom_task(task_class, code_dir, spec, hooks.run)
        return hooks.custom_task.task, None
    require_hooks(target_type, hooks)
    with _artifact_errors():
        return _load_by_hook_or_artifact(code_dir, target_type, hooks, artifact)


@contextmanager
def _artifact_errors() -> Iterator[None]:
    """Prefix the texts of loading errors as DRUM does. HTTP errors that user code raises get no prefix."""
    try:
        yield
    except ModelLoadError as error:
        cause = error.__cause__
        if cause is not None and is_user_error(cause) is not None:
            raise cause from None
        raise ModelLoadError(f"{_ARTIFACT_ERROR}{error.reason}", remedy=error.remedy) from cause


def _load_by_hook_or_artifact(
    code_dir: Path, target_type: TargetType, hooks: Hooks, artifact: Any
) -> tuple[Any, Framework | None]:
    """``artifact``: the loaded one, where it had to say the target type; else None."""
    if hooks.get("load_model") is not None:
        model = _call_load_model(hooks, code_dir)
    else:
        model = load_artifact(locate_artifact(code_dir)) if artifact is None else artifact
    if target_type is TargetType.TRANSFORM:
        if hooks.get("transform") is None and "sklearn" not in str(type(model)):
            raise ModelLoadError("A transform task requires a user-defined transform hook for non-sklearn transformers")
        return model, None
    hooks_predict = hooks.get("score") is not None or hooks.get("chat") is not None
    if target_type is TargetType.UNSTRUCTURED or hooks_predict:
        return model, None
    try:
        return model, recognise(model)
    except ModelLoadError:
        if any(hooks.get(name) is not None for name in OWN_HOOKS):
            return model, None
        raise


def _call_load_model(hooks: Hooks, code_dir: Path) -> Any:
    try:
        model = hooks.call("load_model", str(code_dir))
    except Exception as error:
        raise ModelLoadError(f"'load_model' hook failed to load the model. Exception: {error!r}") from error
    if model is None:
        raise ModelLoadError("'load_model' hook failed to load model, None is returned.")
    return model


def _single_output_warnings(loaded: LoadedModel) -> list[str]:
    """The warning of Q-1, for binary models without label names, unless the operator has set the option."""
    if (
        loaded.target_type is not TargetType.BINARY
        or loaded.framework is None
        or loaded.labels is None
        or loaded.spec.single_output_is == "positive"
        or loaded.hooks.get("post_process") is not None
        or loaded.columns is not None
        or getattr(loaded.model, "classes_", None) is not None
    ):
        return []
    return [
        f"The {loaded.framework.name} model has no class label names. If it has a single output, that is reported as "
        f"the probability of the negative class {loaded.labels[1]!r}, as DRUM does. If it is the probability of "
        f"{loaded.labels[0]!r}, set DRUM_SINGLE_OUTPUT_IS=positive."
    ]
