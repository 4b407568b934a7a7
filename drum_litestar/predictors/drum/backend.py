"""The predictor classes of datarobot-drum: choosing one, creating it, and its configuration.

They are used as DRUM's own server uses them: ``configure(params)``, then the methods for requests and probes.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

from drum_litestar.errors import ModelLoadError
from drum_litestar.pip_command import install
from drum_litestar.predictors.folder.files import find_custom
from drum_litestar.predictors.folder.language import JAVA, PYTHON, R
from drum_litestar.predictors.native.concurrency import COMPUTING, target_concurrency
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec

LLM_SERVERS: Final = frozenset({"nim", "vllm"})
"""GPU predictors with an OpenAI-compatible server behind them."""

_LANGUAGES: Final = "datarobot_drum.drum.language_predictors"
_GPU: Final = "datarobot_drum.drum.gpu_predictors"


class Backend(NamedTuple):
    """One of DRUM's predictors."""

    module: str
    name: str
    sparse: bool
    """Reads Matrix Market besides CSV (contract, 1.7 and 3.13)."""
    install: str
    """Arguments of ``pip install``, and requirements that pip cannot install."""
    main_thread: bool = False
    """Calls must run in the process's main thread, as a worker's do that overlaps none."""


_BACKENDS: Final = {
    PYTHON: Backend(f"{_LANGUAGES}.python_predictor.python_predictor", "PythonPredictor", True, "datarobot-drum"),
    R: Backend(
        f"{_LANGUAGES}.r_predictor.r_predictor",
        "RPredictor",
        True,
        "'datarobot-drum[R]' (rpy2 must fit R's version), and R with caret, recipes and devtools",
        main_thread=True,
    ),
    JAVA: Backend(
        f"{_LANGUAGES}.java_predictor.java_predictor",
        "JavaPredictor",
        False,
        "datarobot-drum (and a Java runtime, version 11 or later)",
    ),
    "nim": Backend(f"{_GPU}.nim_predictor", "NIMPredictor", False, "datarobot-drum openai"),
    "vllm": Backend(f"{_GPU}.vllm_predictor", "VllmPredictor", False, "datarobot-drum openai"),
    "triton": Backend(f"{_GPU}.triton_predictor", "TritonPredictor", False, "datarobot-drum 'tritonclient[http]'"),
}


def find_backend(spec: PredictorSpec, language: str) -> Backend:
    """The backend that serves ``spec``. Raises ModelLoadError for a language that none serves."""
    try:
        return _BACKENDS[spec.gpu_predictor or language]
    except KeyError:
        raise ModelLoadError(f"DRUM has no predictor for language '{language}' without --gpu-predictor") from None


def concurrency(backend: Backend, target_type: TargetType) -> int:
    """See ``ModelCard.concurrency``."""
    return COMPUTING if backend.main_thread else target_concurrency(target_type)


def may_wait(backend: Backend, code_dir: Path) -> bool:
    """See ``ModelCard.may_wait``. A Python model without ``custom.py`` has no hooks."""
    if backend.main_thread:
        return False
    return backend is not _BACKENDS[PYTHON] or find_custom(code_dir) is not None


def create(backend: Backend) -> Any:
    """Create DRUM's predictor, not yet configured. Raises ModelLoadError that names what to install."""
    try:
        return getattr(importlib.import_module(backend.module), backend.name)()
    except Exception as error:  # a broken pydantic raises anything
        raise ModelLoadError(
            f"DRUM's {backend.name} cannot be used: {type(error).__name__}: {error}. It needs {_version()}. "
            f"Install: {install(backend.install)}"
        ) from error


def _version() -> str:
    try:
        return f"a working datarobot-drum ({metadata.version('datarobot-drum')} is installed)"
    except metadata.PackageNotFoundError:
        return "datarobot-drum, which is not installed"


def configuration(
    spec: PredictorSpec, target_type: TargetType, labels: tuple[str, ...] | None, language: str
) -> dict[str, Any]:
    """The argument of ``configure``, in the form that DRUM's server passes."""
    binary = target_type is TargetType.BINARY and labels is not None
    return {
        "host": "localhost",
        "port": 0,
        "show_perf": False,
        "run_language": language,
        "target_type": target_type.value,
        "positiveClassLabel": labels[0] if binary and labels else None,
        "negativeClassLabel": labels[1] if binary and labels else None,
        "classLabels": list(labels) if labels and not binary else None,
        "__custom_model_path__": spec.code_dir,
        "processes": None,
        "monitor": str(spec.monitor),
        "monitor_embedded": str(spec.monitor_embedded),
        "model_id": str(spec.model_id),
        "deployment_id": spec.deployment_id,
        "monitor_settings": spec.monitor_settings,
        "external_webserver_url": str(spec.webserver),
        "api_token": str(spec.api_token),
        "deployment_config": spec.deployment_config,
        "allow_dr_api_access": str(spec.allow_dr_api_access),
        "user_secrets_mount_path": spec.user_secrets_mount_path,
        "user_secrets_prefix": spec.user_secrets_prefix,
        "gpu_predictor": spec.gpu_predictor,
        "sidecar": spec.sidecar,
        "triton_host": spec.triton_host,
        "triton_http_port": int(spec.triton_http_port),
        "triton_grpc_port": int(spec.triton_grpc_port),
    }
