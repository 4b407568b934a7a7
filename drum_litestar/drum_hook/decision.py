"""Which server a ``drum ...`` command line means: ours or DRUM's own.

Read from the same places as DRUM reads its server type, but without importing DRUM: the runtime parameter's variable,
then ``--runtime-params-file``, then the default in ``model-metadata.yaml``.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from drum_litestar.settings import runtime_params

SWITCH = "DRUM_LITESTAR_HOOK"
SERVER_TYPE = "DRUM_SERVER_TYPE"
OUR_SERVER_TYPES = frozenset({"litestar", "fastapi", "uvicorn"})
"""Every one of these means this backend: they are the names that DRUM's plans used for it."""

GUIDE = "docs/migrating-extensions.md"


class Choice(NamedTuple):
    """``ours`` with ``error``: our server is asked for and cannot serve this folder, nor can DRUM."""

    ours: bool
    warning: str = ""
    error: str = ""


def hook_enabled(environ: Mapping[str, str] = os.environ) -> bool:
    """False when ``DRUM_LITESTAR_HOOK`` is ``0``, ``false``, ``no`` or ``off``."""
    return environ.get(SWITCH, "1").strip().lower() not in {"0", "false", "no", "off"}


def decide(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Choice:
    """The choice for ``drum <arguments>``. Only ``server`` without ``--docker`` is ever ours."""
    if not arguments or arguments[0] != "server":
        return Choice(ours=False)
    options = _options(arguments[1:], environ)
    if options.docker or not _asks_for_us(options, environ):
        return Choice(ours=False)
    return _extension_choice(Path(options.code_dir)) if options.code_dir else Choice(ours=True)


def _options(arguments: Sequence[str], environ: Mapping[str, str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("-cd", "--code-dir", default=environ.get("CODE_DIR"))
    parser.add_argument("--runtime-params-file", default=environ.get("RUNTIME_PARAMS_FILE"))
    parser.add_argument("--docker", nargs="?", const="", default=None)
    options, _ = parser.parse_known_args([word for word in arguments if word not in {"-h", "--help"}])
    return argparse.Namespace(
        code_dir=options.code_dir,
        runtime_params_file=options.runtime_params_file,
        docker=options.docker is not None,
    )


def _asks_for_us(options: argparse.Namespace, environ: Mapping[str, str]) -> bool:
    candidates = [
        lambda: runtime_params.read_bare(environ.get(runtime_params.variable(SERVER_TYPE))),
        lambda: _from_values_file(options.runtime_params_file),
        lambda: _metadata_default(options.code_dir),
    ]
    if options.runtime_params_file:  # DRUM's loader overwrites the variable with the file's value
        candidates = [candidates[1], candidates[2], candidates[0]]
    for read in candidates:
        value = read()
        if value is not None:
            return str(value).strip().lower() in OUR_SERVER_TYPES
    return False


def _yaml(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None  # whoever reads the file next, DRUM or we, says what is wrong with it


def _from_values_file(path: str | None) -> Any:
    values = _yaml(Path(path)) if path else None
    return values.get(SERVER_TYPE) if isinstance(values, dict) else None


def _metadata_default(code_dir: str | None) -> Any:
    metadata = _yaml(Path(code_dir) / "model-metadata.yaml") if code_dir else None
    definitions = metadata.get("runtimeParameterDefinitions") if isinstance(metadata, dict) else None
    for definition in definitions if isinstance(definitions, list) else []:
        if isinstance(definition, dict) and definition.get("fieldName") == SERVER_TYPE:
            return definition.get("defaultValue")
    return None


def _extension_choice(code_dir: Path) -> Choice:
    """A folder that extends DRUM's Flask application needs DRUM's own server, until it is migrated."""
    if any(code_dir.rglob("custom_litestar.py")) or not any(code_dir.rglob("custom_flask.py")):
        return Choice(ours=True)
    problem = drum_problem()
    if problem is None:
        return Choice(
            ours=False,
            warning=f"{code_dir} holds custom_flask.py and no custom_litestar.py: DRUM's own server is used. "
            f"How to migrate it: {GUIDE}",
        )
    return Choice(
        ours=True,
        error=f"ERROR: {code_dir} holds custom_flask.py, which only DRUM's own server can load, and datarobot-drum "
        f"cannot be imported here: {problem}. Migrate the file to custom_litestar.py ({GUIDE}).",
    )


def drum_problem() -> str | None:
    """Why DRUM's server cannot be imported in this environment; None when it can."""
    try:
        importlib.import_module("datarobot_drum.drum.drum")
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
