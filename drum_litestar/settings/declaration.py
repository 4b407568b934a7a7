"""Declaration of a setting: the annotation of a struct's field holds its names, range and meaning.

::

    workers: Annotated[int, Option("CUSTOM_MODEL_WORKERS", "model worker processes", low=1, high=199)] = 1

The field's type decides how a value is read; its default applies when no source has a value. Resolution, ``--help``,
``drum-litestar settings`` and the warning about unknown names are derived from these declarations.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from drum_litestar.settings.address import Address


class Option(msgspec.Struct, frozen=True):
    """One setting's names, range and meaning."""

    name: str
    doc: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    """Exclusive lower bound."""
    unit: str = ""
    auto: bool = False
    """The word ``auto`` is a value, too; it stands for None."""
    aliases: tuple[str, ...] = ()
    """Other current names; the first one that is set decides."""
    old: tuple[str, ...] = ()
    """Deprecated names; their use causes a DeprecationWarning."""
    drum: bool = False
    """DRUM also reads ``name`` and ``aliases``: an invalid value falls back to the default, so that existing
    deployments start."""
    default: str = ""
    """Description of the default, where the field's own default is None."""
    secret: bool = False
    """The value is never shown; see :mod:`drum_litestar.settings.masking`."""
    word: bool = False
    """The value is one word of printable ASCII."""
    file: bool = False
    """The value names a file that must exist."""
    directory: bool = False
    never_empty: str = ""
    """Noun for the value ("token"). An empty value is then an error, because it would switch the feature off."""
    synonyms: tuple[tuple[str, str], ...] = ()
    """Other spellings of a choice."""
    runtime_first: bool = False
    """The runtime parameter ``name`` takes precedence over the command line (contract, 1.1, step 4)."""
    flag: str = ""
    """Command-line option, if there is one."""

    def names(self) -> tuple[str, ...]:
        """All names, the preferred one first."""
        return (self.name, *self.aliases, *self.old)

    def tolerant(self, name: str) -> bool:
        """Whether an invalid value of ``name`` must not prevent the start, because DRUM reads it too."""
        return name.startswith("DRUM_GUNICORN_") or (self.drum and name not in self.old)


class Declared(msgspec.Struct, frozen=True):
    """An option with the group and field that declare it."""

    group: str
    field: str
    option: Option
    kind: Any
    """Value type without ``None``: ``int``, ``float``, ``bool``, ``str``, ``Address``, ``tuple`` or a ``Literal``."""
    default: Any

    @property
    def choices(self) -> tuple[str, ...]:
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def is_size(self) -> bool:
        """The value is a number of bytes, and may be written with a unit (``100MB``)."""
        return self.option.unit == "bytes"

    def allowed(self) -> str:
        """Text of the allowed values, for messages."""
        option, unit = self.option, f" {self.option.unit}" if self.option.unit else ""
        if self.is_size:
            unit += ", or with a unit: kB, MB, GB, TB, KiB, MiB, GiB, TiB"
        if self.choices:
            return ", ".join(self.choices)
        if self.kind is bool:
            return "true, false"
        bounds = []
        if option.above is not None:
            bounds.append(f"above {option.above:g}")
        if option.low is not None and option.high is not None and option.above is None:
            return f"{'auto, or ' if option.auto else ''}{option.low:.12g} to {option.high:.12g}{unit}"
        if option.low is not None:
            bounds.append(f"at least {option.low:.12g}")
        if option.high is not None:
            bounds.append(f"at most {option.high:.12g}")
        if bounds:
            return ", ".join(bounds) + unit
        if option.file or option.directory:
            return "a file" if option.file else "a directory"
        if option.never_empty:
            return "text that is not empty"
        if option.word:
            return "one word of printable ASCII"
        words = {int: "a whole number", float: "a number", tuple: "a comma-separated list", Address: "host[:port]"}
        return words.get(self.kind, "text")


@lru_cache(maxsize=4)
def declared(settings: type[msgspec.Struct]) -> tuple[Declared, ...]:
    """Every option of a struct of groups, in order of declaration."""
    return tuple(_options(settings))


def _options(settings: type[msgspec.Struct]) -> Iterator[Declared]:
    for group, struct in get_type_hints(settings).items():
        if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
            continue
        defaults = struct()
        for field, hint in get_type_hints(struct, include_extras=True).items():
            kind, option = _annotation(hint)
            yield Declared(group, field, option, kind, getattr(defaults, field))


def _annotation(hint: Any) -> tuple[Any, Option]:
    if get_origin(hint) is not Annotated:
        raise TypeError(f"a setting without an Option: {hint}")
    kind, option = get_args(hint)[:2]
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (member for member in get_args(kind) if member is not type(None))
    return (tuple if get_origin(kind) is tuple else kind), option
