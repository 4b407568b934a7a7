"""Detection of required modules that other files on the path hide.

A ``click.py`` in a folder of ``PYTHONPATH``, or in the current one with ``python -m``, is found before the installed
package, as in every Python program. It is only reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from drum_litestar.name_clashes import OWN_MODULES, found, owner, recorded


class HiddenModule(NamedTuple):
    """A module of ``distribution`` (name and version), and the ``path`` that Python finds instead."""

    name: str
    distribution: str
    path: str

    def __str__(self) -> str:
        by = owner(self.path)
        what, remedy = (
            (self.path, "rename it, or take its folder off the path")
            if by is None
            else (f"{self.path} of {by}", "uninstall one of the two")
        )
        return f"{what} hides the module '{self.name}' of {self.distribution}: {remedy}"


def hidden_modules(root: str = "drum-litestar") -> Iterator[HiddenModule]:
    """Yield the hidden modules of the distributions that ``root`` requires, directly or not, without extras."""
    handled = {own.name for own in OWN_MODULES}
    for distribution in _required(root):
        folder = Path(str(distribution.locate_file(""))).absolute()
        for name in sorted(_modules(distribution) - handled):
            path = found(name)
            if path is not None and Path(path) != folder / f"{name}.py" and Path(path).parent != folder / name:
                yield HiddenModule(name, f"{distribution.metadata['Name']} {distribution.version}", path)


def _required(root: str) -> Iterator[metadata.Distribution]:
    """The installed distributions below ``root``, each once."""
    waiting, seen = [root], {root}
    while waiting:
        try:
            distribution = metadata.distribution(waiting.pop())
        except metadata.PackageNotFoundError:
            continue
        if canonicalize_name(distribution.metadata["Name"]) != root:
            yield distribution
        for text in distribution.requires or ():
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            if name not in seen and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                seen.add(name)
                waiting.append(name)


def _modules(distribution: metadata.Distribution) -> set[str]:
    """Top-level modules of the distribution: ``name.py`` or ``name/__init__.py``."""
    names = set()
    for file in recorded(distribution):
        name = file.removesuffix("/__init__.py").removesuffix(".py")
        if name != file and name.isidentifier():
            names.add(name)
    return names
