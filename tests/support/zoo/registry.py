"""What a model folder is, and the register of all of them."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HOOKS = Path(__file__).resolve().parents[1] / "folders"
BUILDERS = ("artifacts", "frameworks", "hooks", "text", "transforms", "tasks", "faults")

Builder = Callable[[Path], None]
_register: dict[str, ModelFolder] = {}


@dataclass(frozen=True)
class ModelFolder:
    """A model folder and the words to serve it with. ``{dir}`` in ``args`` becomes the folder's path."""

    name: str
    build: Builder
    target_type: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    drum: bool = True
    """The real DRUM can load it in the oracle's environment."""

    def command_line(self, path: Path) -> list[str]:
        words = ["-cd", str(path)]
        if self.target_type:
            words += ["--target-type", self.target_type]
        return words + [word.replace("{dir}", str(path)) for word in self.args]


def installed(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) is not None for module in modules)


def folder(
    name: str,
    target_type: str,
    *args: str,
    env: Mapping[str, str] | None = None,
    needs: tuple[str, ...] = (),
    drum: bool = True,
) -> Callable[[Builder], Builder]:
    """Register the decorated builder, which fills an empty directory."""

    def register(build: Builder) -> Builder:
        if name in _register:
            raise ValueError(f"two model folders are called {name}")
        _register[name] = ModelFolder(name, build, target_type, tuple(args), dict(env or {}), needs, drum)
        return build

    return register


def known_folders() -> Mapping[str, ModelFolder]:
    """All registered folders by name."""
    for module in BUILDERS:
        importlib.import_module(f"support.zoo.{module}")
    return _register


def copy_hooks(name: str, path: Path) -> None:
    """Copy everything under ``tests/support/folders/<name>`` into ``path``."""
    shutil.copytree(HOOKS / name, path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


class Zoo:
    """Builds folders below ``home``, each at most once."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __getitem__(self, name: str) -> tuple[ModelFolder, Path]:
        entry = known_folders()[name]
        path = (self.home / name).resolve()
        if not path.exists():
            path.mkdir(parents=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                entry.build(path)
        return entry, path
