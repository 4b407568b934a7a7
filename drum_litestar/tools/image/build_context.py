"""The build context: a folder with the Containerfile, the model, its requirements and wheels."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from drum_litestar.errors import StartupError

CONTAINERFILE = Path(__file__).with_name("Containerfile")
WITHOUT_REQUIREMENTS, WITH_REQUIREMENTS = "model", "model-env"
"""The Containerfile's targets: the model in the server's environment, or in one of its own."""
_LEFT_OUT = ("__pycache__", "node_modules")


class Parts(NamedTuple):
    """What goes into an image."""

    folder: Path
    requirements: Path | None
    """The model's own; None has the model run in the server's environment."""
    wheel: Path | None
    """Of this package; None has pip take it from a package index."""

    @property
    def target(self) -> str:
        """The stage of the Containerfile to build."""
        return WITHOUT_REQUIREMENTS if self.requirements is None else WITH_REQUIREMENTS


def write_context(parts: Parts, context: Path) -> list[str]:
    """Fill the folder ``context``, which must be empty or absent; returns what of the model folder was left out.

    Everybody may read what it holds, as the image's user must. Raises StartupError with the file that prevents it.
    """
    if context.exists() and (not context.is_dir() or any(context.iterdir())):
        raise StartupError(f"{context} is not an empty folder")
    if _contains(parts.folder, context):
        raise StartupError(f"{context} is inside the model folder, which is copied there")
    try:
        context.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CONTAINERFILE, context / "Containerfile")
        left_out = list(_copy(parts.folder, context / "model", parts.folder))
        if parts.requirements is not None:
            shutil.copyfile(parts.requirements, context / "requirements.txt")
        if parts.wheel is not None:
            (context / "wheels").mkdir()
            shutil.copyfile(parts.wheel, context / "wheels" / parts.wheel.name)
    except OSError as error:
        raise StartupError(f"the build context cannot be written: {error.filename}: {error.strerror}") from error
    return left_out


def _contains(folder: Path, other: Path) -> bool:
    return folder.resolve() in (other.resolve(), *other.resolve().parents)


def _copy(source: Path, target: Path, root: Path) -> Iterator[str]:
    """Copy ``source`` with what links point to, but for what a model does not need; yields what is left out."""
    target.mkdir()
    target.chmod(0o755)
    for entry in sorted(source.iterdir()):
        name = f"{entry.relative_to(root)}{'/' if entry.is_dir() else ''}"
        if entry.name.startswith(".") or entry.name in _LEFT_OUT or (entry / "pyvenv.cfg").exists():
            yield name
        elif entry.is_dir():
            if _contains(entry, source):  # a link to a folder above it
                raise OSError(0, "a link to a folder that holds it", str(entry))
            yield from _copy(entry, target / entry.name, root)
        else:
            copy = target / entry.name
            shutil.copyfile(entry, copy)
            copy.chmod(0o755 if entry.stat().st_mode & 0o100 else 0o644)
