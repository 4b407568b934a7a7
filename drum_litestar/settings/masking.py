"""What is secret, and how it is kept out of everything that is shown: logs, ``/stats/``, error texts, tables.

Two ways, because each alone fails. By structure: what stands behind an option, a variable or a header whose name says
that it holds a secret, and the user information and such parameters of a URL, whatever the value is. By value: a known
secret is replaced wherever it occurs in a text, but only from :data:`SHORTEST` characters on, because a token ``a``
must not replace every letter a.
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
"""Characters that a value has, at least, to be looked for in texts."""

SECRET_OPTIONS: Final = ("--api-token",)
"""Options of the command line whose value is a secret; argparse takes their unique prefixes, too."""

SECRET_VARIABLES: Final = ("API_TOKEN", "DATAROBOT_API_TOKEN", "MLOPS_API_TOKEN", "DRUM_API_TOKEN")
"""Variables that hold one. So do those whose names say it (:func:`suggests_secret`) and runtime parameters of the
type credential."""

HEADER_VARIABLES: Final = re.compile(r"OTEL_EXPORTER_OTLP_(?:\w+_)?HEADERS")
"""``name=value,...``, each value URL-encoded: keys of a collector."""

REPOSITORY_PREFIX: Final = "MLOPS_REPOSITORY_SECRET_"
USER_SECRETS_PREFIX: Final = "USER_SECRETS_PREFIX"
"""The variable, and the option ``--user-secrets-prefix``: how the variables of user secrets begin."""

SECRET_HEADERS: Final = frozenset(
    ("authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-datarobot-api-key")
)

_PARAMETER: Final = "MLOPS_RUNTIME_PARAM_"
_LAST_WORDS: Final = frozenset(("token", "password", "passwd", "passphrase", "secret", "credential", "apikey"))
_HINTS: Final = ("token", "pass", "pwd", "secret", "credential", "key")
"""One of these is in every name that suggests a secret."""

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
"""Members of a credential that are no secrets; all others are."""


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
    """A command line, of ours or of any other program, with its secrets masked. Its length stays the same."""
    return [masked for _, _, masked in _arguments(words)]


def mask_structure(text: str) -> str:
    """``text`` with the user information and the secret parameters of the URLs in it masked."""
    if "@" in text:
        text = _USER_INFO.sub(f"://{MASK}@", text)
    if "=" in text:
        lower = text.lower()
        if any(word in lower for word in _HINTS):  # much quicker than a look at each parameter
            text = _PAIR.sub(_masked_pair, text)
    return text


def mask_values(text: str, values: Iterable[str]) -> str:
    """``text`` with every one of ``values`` masked. Longer ones must come first: they may contain shorter ones."""
    for value in values:
        if value in text:
            text = text.replace(value, MASK)
    return text


_process_values: tuple[str, ...] = ()


def protect(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """From now on :func:`masked` knows the secrets of this command line and environment, the process's own."""
    global _process_values
    _process_values = known_secrets(arguments, environ)


def protect_more(values: Iterable[str]) -> None:
    """The same for secrets that the process came to know later."""
    global _process_values
    _process_values = _in_order({*_process_values, *(form for value in values for form in _forms(value))})


def masked(text: str) -> str:
    """``text`` without the secrets of this process: what every text goes through that leaves it for people to read."""
    return mask_structure(mask_values(text, _process_values))


def known_secrets(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Every secret that the command line and the environment hold, in each form in which it may be printed (as it is,
    within a JSON or Python string, within a URL), the longest first."""
    found: set[str] = set()
    for value in (*_in_arguments(arguments), *_in_variables(arguments, environ)):
        found.update(_forms(value))
    return _in_order(found)


def _in_order(values: Iterable[str]) -> tuple[str, ...]:
    """Those that are long enough, the longest first."""
    return tuple(sorted((value for value in values if len(value) >= SHORTEST), key=lambda value: (-len(value), value)))


def _arguments(words: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """For each of ``words``: the name that makes it a secret, the secret, and what may be shown."""
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
    """Whether ``option`` is one of ours, which always has a value."""
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
    """The secrets of a runtime parameter, also of one that is malformed."""
    content = _json(text)
    is_object = isinstance(content, dict)
    if suggests_secret(name) or (is_object and content.get("type") == "credential"):
        yield from secret_members(content.get("payload", content) if is_object else content, "" if is_object else text)


def secret_members(content: Any, text: str = "") -> Iterator[str]:
    """The strings of a credential but its harmless members; ``text``, which it was read from, when it is no JSON."""
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
    """``value``, and what follows a header's scheme (``Bearer``) in it."""
    yield value
    yield value.partition(" ")[2].strip()


def _in_urls(text: str) -> Iterator[str]:
    """Passwords and secret parameters of the URLs in ``text``, as they are there and decoded."""
    for password in _PASSWORD.findall(text):
        yield from (password, unquote(password))
    for _, name, value in _PAIR.findall(text):
        if suggests_secret(name):
            yield from (value, unquote(value))


def _forms(value: str) -> Iterator[str]:
    """``value`` as it may be printed. Of one with several lines, such as a private key, each long line by itself."""
    lines = [line for line in value.splitlines() if len(line) >= 4 * SHORTEST]
    for text in (value, *(lines if "\n" in value else ())):
        yield from (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1])
        yield quote(text, safe="")
