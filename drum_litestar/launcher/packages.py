"""Packages of the interpreter that the model runs in: looked up, never imported."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec
from typing import Final, Protocol

from drum_litestar.pip_command import pip

CHECKED_MODULES: Final = ("boto3", "datarobot_dome", "strictyaml", "opentelemetry")
"""Top-level modules that :meth:`Packages.has_module` is called with."""


class Packages(Protocol):
    """The packages of one interpreter."""

    @property
    def pip(self) -> str:
        """The pip command of that interpreter."""

    def version_of(self, distribution: str) -> str | None:
        """Version of a distribution; None when it is not installed."""

    def has_module(self, name: str) -> bool:
        """Whether the top-level module ``name`` can be found."""


class ServerPackages:
    """Packages of this process's interpreter."""

    @property
    def pip(self) -> str:
        return pip()

    def version_of(self, distribution: str) -> str | None:
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            return None

    def has_module(self, name: str) -> bool:
        return find_spec(name) is not None
