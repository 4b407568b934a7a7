"""Decision which server a ``drum ...`` command line runs: this backend or DRUM's own.

DRUM is not imported. The server type is read from DRUM's own sources, the runtime parameter's variable, which
``--runtime-params-file`` overwrites (contract, 2.4), and also from the plain variable ``DRUM_SERVER_TYPE`` and, without
that file, from the default in ``model-metadata.yaml``. Where none of them names a server, the environment's default
decides: DRUM's own, or this backend after ``drum-litestar hook enable --default``.
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
from drum_litestar.settings.boolean_words import hook_allowed
from drum_litestar.settings.runtime_params import parameters as runtime_params
from drum_litestar.settings.runtime_params.parameters_file import METADATA_FILE

SWITCH = "DRUM_LITESTAR_HOOK"
SERVER_TYPE = "DRUM_SERVER_TYPE"
OUR_SERVER_TYPES = frozenset({"litestar", "fastapi", "uvicorn"})
"""Server types that select this backend."""
DRUM_SERVER_TYPES = frozenset({"gunicorn", "werkzeug", "flask"})


class Decision(NamedTuple):
    """The decision. ``notice`` is printed for the operator before either server starts."""

    litestar: bool
    notice: str = ""


def hook_enabled(environ: Mapping[str, str] = os.environ) -> bool:
    """False when ``DRUM_LITESTAR_HOOK`` is ``0``, ``false``, ``no`` or ``off``."""
    return hook_allowed(environ.get(SWITCH, ""))


def decide(arguments: Sequence[str], environ: Mapping[str, str] = os.environ, *, default: bool = False) -> Decision:
    """Decide for ``drum <arguments>``. This backend runs only ``server`` without ``--docker``.

    ``default``: this backend is the environment's default, used unless a server type of DRUM's is named.
    """
    if not arguments or arguments[0] != "server":
        return Decision(litestar=False)
    options = _options(arguments[1:], environ)
    if options.docker is not None:
        return Decision(litestar=False)
    declared = _Declared.read(options)
    choice = _choose(declared, options, environ, default)
    text = "" if choice.litestar else declared.drum_warning(environ)
    return choice._replace(notice="\n".join(filter(None, [choice.notice, text])))


def _choose(declared: _Declared, options: argparse.Namespace, environ: Mapping[str, str], default: bool) -> Decision:
    try:
        server_type = declared.server_type(environ)
    except runtime_params.RuntimeParameterError as error:
        text = f"WARNING: runtime parameter {SERVER_TYPE} cannot be read, DRUM's own server is used: {error}"
        return Decision(litestar=False, notice=text)
    if server_type in DRUM_SERVER_TYPES:
        return Decision(litestar=False, notice=_deprecation(server_type) if default else "")
    if not default and server_type not in OUR_SERVER_TYPES:
        return Decision(litestar=False)
    if held := _flask_folder(options):
        return Decision(
            litestar=False, notice=f"WARNING: {held}: DRUM's own server is used. How to migrate it: {MIGRATING}"
        )
    if not server_type or server_type in OUR_SERVER_TYPES:
        return Decision(litestar=True)
    known = ", ".join([*sorted(OUR_SERVER_TYPES), *sorted(DRUM_SERVER_TYPES)])
    text = f"WARNING: {SERVER_TYPE}={server_type} is not known (known: {known})"
    return Decision(litestar=True, notice=f"{text}: drum-litestar, the default of this environment, is used")


def remedy(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """Hint how to serve ``drum <arguments>`` where DRUM cannot be imported; empty where DRUM's server is requested."""
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
    """Reason why only DRUM's own server can load the model folder; empty when there is none."""
    if options.code_dir and needs_flask(Path(options.code_dir)):
        return f"{options.code_dir} holds {FLASK_FILE} and no {FILE}"
    return ""


class _Declared(NamedTuple):
    """Server type in ``model-metadata.yaml`` and the file of runtime parameters.

    ``definition`` is the server type's entry in the metadata, None without one. ``values`` is the content of the
    parameters' file where it replaces the variable, else None. Unreadable files count as absent: the server that runs
    reports them.
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

    def drum_warning(self, environ: Mapping[str, str]) -> str:
        """Warning for a variable with a bare word, which only this backend reads and DRUM's own server rejects."""
        name = runtime_params.variable(SERVER_TYPE)
        text = environ.get(name)
        if self.values is not None or text is None or text.strip().startswith("{"):
            return ""  # a malformed object has a warning of its own
        word = runtime_params.read_bare(text) or "gunicorn"
        wanted = json.dumps({"type": "string", "payload": str(word)}, separators=(",", ":"))
        return f"WARNING: DRUM's own server takes {name} as JSON only and refuses '{text}': set it to '{wanted}'"

    def _server_types(self, environ: Mapping[str, str]) -> Iterator[Any]:
        # DRUM overwrites the variable with the file's value, the default or null; undeclared names are dropped.
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
    import yaml  # imported here, because most starts have no such file

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
    """The options that the decision needs, or the variables that replace them. The server reports other errors."""
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
