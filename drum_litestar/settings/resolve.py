"""Resolution of settings, in this order: command line, runtime parameter, environment variable, default.

No other module reads the environment for settings. An invalid value under a name that DRUM also reads falls back to
the default with a warning, because existing deployments must start; under any other name it is an error.
``DRUM_SETTINGS_STRICT`` makes all of them errors.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from drum_litestar.errors import SettingsError
from drum_litestar.settings.boolean_words import boolean_word
from drum_litestar.settings.cross_checks import advise, refuse
from drum_litestar.settings.declaration import Declared, Option, declared
from drum_litestar.settings.masking import MASK
from drum_litestar.settings.notices import Notice, info, warning
from drum_litestar.settings.runtime_params import parameters as runtime_params
from drum_litestar.settings.server_settings import ServerSettings
from drum_litestar.settings.values import (
    BadValueError,
    exact_number,
    is_blank,
    read_value,
    shown_size,
)

STRICT = "DRUM_SETTINGS_STRICT"
_OTHERS = frozenset((STRICT, "DRUM_LITESTAR_HOOK", "DRUM_OPENAI_CLIENT_TIMEOUT", "DRUM_GUNICORN_DRUM_ARGS"))
"""Known names that are not settings of the server."""


class Candidate(msgspec.Struct, frozen=True):
    """A value for a setting, and its source."""

    name: str
    """The name that is set."""
    source: str
    raw: Any


class Unreadable(msgspec.Struct, frozen=True):
    """Payload of a malformed runtime parameter, handled as any other invalid value."""

    text: str

    def __str__(self) -> str:
        return self.text


class Resolved(msgspec.Struct, frozen=True):
    """A setting with its value and the value's source."""

    setting: Declared
    value: Any
    source: str


class Resolution(msgspec.Struct, frozen=True):
    """The settings, the source of each, and notices for the operator."""

    settings: ServerSettings
    values: tuple[Resolved, ...]
    notices: tuple[Notice, ...]


def resolve(cli: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None) -> Resolution:
    """Resolve every setting.

    ``cli`` maps an option's first name to the text given on the command line. ``environ`` is the process environment
    unless given. Raises SettingsError; warns with DeprecationWarning about old names.
    """
    environ = os.environ if environ is None else environ
    resolver = _Resolver(cli or {}, environ)
    values = tuple(resolver.value(setting) for setting in declared(ServerSettings))
    resolver.report_unknown()
    groups: dict[str, dict[str, Any]] = {}
    for item in values:
        groups.setdefault(item.setting.group, {})[item.setting.field] = item.value
    defaults = ServerSettings()
    settings = ServerSettings(**{name: type(getattr(defaults, name))(**fields) for name, fields in groups.items()})
    refuse(settings)
    given = frozenset(item.setting.option.name for item in values if item.source != "default")
    resolver.notices.extend(advise(settings, given))
    return Resolution(settings, values, tuple(resolver.notices))


def parameter(name: str, environ: Mapping[str, str]) -> Any:
    """Payload of a runtime parameter that is not a setting, read as leniently as settings are; None when not set.

    Raises SettingsError when it is malformed.
    """
    try:
        return runtime_params.read_bare(environ.get(runtime_params.variable(name)))
    except runtime_params.RuntimeParameterError as error:
        raise SettingsError(f"runtime parameter {name}: {error}") from error


