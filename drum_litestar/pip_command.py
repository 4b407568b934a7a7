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
    "otel": "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http opentelemetry-propagator-b3",
    "monitoring": "datarobot-mlops",
    "lazy-loading": "boto3",
}
"""The distributions of each extra that a model's process can miss."""

_foreign = False


def use_own_interpreter() -> None:
    """Say that this process runs in an interpreter of the model's own (``DRUM_WORKER_PYTHON``), where this package is
    not installed, and perhaps could not be."""
    global _foreign
    _foreign = True


def install(distributions: str) -> str:
    """The command that installs ``distributions``, words of a shell."""
    pip = f"{shlex.quote(sys.executable)} -m pip" if _foreign else "pip"
    return f"{pip} install {distributions}"


def install_extra(extra: str) -> str:
    """The command that installs what ``extra`` of this package brings; in the model's own interpreter without this
    package."""
    return install(EXTRAS[extra] if _foreign else f"'drum-litestar[{extra}]'")
