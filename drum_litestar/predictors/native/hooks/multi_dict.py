"""Multi-value dicts, which hooks receive as ``query`` (contract, 3.9).

Hooks see the names of the classes in a ``repr``. They subclass dict and hold lists, because hooks pass them to
``json.dumps``, which writes the pairs of :meth:`MultiDict.items`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Dict, NoReturn

from drum_litestar.predictors.native.hooks.request_values import Converter, MissingKeyError, converted

_ABSENT: Any = object()


class MultiDict(Dict[str, Any]):
    """A dict whose keys may have several values; item access returns the first one."""

    def __init__(self, pairs: Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__()
        for name, value in pairs:
            super().setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> Any:
        try:
            return super().__getitem__(name)[0]
        except KeyError:
            raise MissingKeyError(name) from None

    def __setitem__(self, name: str, value: Any) -> None:
        self.setlist(name, [value])

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()  # overridden so that dict(self) uses __getitem__ and copies no lists

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.items(multi=True))!r})"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self), (list(self.items(multi=True)),)

    def __copy__(self) -> MultiDict:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> MultiDict:
        return MultiDict(copy.deepcopy(list(self.items(multi=True)), memo))

    def copy(self) -> MultiDict:
        """A mutable copy."""
        return MultiDict(self.items(multi=True))

    def get(self, name: str, default: Any = None, type: Converter | None = None) -> Any:
        """The first value, converted by ``type``; ``default`` when it is absent or cannot be converted."""
        return next(converted(super().get(name, ())[:1], type), default)

    def getlist(self, name: str, type: Converter | None = None) -> list[Any]:
        """All values of ``name`` that ``type`` can convert; empty when it is absent."""
        return list(converted(super().get(name, ()), type))

    def values(self) -> Iterator[Any]:  # type: ignore[override]
        return (values[0] for values in super().values())

    def items(self, multi: bool = False) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        """Names with their first value, or with ``multi`` one pair for each value."""
        for name, values in super().items():
            for value in values if multi else values[:1]:
                yield name, value

    def lists(self) -> Iterator[tuple[str, list[Any]]]:
        """Names with all their values."""
        return ((name, list(values)) for name, values in super().items())

    def listvalues(self) -> Iterator[list[Any]]:
        return (list(values) for values in super().values())

    def to_dict(self, flat: bool = True) -> dict[str, Any]:
        """A plain dict of first values, or of lists."""
        return dict(self.items()) if flat else dict(self.lists())

    def add(self, name: str, value: Any) -> None:
        """Append a value to ``name``."""
        self.setlist(name, [*self.getlist(name), value])

    def setlist(self, name: str, values: Iterable[Any]) -> None:
        """Replace all values of ``name``."""
        super().__setitem__(name, list(values))

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *others: Any, **more: Any) -> None:
        """Append values; existing ones are kept."""
        for other in (*others, more):
            pairs = other.items(multi=True) if isinstance(other, MultiDict) else other
            for name, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
                self.add(name, value)

    def pop(self, name: str, default: Any = _ABSENT) -> Any:
        """Remove ``name`` with all its values and return the first one."""
        if name not in self and default is not _ABSENT:
            return default
        value = self[name]
        del self[name]
        return value

    def popitem(self) -> tuple[str, Any]:
        name, values = super().popitem()
        return name, values[0]


class ImmutableMultiDict(MultiDict):
    """The type of ``query``. Its ``copy()`` is mutable."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items(multi=True)))

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(f"{type(self).__name__!r} objects are immutable")

    __setitem__ = __delitem__ = __ior__ = add = setlist = setdefault = update = pop = popitem = clear = _refuse
