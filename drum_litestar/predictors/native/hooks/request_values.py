"""Headers and values of a request, with the behaviour of the mappings that hooks receive in DRUM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Callable, Iterable, Tuple

BAD_REQUEST = "The browser (or proxy) sent a request that this server could not understand."

Pairs = Iterable[Tuple[str, str]]
Converter = Callable[[str], Any]


class RequestValueError(Exception):
    """An invalid request, answered with status ``code``."""

    code = 400
    description = BAD_REQUEST


class MissingKeyError(RequestValueError, KeyError):
    """A header or parameter that the request does not have. Uncaught in a hook it is a 400 (contract, 3.9)."""


class UnreadableBodyError(RequestValueError):
    """The body is declared as JSON and is not."""


class RequestHeaders:
    """A case-insensitive, read-only header mapping that iterates over ``(name, value)`` pairs (contract, 3.10)."""

    def __init__(self, pairs: Pairs = ()) -> None:
        self._headers = header_dict(pairs)
        self._by_lower = {name.lower(): value for name, value in self._headers.items()}

    def __getitem__(self, name: str) -> str:
        try:
            return self._by_lower[name.lower()]
        except (KeyError, AttributeError):
            raise MissingKeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_lower

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._headers.items())

    def __len__(self) -> int:
        return len(self._headers)

    def __eq__(self, other: object) -> bool:
        return self._headers == other._headers if isinstance(other, RequestHeaders) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self._headers.items()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._headers.items())!r})"

    def get(self, name: str, default: Any = None, type: Converter | None = None) -> Any:
        """The value, converted by ``type``; ``default`` when it is absent or cannot be converted."""
        return next(converted(self.getlist(name), type), default)

    def getlist(self, name: str) -> list[str]:
        return [self[name]] if name in self else []

    get_all = getlist

    def keys(self) -> Iterator[str]:
        return iter(self._headers)

    def values(self) -> Iterator[str]:
        return iter(self._headers.values())

    def items(self, lower: bool = False) -> Iterator[tuple[str, str]]:
        return ((name.lower() if lower else name, value) for name, value in self._headers.items())


def converted(values: Sequence[str], convert: Converter | None) -> Iterator[Any]:
    """Convert ``values``; leave out those that ``convert`` rejects."""
    for value in values:
        with suppress(ValueError, TypeError):
            yield value if convert is None else convert(value)


def header_dict(pairs: Pairs) -> dict[str, str]:
    """Title-Case names, repeats joined by commas; names with underscores and an empty Content-Type are left out."""
    headers: dict[str, str] = {}
    for raw, value in pairs:
        if "_" in raw:
            continue
        name = raw.title()
        if name == "Content-Type" and not value:
            continue
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers
