"""Which server a ``drum ...`` command line means: ours or DRUM's own.

Read without importing DRUM, from the places that DRUM reads its server type from: the runtime parameter's variable,
which ``--runtime-params-file`` overwrites (contract, 2.4). Added are the plain variable ``DRUM_SERVER_TYPE`` and the
default in ``model-metadata.yaml`` where the file is not given.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from drum_litestar.extensions import FILE, FLASK_FILE, GUIDE, needs_flask
from drum_litestar.settings import runtime_params
from drum_litestar.settings.runtime_params_file import METADATA_FILE

SWITCH = "DRUM_LITESTAR_HOOK"
SERVER_TYPE = "DRUM_SERVER_TYPE"
OUR_SERVER_TYPES = frozenset({"litestar", "fastapi", "uvicorn"})
"""Every one of these means this backend: they are the names that DRUM's plans used for it."""


class Choice(NamedTuple):
    """``warning`` is for the operator when DRUM's server is used although ours was asked for; ``only_drum_can`` then
    says why ours cannot serve, for the case that DRUM's is out of order."""

    ours: bool
    warning: str = ""
    only_drum_can: str = ""


def hook_enabled(environ: Mapping[str, str] = os.environ) -> bool:
    """False when ``DRUM_LITESTAR_HOOK`` is ``0``, ``false``, ``no`` or ``off``."""
    return environ.get(SWITCH, "1").strip().lower() not in {"0", "false", "no", "off"}


def decide(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Choice:
    """The choice for ``drum <arguments>``. Only ``server`` without ``--docker`` is ever ours."""
    if not arguments or arguments[0] != "server":
        return Choice(ours=False)
    options = _options(arguments[1:], environ)
    if options.docker is not None:
        return Choice(ours=False)
    try:
        server_type = asked_server_type(options.code_dir, options.runtime_params_file, environ)
    except runtime_params.RuntimeParameterError as error:
        return Choice(ours=False, warning=f"WARNING: runtime parameter {SERVER_TYPE} cannot be read: {error}")
    if server_type not in OUR_SERVER_TYPES:
        return Choice(ours=False)
    if not options.code_dir or not needs_flask(Path(options.code_dir)):
        return Choice(ours=True)
    held = f"{options.code_dir} holds {FLASK_FILE} and no {FILE}"
    return Choice(
        ours=False,
        warning=f"WARNING: {held}: DRUM's own server is used. How to migrate it: {GUIDE}",
        only_drum_can=f"{held}. Only DRUM's own server can load it; migrate it ({GUIDE})",
    )


def asked_server_type(code_dir: str | None, runtime_params_file: str | None, environ: Mapping[str, str]) -> str | None:
    """The server type in lower case; None when nothing names one.

    Files that cannot be read count as absent: whichever server runs says what is wrong with them. Raises
    RuntimeParameterError for a variable with malformed JSON.
    """
    for value in _server_types(code_dir, runtime_params_file, environ):
        if value is not None:
            return str(value).strip().lower()
    return None


def _server_types(code_dir: str | None, values_file: str | None, environ: Mapping[str, str]) -> Iterator[Any]:
    definition = _definition(code_dir)
    values = _yaml(Path(values_file)) if values_file else None
    # DRUM writes what the file says, or the default, or null over the variable; undeclared names are dropped.
    if definition is not None and isinstance(values, dict):
        yield values.get(SERVER_TYPE)
    else:
        yield runtime_params.read_bare(environ.get(runtime_params.variable(SERVER_TYPE)))
        yield environ.get(SERVER_TYPE) or None
    yield definition.get("defaultValue") if definition is not None else None


def _definition(code_dir: str | None) -> dict[Any, Any] | None:
    metadata = _yaml(Path(code_dir) / METADATA_FILE) if code_dir else None
    definitions = metadata.get("runtimeParameterDefinitions") if isinstance(metadata, dict) else None
    for definition in definitions if isinstance(definitions, list) else []:
        if isinstance(definition, dict) and definition.get("fieldName") == SERVER_TYPE:
            return definition
    return None


def _yaml(path: Path) -> Any:
    import yaml  # here, because most starts have no such file

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None


class _BadArgumentsError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _BadArgumentsError(message)


def _options(arguments: Sequence[str], environ: Mapping[str, str]) -> argparse.Namespace:
    """The options that matter here, or the variables that stand in for them. What is wrong with the rest is for the
    server to say."""
    given = argparse.Namespace(
        code_dir=environ.get("CODE_DIR"), runtime_params_file=environ.get("RUNTIME_PARAMS_FILE"), docker=None
    )
    parser = _Parser(add_help=False)
    parser.add_argument("-cd", "--code-dir", default=given.code_dir)
    parser.add_argument("--runtime-params-file", default=given.runtime_params_file)
    parser.add_argument("--docker", nargs="?", const="")
    try:
        return parser.parse_known_args([word for word in arguments if word not in {"-h", "--help"}])[0]
    except _BadArgumentsError:
        return given
