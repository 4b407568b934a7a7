"""Masking of secrets in everything that is shown: logs, ``/stats/``, error texts, tables.

Two ways, because neither covers everything. By structure: the value of an option, variable or header whose name
indicates a secret, and the user information and secret parameters of a URL. By value: a known secret is replaced
wherever it occurs in a text, if it has at least :data:`SHORTEST` characters: a token ``a`` must not replace every
letter a.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import quote, unquote

MASK: Final = "*****"

SHORTEST: Final = 6
"""Minimum length, in characters, of a value that is searched for in texts."""

SECRET_OPTIONS: Final = ("--api-token",)
"""Command-line options whose value is a secret; argparse also accepts their unique prefixes."""

SECRET_VARIABLES: Final = ("API_TOKEN", "DATAROBOT_API_TOKEN", "MLOPS_API_TOKEN", "DRUM_API_TOKEN")
"""Variables that hold a secret, besides those that :func:`suggests_secret` recognizes and runtime parameters of the
type credential."""

HEADER_VARIABLES: Final = re.compile(r"OTEL_EXPORTER_OTLP_(?:\w+_)?HEADERS")
"""``name=value,...``, each value URL-encoded: keys of a collector."""

REPOSITORY_PREFIX: Final = "MLOPS_REPOSITORY_SECRET_"
USER_SECRETS_PREFIX: Final = "USER_SECRETS_PREFIX"
"""Variable for the prefix of user secrets' variables; the option is ``--user-secrets-prefix``."""

SECRET_HEADERS: Final = frozenset(
    ("authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-datarobot-api-key")
)

_PARAMETER: Final = "MLOPS_RUNTIME_PARAM_"
_LAST_WORDS: Final = frozenset(("token", "password", "passwd", "passphrase", "secret", "credential", "apikey"))
_HINTS: Final = ("token", "pass", "pwd", "secret", "credential", "key")
"""Every name that suggests a secret contains one of these."""

_KEYS: Final = frozenset(("api", "access", "private", "secret", "shared", "account", "license"))
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NAME: Final = re.compile(r"-{0,2}[A-Za-z_][\w.-]*")
_HEADER: Final = re.compile(r"\s*([\w-]+)\s*:\s*(?=\S)")
_USER_INFO: Final = re.compile(r"://[^\s/?#'\"<>]+@")
_PAIR: Final = re.compile(r"((?:^|[?&;])([A-Za-z][\w.-]*)=)([^\s&;#'\"\\]+)")
_PASSWORD: Final = re.compile(r"://[^\s/?#:'\"]*:([^\s/?#'\"]+)@")

_HARMLESS: Final = frozenset(
    (
        "credentialtype", "credential_type", "credentialid", "name", "description", "user", "username", "type",
        "project_id", "client_id", "client_email", "auth_uri", "token_uri", "auth_provider_x509_cert_url",
        "client_x509_cert_url", "universe_domain", "region",
    )
)  # fmt: skip
"""Members of a credential that are not secret; all others are."""


def suggests_secret(name: str) -> bool:
    """Whether something called ``name`` (an option, a variable, a header, a JSON key) holds a secret."""
    *before, last = ["", *(word.lower() for word in _WORDS.findall(name))]
    if last == "pwd":
        return len(before) > 1  # alone it is the working directory
    return last in _LAST_WORDS or last.endswith("password") or (last == "key" and before[-1] in _KEYS)  # PGPASSWORD


def is_secret_option(word: str) -> bool:
    """Whether ``word`` is an option whose value is a secret: ``--api-token``, abbreviated (``--api-t``) or mistyped
    (``--api-tokn``), and another program's ``--hf-token``."""
    return word.startswith("-") and (_is_declared(word) or suggests_secret(word))


def is_secret_header(name: str) -> bool:
    """Whether the value of the HTTP header ``name`` is a secret."""
    return name.lower() in SECRET_HEADERS or suggests_secret(name)


def mask_arguments(words: Iterable[str]) -> list[str]:
    """Mask the secrets of a command line, of this or any other program. Returns as many words as it gets."""
    return [masked for _, _, masked in _arguments(words)]


def mask_structure(text: str) -> str:
    """Mask the user information and the secret parameters of the URLs in ``text``."""
    if "@" in text:
        text = _USER_INFO.sub(f"://{MASK}@", text)
    if "=" in text:
        lower = text.lower()
        if any(word in lower for word in _HINTS):  # much faster than checking each parameter
            text = _PAIR.sub(_masked_pair, text)
    return text


def mask_values(text: str, values: Iterable[str]) -> str:
    """Mask every one of ``values`` in ``text``. Longer values must come first: they may contain shorter ones."""
    for value in values:
        if value in text:
            text = text.replace(value, MASK)
    return text


_process_values: tuple[str, ...] = ()


