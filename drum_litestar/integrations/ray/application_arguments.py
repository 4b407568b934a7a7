"""Arguments of a Serve application: options and settings of ``drum-litestar server``, and what Ray needs to know.

They become a command line and environment variables, which the command's own code resolves.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from drum_litestar.cli.argument_checks import Refusal, check_arguments
from drum_litestar.cli.argument_parser import Parser
from drum_litestar.cli.argument_types import directory, existing_file, labels_file
from drum_litestar.cli.environment_arguments import TEXTS
from drum_litestar.cli.server_arguments import add_server_arguments
from drum_litestar.cli.server_command import environment_options
from drum_litestar.documentation import RAY
from drum_litestar.errors import StartupError, UsageError
from drum_litestar.launcher.plan import LaunchPlan, make_plan
from drum_litestar.settings.boolean_words import boolean_word
from drum_litestar.settings.declaration import declared
from drum_litestar.settings.notices import Notice, warning
from drum_litestar.settings.runtime_params.parameters import PREFIX
from drum_litestar.settings.server_settings import ServerSettings

PROGRAM: Final = "drum_litestar.integrations.ray:build"
NOWHERE: Final = "127.0.0.1:8080"
"""``--address`` of a replica, which does not listen."""

ALIASES: Final[Mapping[str, str]] = {"workers": "max_workers"}
OF_RAY: Final = ("name", "num_replicas", "num_cpus", "num_gpus")
"""Options of the deployment; a Serve config has these and all others below ``deployments``."""
VARIABLES: Final = ("TARGET_NAME", "DRUM_SETTINGS_STRICT")
"""Variables that the server reads and that are neither options nor settings."""

_LISTENS: Final = "Ray's proxy listens (http_options of the Serve config)"
WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "ADDRESS", "DRUM_PROBE_ADDRESS", "DRUM_GRPC_ADDRESS", "DRUM_SERVER_TYPE", "FORWARDED_ALLOW_IPS",
            "DRUM_UVICORN_KEEP_ALIVE", "DRUM_UVICORN_HEADER_TIMEOUT", "DRUM_UVICORN_BODY_TIMEOUT",
            "DRUM_UVICORN_LIMIT_CONCURRENCY", "DRUM_WEBSERVER_BACKLOG", "DRUM_MAX_REQUEST_HEAD_SIZE",
            "DRUM_SSL_CERTFILE", "DRUM_SSL_KEYFILE", "DRUM_SSL_KEYFILE_PASSWORD", "DRUM_SSL_VERSION",
            "DRUM_SSL_CERT_REQS", "DRUM_SSL_CA_CERTS", "DRUM_SSL_CIPHERS",
        ),
        _LISTENS,
    ),
    "DRUM_LAME_DUCK": "Ray takes a replica out of its routers before it stops it",
    "DRUM_UVICORN_LOOP": "Ray makes the event loop",
    "DRUM_UVICORN_LOG_LEVEL": "no uvicorn of this server's runs",
    "DRUM_JSON_LOGGING": "logs are Ray's (logging_config of the Serve config: encoding JSON)",
}  # fmt: skip
"""Settings of the server that change nothing in a replica, by their first name, and why."""

_PATHS: Final = (directory, existing_file, labels_file)


class Arguments(msgspec.Struct, frozen=True):
    """What :func:`read_arguments` makes of an application's arguments; goes to each replica."""

    tokens: tuple[str, ...]
    """The command line of ``server``, without ``--address``."""
    environment: dict[str, str]
    """Settings and runtime parameters as variables, for the replica and its model workers."""
    deployment: dict[str, Any]
    """Those of :data:`OF_RAY`."""