class _Resolver:
    def __init__(self, cli: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self.cli = cli
        self.environ = environ
        self.notices: list[Notice] = []
        strict = next((item.raw for item in self.sources(STRICT)), "false")
        self.strict = boolean_word(str(strict)) is not False  # an invalid value means strict

    def value(self, setting: Declared) -> Resolved:
        """Resolve one setting from the first candidate."""
        candidates = list(self.candidates(setting))
        self.report_deprecated(setting, candidates)
        if setting.option.never_empty:
            self.refuse_empty(setting.option, candidates)
        if not candidates:
            return Resolved(setting, setting.default, "default")
        first = candidates[0]
        for other in candidates[1:]:
            if other.name != first.name and other.name not in setting.option.old and other.raw != first.raw:
                notice = warning if other.name == setting.option.flag else info
                self.notices.append(notice(f"{_shown(setting, other)} is ignored, because {first.source} decides"))
        try:
            if isinstance(first.raw, Unreadable):
                raise BadValueError("cannot be read")
            value = read_value(setting, first.raw)
            if setting.option.file and not Path(value).is_file():
                raise BadValueError("is not a file that exists")
        except BadValueError as error:
            return self.bad(setting, first, error)
        if setting.kind is int and value is not None and exact_number(setting, first.raw) != value:
            self.notices.append(warning(f"{_shown(setting, first)} is cut off to {value}"))
        return Resolved(setting, value, first.source)

    def refuse_empty(self, option: Option, candidates: list[Candidate]) -> None:
        """Raise SettingsError when the deciding source is set to an empty value."""
        if candidates:
            source = candidates[0].source if is_blank(candidates[0].raw) else None
        else:
            shown = {runtime_params.variable(name): f"runtime parameter {name}" for name in option.names()}
            shown |= {name: f"environment variable {name}" for name in option.names()}
            source = next((text for variable, text in shown.items() if variable in self.environ), None)
        if source is not None:
            raise SettingsError(f"{source} is set, but holds no {option.never_empty}{_remedy(option)}")

    def bad(self, setting: Declared, candidate: Candidate, error: BadValueError) -> Resolved:
        text = f"{_shown(setting, candidate)} {error} (allowed: {setting.allowed()}){_remedy(setting.option)}"
        if self.strict or not setting.option.tolerant(candidate.name):
            raise SettingsError(text)
        self.notices.append(warning(f"{text}; using {shown_value(setting, setting.default)} instead"))
        return Resolved(setting, setting.default, "default")

    def candidates(self, setting: Declared) -> Iterator[Candidate]:
        """Values of the setting by decreasing precedence.

        A runtime parameter that is null counts as not set: so the platform passes parameters without a value.
        """
        option = setting.option
        current = (option.name, *option.aliases)
        cli = (
            [Candidate(option.flag, f"command line {option.flag}", text)] if (text := self.cli.get(option.name)) else []
        )
        parameters = [item for name in current for item in self.parameters(name)]
        if option.runtime_first:
            yield from (item for item in parameters if item.name == option.name)
            parameters = [item for item in parameters if item.name != option.name]
        yield from cli
        yield from parameters
        for name in current:
            yield from self.variables(name)
        for name in option.old:
            yield from self.sources(name)

    def sources(self, name: str) -> Iterator[Candidate]:
        yield from self.parameters(name)
        yield from self.variables(name)

    def variables(self, name: str) -> Iterator[Candidate]:
        if text := self.environ.get(name, "").strip():
            yield Candidate(name, f"environment variable {name}", text)

    def parameters(self, name: str) -> Iterator[Candidate]:
        raw = _payload(self.environ.get(runtime_params.variable(name)))
        if raw is not None:
            yield Candidate(name, f"runtime parameter {name}", raw)

    def report_deprecated(self, setting: Declared, candidates: list[Candidate]) -> None:
        for candidate in candidates:
            if candidate.name in setting.option.old:
                new = setting.option.name
                outcome = "" if candidate is candidates[0] else f" and ignored, because {new} is set too"
                text = f"{candidate.name} is deprecated{outcome}; use {new}"
                warnings.warn(text, DeprecationWarning, stacklevel=4)
                self.notices.append(warning(text))

    def report_unknown(self) -> None:
        """Report variables that are no known setting."""
        known = _OTHERS.union(*(setting.option.names() for setting in declared(ServerSettings)))
        names = {name.removeprefix(runtime_params.PREFIX) for name in self.environ}
        for name in sorted(name for name in names if name.startswith("DRUM_")):
            if name not in known:
                text = f"unknown parameter {name}"
                near = _nearest(name, known)
                text += f"; did you mean {near}?" if near else " is ignored"
                if self.strict:
                    raise SettingsError(text)
                self.notices.append(warning(text))


def shown_value(setting: Declared, value: Any) -> str:
    """Text of ``value`` for the operator, with secrets masked."""
    if value is None:
        return setting.option.default or "none"
    if setting.option.secret:
        return MASK
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.12g}"
    if setting.is_size:
        return shown_size(value)
    return ",".join(value) if isinstance(value, tuple) else str(value)


def as_document(item: Resolved) -> dict[str, Any]:
    """``item`` for JSON, with secrets masked."""
    setting, value = item.setting, item.value
    plain = shown_value(setting, value) if setting.option.secret or not _is_json(value) else value
    return {
        "name": setting.option.name,
        "group": setting.group,
        "value": None if value is None else plain,
        "source": item.source,
        "default": shown_value(setting, setting.default),
        "allowed": setting.allowed(),
        "meaning": setting.option.doc,
        "aliases": list(setting.option.aliases),
        "deprecated": list(setting.option.old),
    }


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, tuple))


def _shown(setting: Declared, candidate: Candidate) -> str:
    return f"{candidate.source}: value '{MASK if setting.option.secret else candidate.raw}'"


def _remedy(option: Option) -> str:
    return f": set a {option.never_empty} or remove the variable" if option.never_empty else ""


def _payload(text: str | None) -> Any:
    try:
        return runtime_params.read_bare(text)
    except runtime_params.RuntimeParameterError:
        return Unreadable(text or "")


def _nearest(name: str, known: frozenset[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, sorted(known), n=1, cutoff=0.6)), None)
