"""Modules of the HTTP process whose name another distribution also installs.

``python-multipart`` installs a package ``multipart`` (always before 0.0.13, and again since 0.0.15), ``multipart`` a
module ``multipart.py``, which Litestar imports. In one folder Python takes the package, whichever was installed last;
in several folders the first one on the path. FastAPI requires the former, so both are often installed together.

:func:`own_modules` puts the module of the right distribution, which the installed metadata locates, under its name into
``sys.modules`` while Litestar is imported, and then restores the previous entry.
Litestar takes the classes that it needs at its import and never imports the module again, so the entry need not stay:
``import multipart`` in a hook of an inline model, in ``custom_litestar.py`` or in their libraries finds what it would
find without this server. A finder on ``sys.meta_path`` would also serve those imports, and another order of
``sys.path`` would change other names. Worker processes do not use this module.
"""

from __future__ import annotations

import contextlib
import importlib
import shlex
import sys
import threading
from collections.abc import Iterator
from importlib import metadata
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

from drum_litestar.errors import StartupError


class OwnModule(NamedTuple):
    """A module that the HTTP process needs, and how to tell it from another one of the same name."""

    name: str
    distribution: str
    oldest: str
    """The oldest release of ``distribution`` that the package's requirements allow."""
    needed: tuple[str, ...]
    """Names that Litestar and this package import from it."""

    @property
    def requirement(self) -> str:
        return f"{self.distribution}>={self.oldest}"


OWN_MODULES: Final = (
    OwnModule(
        "multipart",
        "multipart",
        "1.3.1",
        (
            "MultipartError",
            "MultipartSegment",
            "ParserError",
            "ParserLimitReached",
            "PushMultipartParser",
            "parse_options_header",
        ),
    ),
)
"""Names whose clash breaks the server. (``brotli`` of brotlipy is harmless: httpx and urllib3 work with both.)

Each module must be a single file: submodules of a package, imported later, would come from the other distribution."""

_loaded: dict[str, ModuleType] = {}
_lock = threading.RLock()


@contextlib.contextmanager
def own_modules() -> Iterator[None]:
    """Context in which imports of the names in ``OWN_MODULES`` find the right distribution's module.

    Raises StartupError with the repairing command, before any change, where there is no such module. Use it only around
    imports of the code that binds those modules: other threads see the same ``sys.modules``.
    """
    with _lock:
        modules = {own.name: load(own) for own in OWN_MODULES}
        before = {name: sys.modules.get(name) for name in modules}
        sys.modules.update(modules)
        try:
            yield
        finally:
            for name, module in before.items():
                _put(name, module)


def load(own: OwnModule) -> ModuleType:
    """Load the module once, without an entry in ``sys.modules``. Raises StartupError when none is usable."""
    with _lock:
        if own.name not in _loaded:
            before = sys.modules.get(own.name)
            try:
                _loaded[own.name] = _usable(own, before)
            finally:
                _put(own.name, before)
        return _loaded[own.name]


def found(name: str) -> str | None:
    """The file, or the folders of a namespace package, that ``import name`` would take from the path; None if none."""
    spec = PathFinder.find_spec(name)
    if spec is None:
        return None
    return spec.origin or ", ".join(spec.submodule_search_locations or ())


def owner(path: str) -> str | None:
    """Name and version of the installed distribution that lists ``path`` among its files."""
    for distribution in metadata.distributions():
        folder = Path(str(distribution.locate_file(""))).absolute()
        if Path(path).is_relative_to(folder) and Path(path).relative_to(folder).as_posix() in recorded(distribution):
            return f"{distribution.metadata['Name']} {distribution.version}"
    return None


def recorded(distribution: metadata.Distribution) -> set[str]:
    """The files that the installer recorded, relative to the distribution's folder; empty without a record.

    Not ``distribution.files``, which looks for each file on the disk: seconds in a usual environment.
    """
    return {line.rsplit(",", 2)[0].strip('"') for line in (distribution.read_text("RECORD") or "").splitlines()}


def own_files(own: OwnModule) -> Iterator[str]:
    """Absolute paths of the module in the installed releases of its distribution, one for each folder of the path that
    has a release."""
    for distribution in metadata.distributions(name=own.distribution):
        path = Path(str(distribution.locate_file(f"{own.name}.py"))).absolute()
        if path.is_file():
            yield str(path)


def clash(own: OwnModule) -> str | None:
    """The path that Python finds instead of the module; None where it finds the module itself, or nothing."""
    there = found(own.name)
    return None if there in {None, *own_files(own)} else there


def described(path: str) -> str:
    """``path``, with the distribution that owns it, if one does."""
    by = owner(path)
    return path if by is None else f"{path} of {by}"


def _usable(own: OwnModule, present: ModuleType | None) -> ModuleType:
    if present is not None and not _lacks(own, present):
        return present
    problems: list[str] = []
    for path in own_files(own):
        module, problem = _attempt(own, path)
        if module is not None:
            return module
        problems.append(problem)
    with contextlib.suppress(Exception):  # the module has no file: it is frozen, or in an archive
        sys.modules.pop(own.name, None)
        module = importlib.import_module(own.name)
        if not _lacks(own, module):
            return module
    raise StartupError(_text(own, problems))


def _attempt(own: OwnModule, path: str) -> tuple[ModuleType | None, str]:
    """The module in the file at ``path``, or why it cannot be used."""
    try:
        module = _execute(own.name, path)
    except Exception as error:
        return None, f"{path} cannot be imported ({type(error).__name__}: {error})"
    lacks = _lacks(own, module)
    return (None, f"{path} lacks {', '.join(lacks)}") if lacks else (module, "")


def _execute(name: str, path: str) -> ModuleType:
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"not a Python file: {path}")
    module = module_from_spec(spec)
    sys.modules[name] = module  # as the import system does: the code may look for its own module there
    spec.loader.exec_module(module)
    return module


def _lacks(own: OwnModule, module: ModuleType) -> list[str]:
    return [name for name in own.needed if not hasattr(module, name)]


def _put(name: str, module: ModuleType | None) -> None:
    if module is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = module


def _text(own: OwnModule, problems: list[str]) -> str:
    namesake = found(own.name)
    there = f"Python finds {described(namesake)}" if namesake is not None else "there is none"
    command = f"{shlex.quote(sys.executable)} -m pip install --force-reinstall --no-deps '{own.requirement}'"
    return (
        f"the server needs the module '{own.name}' of the package {own.distribution} ({own.oldest} or later), but "
        f"{'; '.join(problems) or there}. Install it, beside what is there, with: {command}"
    )
