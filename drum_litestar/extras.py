"""Optional dependencies: imported where a feature needs them, missed with the pip command that brings them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from drum_litestar.errors import MissingExtraError


def require(module: str, feature: str, extra: str) -> ModuleType:
    """Import ``module`` and return it.

    ``feature`` (what the reader of the error was trying to use) and ``extra`` (``pip install 'drum-litestar[extra]'``)
    go into the :class:`~drum_litestar.errors.MissingExtraError` raised when the package is absent. An ``ImportError``
    from *inside* an installed package is a broken installation, not a missing one, and passes through as it is.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(feature, extra, package) from error
