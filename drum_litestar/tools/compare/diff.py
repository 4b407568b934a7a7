"""Differences of two answers: status, selected headers, body; exact, or with a tolerance for numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from drum_litestar.tools.compare.documents import Text, document, media_type, without_boundary
from drum_litestar.tools.compare.messages import DEFAULT_HEADERS, DEFAULT_SKIPPED, Answer, Request

KEPT: Final = 5
"""Differences of one pair that are reported one by one; the rest are counted."""

_NUMBER: Final = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
_SHOWN: Final = 80


class Difference(msgspec.Struct, frozen=True):
    """One place (``status``, ``header content-type``, ``body predictions.0``) and its value on each side."""

    where: str
    baseline: str
    candidate: str

    def __str__(self) -> str:
        return f"{self.where}: {self.baseline} -> {self.candidate}"


class Comparison(msgspec.Struct):
    """Rules of the comparison, and the largest numeric drift so far.

    ``rtol``, ``atol``: two numbers are equal when ``|a - b| <= max(rtol * max(|a|, |b|), atol)``; NaN equals NaN, not
    null. Without either (None) bodies must be the same bytes, multipart boundaries aside. ``headers``: names of those
    that must agree. ``ignore``: patterns (``*`` also matches dots) of paths in a body, such as ``*.created``; with it,
    bodies are compared value by value even without a tolerance. ``skip``: patterns of paths that are not compared,
    matched without a final slash.
    """

    rtol: float | None = None
    atol: float | None = None
    headers: tuple[str, ...] = DEFAULT_HEADERS
    ignore: tuple[str, ...] = ()
    skip: tuple[str, ...] = DEFAULT_SKIPPED
    largest_absolute: float = 0.0
    largest_relative: float = 0.0

    @property
    def exact(self) -> bool:
        return self.rtol is None and self.atol is None

    @property
    def rule(self) -> str:
        """Text of the rule, for reports."""
        if self.exact:
            return "same values" if self.ignore else "same bytes"
        return f"numbers within rtol {self.rtol or 0:g}, atol {self.atol or 0:g}"

    def skips(self, request: Request) -> bool:
        """Whether the answers to ``request`` are left out of the comparison."""
        path = request.target.partition("?")[0].rstrip("/")
        return any(fnmatchcase(path, pattern) for pattern in self.skip)

    def compare(self, baseline: Answer, candidate: Answer) -> tuple[Difference, ...]:
        """Differences of two answers: the first :data:`KEPT` places, then one entry with the number of others."""
        found: list[Difference] = []
        count = 0
        for each in self._differences(baseline, candidate):
            count += 1
            if count <= KEPT:
                found.append(each)
        if count > KEPT:
            found.append(Difference("more", f"{count - KEPT} further places", "differ"))
        return tuple(found)

    def _differences(self, baseline: Answer, candidate: Answer) -> Iterator[Difference]:
        if baseline.failed or candidate.failed:
            yield Difference("answer", baseline.summary(), candidate.summary())
            return
        if baseline.status != candidate.status:
            yield Difference("status", str(baseline.status), str(candidate.status))
        for name in self.headers:
            left, right = (_header(answer, name) for answer in (baseline, candidate))
            if left != right:
                yield Difference(f"header {name}", _shown(left), _shown(right))
        if baseline.body != candidate.body:
            yield from self._bodies(baseline, candidate)

    def _bodies(self, baseline: Answer, candidate: Answer) -> Iterator[Difference]:
        left, right = without_boundary(baseline), without_boundary(candidate)
        if left == right:
            return
        count = 0
        for each in self._walk((), document(baseline), document(candidate)):
            count += 1
            yield each
        if not count and self.exact and not self.ignore:
            at = next(
                (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
            )
            yield Difference(
                f"body, same values but other bytes from {at}", *(_shown(t[at : at + 40]) for t in (left, right))
            )

    def _walk(self, path: tuple[str, ...], left: Any, right: Any) -> Iterator[Difference]:
        if self.ignore and path and any(fnmatchcase(".".join(path), pattern) for pattern in self.ignore):
            return
        if isinstance(left, dict) and isinstance(right, dict):
            for key in (*left, *(key for key in right if key not in left)):
                yield from self._walk((*path, key), left.get(key, _ABSENT), right.get(key, _ABSENT))
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                yield Difference(_where(path), f"{len(left)} items", f"{len(right)} items")
            for index, pair in enumerate(zip(left, right, strict=False)):
                yield from self._walk((*path, str(index)), *pair)
        elif isinstance(left, Text) and isinstance(right, Text):
            yield from self._texts(path, left.text, right.text)
        elif _is_number(left) and _is_number(right):
            if not self._close(left, right):
                yield Difference(_where(path), _number(left), f"{_number(right)}{_distance(left, right)}")
        elif type(left) is not type(right) or left != right:
            yield Difference(_where(path), _shown(left), _shown(right))

    def _texts(self, path: tuple[str, ...], left: str, right: str) -> Iterator[Difference]:
        """Compare texts that are not JSON: numbers one by one within the tolerance, the text between them exactly."""
        if left == right:
            return
        left_parts, right_parts = _NUMBER.split(left), _NUMBER.split(right)
        if left_parts[::2] != right_parts[::2]:  # even indexes have the text between the numbers
            at = next(
                (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
            )
            yield Difference(f"{_where(path)}, from character {at}", _shown(left[at:]), _shown(right[at:]))
            return
        for index in range(1, len(left_parts), 2):
            a, b = left_parts[index], right_parts[index]
            if a != b and not self._close(float(a), float(b)):
                yield Difference(f"{_where(path)}, number {index // 2 + 1}", a, f"{b}{_distance(float(a), float(b))}")

    def _close(self, left: float, right: float) -> bool:
        if left == right or (left != left and right != right):  # NaN differs from itself; math.isnan fails on huge ints
            return True
        absolute, relative = _drift(left, right)
        self.largest_absolute = max(self.largest_absolute, absolute)
        self.largest_relative = max(self.largest_relative, relative)
        return absolute <= (self.atol or 0.0) or relative <= (self.rtol or 0.0)


class _Absent:
    def __repr__(self) -> str:
        return "absent"


_ABSENT: Final = _Absent()


def _drift(left: float, right: float) -> tuple[float, float]:
    """``(|a - b|, |a - b| / max(|a|, |b|))``; infinite where one is NaN, infinite, or an integer beyond floats."""
    try:
        absolute = abs(float(left) - float(right))
        relative = absolute / max(abs(float(left)), abs(float(right)))
    except (OverflowError, ZeroDivisionError):
        return math.inf, math.inf
    return (absolute, relative) if math.isfinite(absolute) else (math.inf, math.inf)


def _distance(left: float, right: float) -> str:
    absolute, relative = _drift(left, right)
    return f" (off by {absolute:.3g}, relative {relative:.3g})" if math.isfinite(absolute) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: float) -> str:
    return repr(value)


def _header(answer: Answer, name: str) -> Any:
    """Value of a header; a content type is normalized and loses its boundary."""
    value = answer.header(name)
    if value is None or name.lower() != "content-type":
        return value
    kind, options = media_type(value)
    named = sorted((key, text) for key, text in options.items() if key != "boundary")
    return "; ".join((kind, *(f"{key}={text}" for key, text in named)))


def _where(path: tuple[str, ...]) -> str:
    return f"body {'.'.join(path)}" if path else "body"


def _shown(value: Any) -> str:
    text = "absent" if value is None or value is _ABSENT else repr(value.text if isinstance(value, Text) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
