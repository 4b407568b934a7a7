"""Choice of the predictor: the native one where it supports what is requested, else DRUM's.

Packages are looked up, never imported: the launcher's process must not import pandas or pydantic. The model worker
reports a package that is installed but broken.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, NamedTuple

from drum_litestar.errors import ModelLoadError
from drum_litestar.launcher.packages import Packages, ServerPackages
from drum_litestar.predictors.drum.backend import find_backend
from drum_litestar.predictors.folder.files import MODERATION_FILE
from drum_litestar.predictors.folder.language import PYTHON, detect_language
from drum_litestar.predictors.native.datarobot.lazy_loading import LAZY_LOADING_DATA
from drum_litestar.predictors.spec import PredictorSpec

DRUM = "datarobot-drum"


class Choice(NamedTuple):
    """The chosen predictor, and the reason."""

    kind: Literal["native", "drum"]
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.reason})"


class Need(NamedTuple):
    """A requested feature besides predictions, for which the native predictor needs ``module``."""

    name: str
    module: str
    pip: str
    """The distribution to install."""


def needs(spec: PredictorSpec) -> list[Need]:
    """Features that the command line, the environment and the folder request."""
    found = []
    if spec.monitor:
        found.append(Need("MLOps monitoring (--monitor)", "datarobot", "datarobot-mlops"))
    if spec.monitor_embedded:
        found.append(Need("embedded MLOps monitoring (--monitor-embedded)", "datarobot", "datarobot-mlops"))
    if spec.allow_dr_api_access:
        found.append(Need("DataRobot API access (--allow-dr-api-access)", "datarobot", "datarobot"))
    if spec.lazy_loading_file or os.environ.get(LAZY_LOADING_DATA):
        found.append(Need(f"lazy loading ({LAZY_LOADING_DATA})", "boto3", "boto3"))
    if (Path(spec.code_dir) / MODERATION_FILE).exists():
        found.append(Need(f"moderations ({MODERATION_FILE})", "datarobot_dome", "datarobot-moderations"))
    return found


def choose_predictor(
    spec: PredictorSpec, requested: Literal["auto", "native", "drum"] = "auto", packages: Packages | None = None
) -> Choice:
    """Choose the predictor for ``spec``; ``packages`` are those of the workers' interpreter, by default this one's.

    ``auto`` chooses the native one for Python models. It chooses DRUM's for R, Java and GPU models, and for a feature
    whose package is missing while DRUM is installed. Raises ModelLoadError, with what to install, when no predictor
    supports the request.
    """
    packages = packages or ServerPackages()
    language = _language(spec)
    if requested == "drum":
        return _drum(spec, packages, "asked for", language, subject="--predictor drum (DRUM_PREDICTOR)")
    foreign = language not in (PYTHON, None)
    what = f"{spec.gpu_predictor} GPU predictor" if spec.gpu_predictor else f"{language} model"
    if requested == "native":
        if foreign:
            raise ModelLoadError(f"{what}: the native predictor serves Python models only. Use --predictor drum.")
        return Choice("native", "asked for")
    if foreign:
        return _drum(spec, packages, what, language)
    wanted = needs(spec)
    missing = [need for need in wanted if not _available(need, packages)]
    if not missing:
        served = ", ".join(need.name for need in wanted)
        return Choice("native", f"Python model; {served} served natively" if served else "Python model")
    # Without their package moderations are refused, or skipped with a warning, by the native predictor.
    required = [need for need in missing if need.module != "datarobot_dome"]
    if not required:
        return Choice("native", "Python model")
    if packages.version_of(DRUM) is not None:
        return Choice("drum", f"needed for {', '.join(need.name for need in required)}")
    raise ModelLoadError(
        "\n".join(
            f"{need.name} needs the package '{need.pip}', which is not installed. Install it with: "
            f"{packages.pip} install {need.pip} (or: {packages.pip} install {DRUM})"
            for need in required
        )
    )


def unreadable(code_dir: str, error: OSError) -> ModelLoadError:
    """Convert ``error``, raised while the model folder was read, into a message for the operator."""
    return ModelLoadError(
        f"The model folder '{code_dir}' cannot be read: {error}. "
        f"Give the user that the server runs as (uid {os.getuid()}) the right to read it and all that it holds."
    )


def _drum(spec: PredictorSpec, packages: Packages, why: str, language: str | None, subject: str = "") -> Choice:
    """Choose DRUM's predictor, or raise ModelLoadError. ``subject`` names what needs it, by default ``why``."""
    if packages.version_of(DRUM) is not None:
        return Choice("drum", why)
    raise ModelLoadError(
        f"{subject or why}: this needs DRUM's predictors, and the package '{DRUM}' is not installed. "
        f"Install it with: {packages.pip} install {find_backend(spec, language or PYTHON).install}"
    )


def _language(spec: PredictorSpec) -> str | None:
    """The model's language; None when the folder does not show it, which the predictor reports when it loads."""
    try:
        return detect_language(Path(spec.code_dir), spec)
    except ModelLoadError:
        return None


def _available(need: Need, packages: Packages) -> bool:
    # Several distributions share the namespace `datarobot`: look for the distribution.
    if need.module == "datarobot":
        return packages.version_of(need.pip) is not None
    return packages.has_module(need.module)
