"""Access to DataRobot's API for user code (contract, 4.13)."""

from __future__ import annotations

import importlib

from drum_litestar.errors import ModelLoadError
from drum_litestar.pip_command import install
from drum_litestar.predictors.spec import PredictorSpec


def connect_api(spec: PredictorSpec) -> None:
    """Create the global client of the package ``datarobot``, for ``--allow-dr-api-access``; no-op without.

    The client requests the server's version. Raises ModelLoadError when the package is missing or cannot connect.
    """
    if not spec.allow_dr_api_access:
        return
    try:
        datarobot = importlib.import_module("datarobot")
        client = datarobot.Client
    except (ImportError, AttributeError) as error:
        raise ModelLoadError(
            f"--allow-dr-api-access needs the package 'datarobot', which cannot be imported ({error}). "
            f"Install it with: {install('datarobot')}"
        ) from error
    endpoint = f"{(spec.webserver or '').rstrip('/')}/api/v2"
    try:
        client(token=spec.api_token, endpoint=endpoint)
    except Exception as error:
        raise ModelLoadError(f"DataRobot's API at {endpoint} cannot be used: {error}") from error
