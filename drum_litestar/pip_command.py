"""The ``pip install`` command that messages name, for the interpreter that this process runs in."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Final

EXTRAS: Final[Mapping[str, str]] = {
    "sklearn": "scikit-learn",
    "xgboost": "xgboost",
    "onnx": "onnxruntime",
    "torch": "torch",
    "keras": "keras h5py",
    "sparse": "scipy",
    "otel": "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http opentelemetry-propagator-b3 prometheus-client",
    "monitoring": "datarobot-mlops",
    "lazy-loading": "boto3",
    "parquet": "pyarrow",
}
"""The distributions of each extra that a model worker may lack."""

_foreign = False


def use_own_interpreter() -> None:
    """Record that this process runs in the model's own interpreter (``DRUM_WORKER_PYTHON``), where this package is not
    installed."""
    global _foreign
    _foreign = True


def install(distributions: str) -> str:
    """The shell command that installs ``distributions``."""
    pip = f"{shlex.quote(sys.executable)} -m pip" if _foreign else "pip"
    return f"{pip} install {distributions}"


def install_extra(extra: str) -> str:
    """The shell command that installs ``extra`` of this package; in the model's own interpreter, its distributions."""
    return install(EXTRAS[extra] if _foreign else f"'drum-litestar[{extra}]'")
