"""Which server a ``drum ...`` command line means: ours or DRUM's own.

Read without importing DRUM, from the places that DRUM reads its server type from: the runtime parameter's variable,
which ``--runtime-params-file`` overwrites (contract, 2.4). Added are the plain variable ``DRUM_SERVER_TYPE`` and the
default in ``model-metadata.yaml`` where the file is not given. Where none of them names a server, the environment's
default decides: DRUM's own, or ours after ``drum-litestar hook enable --default``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from drum_litestar.documentation import MIGRATING, SWITCHING
from drum_litestar.extensions import FILE, FLASK_FILE, needs_flask
from drum_litestar.settings.runtime_params import parameters as runtime_params
from drum_litestar.settings.runtime_params.parameters_file import METADATA_FILE

SWITCH = "DRUM_LITESTAR_HOOK"
SERVER_TYPE = "DRUM_SERVER_TYPE"
OUR_SERVER_TYPES = frozenset({"litestar", "fastapi", "uvicorn"})
"""Every one of these means this backend: they are the names that DRUM's plans used for it."""
DRUM_SERVER_TYPES = frozenset({"gunicorn", "werkzeug", "flask"})


class Choice(NamedTuple):
    """``notice`` is for the operator, before either server starts."""

    ours: bool
    notice: str = ""


def hook_enabled(environ: Mapping[str, str] = os.environ) -> bool:
    """False when ``DRUM_LITESTAR_HOOK`` is ``0``, ``false``, ``no`` or ``off``."""
    return environ.get(SWITCH, "1").strip().lower() not in {"0", "false", "no", "off"}


def decide(arguments: Sequence[str], environ: Mapping[str, str] = os.environ, *, default: bool = False) -> Choice:
    """The choice for ``drum <arguments>``. Only ``server`` without ``--docker`` is ever ours.

    ``default``: this backend is what ``drum server`` runs in this environment unless a server type of DRUM's is named.
    """
    if not arguments or arguments[0] != "server":
        return Choice(ours=False)
    options = _options(arguments[1:], environ)
    if options.docker is not None:
        return Choice(ours=False)
    declared = _Declared.read(options)
    choice = _choose(declared, options, environ, default)
    text = "" if choice.ours else declared.trouble_for_drum(environ)
    return choice._replace(notice="\n".join(filter(None, [choice.notice, text])))


def _choose(declared: _Declared, options: argparse.Namespace, environ: Mapping[str, str], default: bool) -> Choice:
    try:
        server_type = declared.server_type(environ)
    except runtime_params.RuntimeParameterError as error:
        text = f"WARNING: runtime parameter {SERVER_TYPE} cannot be read, DRUM's own server is used: {error}"
        return Choice(ours=False, notice=text)
    if server_type in DRUM_SERVER_TYPES:
        return Choice(ours=False, notice=_deprecation(server_type) if default else "")
    if not default and server_type not in OUR_SERVER_TYPES:
        return Choice(ours=False)
    if held := _flask_folder(options):
        return Choice(ours=False, notice=f"WARNING: {held}: DRUM's own server is used. How to migrate it: {MIGRATING}")
    if not server_type or server_type in OUR_SERVER_TYPES:
        return Choice(ours=True)
    known = ", ".join([*sorted(OUR_SERVER_TYPES), *sorted(DRUM_SERVER_TYPES)])
    text = f"WARNING: {SERVER_TYPE}={server_type} is not known (known: {known})"
    return Choice(ours=True, notice=f"{text}: drum-litestar, the default of this environment, is used")


def remedy(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """What lets ``drum <arguments>`` serve where DRUM cannot be imported; empty where DRUM's server was asked for."""
    options = _options(arguments[1:], environ)
    if arguments[:1] != ["server"] or options.docker is not None:
        return ""
    declared = _Declared.read(options)
    with contextlib.suppress(runtime_params.RuntimeParameterError):
        if declared.server_type(environ) in DRUM_SERVER_TYPES:
            return ""
    if held := _flask_folder(options):
        return f"{held}. Only DRUM's own server can load it; migrate it ({MIGRATING})"
    if declared.values is not None:
        place = f"{SERVER_TYPE}: litestar in {options.runtime_params_file}"
    else:
        place = f"{runtime_params.variable(SERVER_TYPE)}=litestar"
    return f"drum-litestar can serve here without importing datarobot-drum: set {place}"


def _deprecation(server_type: str) -> str:
    return (
        f"DEPRECATED: {SERVER_TYPE}={server_type} chooses DRUM's own server, where drum-litestar is the default of "
        f"'drum server'. Remove it to use drum-litestar; see {SWITCHING}"
    )


def _flask_folder(options: argparse.Namespace) -> str:
    """What only DRUM's own server can load of the model folder; empty when there is no such thing."""
    if options.code_dir and needs_flask(Path(options.code_dir)):
        return f"{options.code_dir} holds {FLASK_FILE} and no {FILE}"
    return ""


class _Declared(NamedTuple):
    """What ``model-metadata.yaml`` and the file of runtime parameters say.

    ``definition`` is the server type's, None when there is none. ``values`` is what the file holds where it replaces
    the variable, else None. Files that cannot be read count as absent: whichever server runs says what is wrong with
    them.
    """

    definition: dict[Any, Any] | None
    values: dict[Any, Any] | None

    @classmethod
    def read(cls, options: argparse.Namespace) -> _Declared:
        definition, file = _definition(options.code_dir), options.runtime_params_file
        values = _yaml(Path(file)) if file and definition is not None else None
        return cls(definition, values if isinstance(values, dict) else None)

    def server_type(self, environ: Mapping[str, str]) -> str | None:
        """The server type in lower case; None when nothing names one.

        Raises RuntimeParameterError for a variable with malformed JSON.
        """
        for value in self._server_types(environ):
            if value is not None:
                return str(value).strip().lower()
        return None

    def trouble_for_drum(self, environ: Mapping[str, str]) -> str:
        """A warning when DRUM's own server will end with an error because the variable holds a bare word, which only
        this backend reads."""
        name = runtime_params.variable(SERVER_TYPE)
        text = environ.get(name)
        if self.values is not None or text is None or text.strip().startswith("{"):
            return ""  # a malformed object has its warning
        word = runtime_params.read_bare(text) or "gunicorn"
        wanted = json.dumps({"type": "string", "payload": str(word)}, separators=(",", ":"))
        return f"WARNING: DRUM's own server takes {name} as JSON only and refuses '{text}': set it to '{wanted}'"

    def _server_types(self, environ: Mapping[str, str]) -> Iterator[Any]:
        # DRUM writes what the file says, or the default, or null over the variable; undeclared names are dropped.
        if self.values is not None:
            yield self.values.get(SERVER_TYPE)
        else:
            yield runtime_params.read_bare(environ.get(runtime_params.variable(SERVER_TYPE)))
            yield environ.get(SERVER_TYPE) or None
        yield self.definition.get("defaultValue") if self.definition is not None else None


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