class ArgumentParser(Parser):
    """The parser of ``server``, which raises UsageError where a command would print and exit."""

    def __init__(self) -> None:
        super().__init__(prog=PROGRAM, add_help=False)
        add_server_arguments(self, required=False)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def read_arguments(args: Mapping[str, Any]) -> Arguments:
    """Sort ``args``: options as ``code_dir`` or ``code-dir``, settings and runtime parameters by their names.

    Values are text, as ``serve run`` passes them, or what YAML makes of them. Raises UsageError for an unknown name,
    with the nearest known one, and for one that has no effect in Ray.
    """
    tokens: list[str] = []
    environment: dict[str, str] = {}
    deployment: dict[str, Any] = {}
    options, settings = _options(), _settings()
    for given, value in args.items():
        key = given.lower().replace("-", "_")
        key = ALIASES.get(key, key)
        name = given.upper()
        if value is None:
            continue
        if reason := WITHOUT_EFFECT.get(settings.get(name, "")):
            raise UsageError(f"{given} has no effect in Ray Serve: {reason}. See {RAY}")
        if key in OF_RAY:
            deployment[key] = value
        elif key in options:
            tokens += _tokens(given, options[key], value)
        elif name in settings or name in VARIABLES or name.startswith(PREFIX):
            environment[name] = _text(value)
        else:
            raise UsageError(f"unknown argument {given}{_hint(given)}")
    return Arguments(tuple(tokens), environment, deployment)


def plan_of(arguments: Arguments, environ: MutableMapping[str, str], *, loads: bool = True) -> LaunchPlan:
    """The launch plan, by the code that ``server`` uses; ``environ`` has the environment of ``arguments``.

    Without ``loads`` the plan is only looked at: folders and files that are not on this node are left out.
    Raises StartupError.
    """
    parser = ArgumentParser()
    given = [*arguments.tokens, f"--address={NOWHERE}"]
    if not loads:
        given = [token for token in given if not _is_absent(parser, token)]
        absent = {
            name for option, names in TEXTS for name in names if _is_absent(parser, f"{option}={environ.get(name)}")
        }
        environ = {name: value for name, value in environ.items() if name not in absent}
    added = environment_options(parser, given, environ)
    args = parser.parse_args([*given, *added])
    if args.code_dir is None:
        if loads or not any(token.startswith("--code-dir=") for token in arguments.tokens):
            raise UsageError("code_dir is required: the folder of the model, on every node or in working_dir")
        args.code_dir = str(Path.cwd())
    args.parser = parser
    args.from_environment = frozenset(token.partition("=")[0] for token in added)
    try:
        check_arguments(args)
    except Refusal as refusal:
        raise StartupError(refusal.text) from None
    plan = make_plan(args, environ, ("drum-litestar", "server", *given, *added))
    return msgspec.structs.replace(plan, notices=(*plan.notices, *_notices(environ)))


def _notices(environ: Mapping[str, str]) -> Iterator[Notice]:
    """A warning for each variable of the node that changes nothing in a replica."""
    for name, first in _settings().items():
        if environ.get(name) and first in WITHOUT_EFFECT and first != "ADDRESS":
            yield warning(f"environment variable {name} has no effect in Ray Serve: {WITHOUT_EFFECT[first]}")


@lru_cache(maxsize=1)
def _options() -> dict[str, argparse.Action]:
    """The options by argument: the long name with underscores."""
    found = {action.option_strings[-1].lstrip("-"): action for action in ArgumentParser().arguments}
    return {name.replace("-", "_"): action for name, action in found.items()}


@lru_cache(maxsize=1)
def _settings() -> dict[str, str]:
    """The first name of each setting, by all its names."""
    return {name: setting.option.name for setting in declared(ServerSettings) for name in setting.option.names()}


def _tokens(given: str, action: argparse.Action, value: Any) -> Sequence[str]:
    option = action.option_strings[-1]
    if action.nargs == 0:
        flag = value if isinstance(value, bool) else boolean_word(str(value))
        if flag is None:
            raise UsageError(f"{given}: value can't be converted to Bool: '{value}' (allowed: true, false)")
        return (option,) if flag else ()
    if action.nargs == "+":
        words = value.split() if isinstance(value, str) else [str(each) for each in value]
        return (option, *words)
    return (f"{option}={value}",)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _is_absent(parser: Parser, token: str) -> bool:
    """Whether ``token`` is an option with a path that this node does not have."""
    name, _, value = token.partition("=")
    action = next((each for each in parser.arguments if name in each.option_strings), None)
    return action is not None and action.type in _PATHS and not Path(value).exists()


def _hint(name: str) -> str:
    known = {each.lower(): each for each in (*OF_RAY, *ALIASES, *_options(), *_settings(), *VARIABLES)}
    close = get_close_matches(name.lower().replace("-", "_"), known, n=1)
    return f"; did you mean {known[close[0]]}?" if close else f". {RAY} lists them"