def set_secrets(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Set the secrets that :func:`masked` replaces to those of the process's command line and environment."""
    global _process_values
    _process_values = known_secrets(arguments, environ)


def add_secrets(values: Iterable[str]) -> None:
    """Add secrets that :func:`masked` replaces."""
    global _process_values
    _process_values = _in_order({*_process_values, *(form for value in values for form in _forms(value))})


def masked(text: str) -> str:
    """Mask the secrets of this process in ``text``. Applied to all text for people: logs, errors, tables."""
    return mask_structure(mask_values(text, _process_values))


def known_secrets(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Collect the secrets of the command line and the environment, the longest first, in each form in which they may be
    printed: unchanged, within a JSON or Python string, within a URL."""
    found: set[str] = set()
    for value in (*_in_arguments(arguments), *_in_variables(arguments, environ)):
        found.update(_forms(value))
    return _in_order(found)


def _in_order(values: Iterable[str]) -> tuple[str, ...]:
    """Values of at least :data:`SHORTEST` characters, the longest first."""
    return tuple(sorted((value for value in values if len(value) >= SHORTEST), key=lambda value: (-len(value), value)))


def _arguments(words: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield for each of ``words`` the name that indicates a secret, the secret, and the masked word."""
    option = ""
    for word in words:
        name, equals, value = word.partition("=")
        header = _HEADER.match(word)
        if option and (_is_declared(option) or not word.startswith("-")):
            yield option, word, MASK
            option = ""
        elif equals and _NAME.fullmatch(name) and (is_secret_option(name) or suggests_secret(name)):
            yield name, value, f"{name}={MASK}"
            option = ""
        elif header is not None and is_secret_header(header[1]):
            yield header[1], word[header.end() :], f"{word[: header.end()]}{MASK}"
            option = ""
        else:
            option = word if is_secret_option(word) else ""
            yield "", "", mask_structure(word)


def _is_declared(option: str) -> bool:
    """Whether ``option`` is one of :data:`SECRET_OPTIONS`, which always take a value."""
    abbreviated = len(option) > len("--") and any(declared.startswith(option) for declared in SECRET_OPTIONS)
    return abbreviated or bool(get_close_matches(option, SECRET_OPTIONS, n=1, cutoff=0.85))


def _masked_pair(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}" if suggests_secret(match[2]) else match[0]


def _in_arguments(arguments: Sequence[str]) -> Iterator[str]:
    for name, secret, _ in _arguments(arguments):
        if name:
            yield from _parts(secret)
    for word in arguments:
        yield from _in_urls(word)


def _in_variables(arguments: Sequence[str], environ: Mapping[str, str]) -> Iterator[str]:
    prefixes = [REPOSITORY_PREFIX, *(f"{prefix}_" for prefix in _user_prefixes(arguments, environ))]
    for variable, text in environ.items():
        if HEADER_VARIABLES.fullmatch(variable):
            for pair in text.split(","):
                yield from _parts(unquote(pair.partition("=")[2].strip()))
        elif variable.startswith(_PARAMETER):
            yield from _in_parameter(variable[len(_PARAMETER) :], text)
        elif variable in SECRET_VARIABLES or suggests_secret(variable):
            yield text.strip()
            yield from secret_members(_json(text), text)
        elif variable.startswith(tuple(prefixes)):
            yield from secret_members(_json(text), text)
        yield from _in_urls(text)


def _in_parameter(name: str, text: str) -> Iterator[str]:
    """Secrets of a runtime parameter, also of a malformed one."""
    content = _json(text)
    is_object = isinstance(content, dict)
    if suggests_secret(name) or (is_object and content.get("type") == "credential"):
        yield from secret_members(content.get("payload", content) if is_object else content, "" if is_object else text)


def secret_members(content: Any, text: str = "") -> Iterator[str]:
    """Strings of a credential except its harmless members; ``text``, its source, when that is not JSON."""
    if content is None:
        yield text.strip()
    elif isinstance(content, (str, int, float)):
        yield str(content)
    elif isinstance(content, dict):
        for key, value in content.items():
            if str(key).lower() not in _HARMLESS:
                yield from secret_members(value)
    elif isinstance(content, list):
        for value in content:
            yield from secret_members(value)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _user_prefixes(arguments: Sequence[str], environ: Mapping[str, str]) -> Iterator[str]:
    option = "--user-secrets-prefix"
    for position, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if len(name) > len("--user-secrets-") and option.startswith(name):
            following = arguments[position + 1 : position + 2]
            yield from (text for text in ([value] if equals else following) if text)
    if environ.get(USER_SECRETS_PREFIX):
        yield environ[USER_SECRETS_PREFIX]


def _parts(value: str) -> Iterator[str]:
    """``value``, and its part after a header's scheme (``Bearer``)."""
    yield value
    yield value.partition(" ")[2].strip()


def _in_urls(text: str) -> Iterator[str]:
    """Passwords and secret parameters of the URLs in ``text``, both encoded and decoded."""
    for password in _PASSWORD.findall(text):
        yield from (password, unquote(password))
    for _, name, value in _PAIR.findall(text):
        if suggests_secret(name):
            yield from (value, unquote(value))


def _forms(value: str) -> Iterator[str]:
    """``value`` in each form in which it may be printed; for one of several lines, such as a private key, also each
    long line."""
    lines = [line for line in value.splitlines() if len(line) >= 4 * SHORTEST]
    for text in (value, *(lines if "\n" in value else ())):
        yield from (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1])
        yield quote(text, safe="")
