"""Optional dependencies: imported where a feature needs them; the error for a missing one names the pip command."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from drum_litestar.errors import MissingExtraError


def require(module: str, feature: str, extra: str) -> ModuleType:
    """Import ``module`` and return it.

    Raises :class:`~drum_litestar.errors.MissingExtraError`, whose message names ``feature`` and the command that
    installs what ``extra`` brings, when the package is absent. An ``ImportError`` from *inside* an installed package
    means a broken installation and is raised unchanged.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(feature, extra, package) from error
