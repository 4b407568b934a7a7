"""The ``pip install`` command that messages name, for the interpreter that this process runs in.

Messages name the distributions that are missing, not an extra of this package: they can be installed wherever this
package came from.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

EXTRAS: Final[Mapping[str, str]] = {
    "sklearn": "scikit-learn",
    "xgboost": "xgboost",
    "onnx": "onnxruntime",
    "torch": "torch",
    "keras": "keras h5py",
    "sparse": "scipy",
    "otel": "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http opentelemetry-propagator-b3 prometheus-client",
    "prometheus": "prometheus-client",
    "redis": "redis",
    "proxy": "httpx",
    "compare": "httpx rich matplotlib",
    "grpc": "grpcio protobuf grpcio-health-checking grpcio-reflection",
    "monitoring": "datarobot-mlops",
    "lazy-loading": "boto3",
    "zstd": "backports.zstd",
    "reload": "watchfiles",
    "arrow": "pyarrow",
    "ray": "'ray[serve]>=2.56.1'",
}
"""The distributions of each extra whose absence a message reports."""

DISTRIBUTIONS: Final[Mapping[str, str]] = {
    "Crypto": "pycryptodome",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "category_encoders": "category-encoders",
    "cv2": "opencv-python-headless",
    "datarobot_dome": "datarobot-moderations",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "imblearn": "imbalanced-learn",
    "jwt": "PyJWT",
    "psycopg2": "psycopg2-binary",
    "sentence_transformers": "sentence-transformers",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
    "yaml": "PyYAML",
}
"""Distributions whose name is not that of their top-level module, by module."""

_SAME_NAME: Final = frozenset((
    "boto3", "catboost", "datarobot", "h5py", "httpx", "joblib", "keras", "langchain", "lightgbm", "matplotlib",
    "mlflow", "nltk", "numpy", "onnxruntime", "openai", "pandas", "polars", "pyarrow", "pydantic", "requests", "scipy",
    "shap", "spacy", "statsmodels", "tensorflow", "tiktoken", "torch", "torchvision", "transformers", "xgboost",
))  # fmt: skip
"""Modules that are surely a package of that name, not code of the user's own."""

_foreign = False


def use_own_interpreter() -> None:
    """Record that this process runs in the model's own interpreter (``DRUM_WORKER_PYTHON``), where this package is not
    installed."""
    global _foreign
    _foreign = True


def pip() -> str:
    """The command of this interpreter's pip: its module, unless the ``pip`` on the path is surely the same."""
    found = shutil.which("pip")
    if not _foreign and found is not None and Path(found).parent == Path(sys.executable).parent:
        return "pip"
    return f"{shlex.quote(sys.executable)} -m pip"


def install(distributions: str) -> str:
    """The shell command that installs ``distributions``."""
    return f"{pip()} install {distributions}"


def module_of(distribution: str) -> str:
    """The top-level module that ``distribution`` installs."""
    return next((module for module, name in DISTRIBUTIONS.items() if name == distribution), distribution)


def install_extra(extra: str) -> str:
    """The shell command that installs what ``extra`` of this package brings."""
    return install(EXTRAS[extra])


def install_modules(modules: Iterable[str]) -> str:
    """A sentence that says how to get ``modules``, top-level names of at least one module that cannot be found."""
    names = list(modules)
    unknown = [name for name in names if name not in DISTRIBUTIONS and name not in _SAME_NAME]
    command = install(" ".join(DISTRIBUTIONS.get(name, name) for name in names))
    own = f" (or put {', '.join(f'{name}.py' for name in unknown)} into the model folder, if that is code of your own)"
    return f"Install with: {command}{own if unknown else ''}"
