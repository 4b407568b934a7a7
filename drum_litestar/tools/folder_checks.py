"""Checks of one model folder: which predictor and which server will run it, and whether they reject it.

The checks that a predictor makes before it runs the model's code are made here by the same functions. They raise
OSError for a folder that cannot be read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from drum_litestar import extensions as extension
from drum_litestar.documentation import MIGRATING
from drum_litestar.drum_hook.decision import decide, remedy
from drum_litestar.drum_hook.hook_command import HookStatus
from drum_litestar.errors import ModelLoadError
from drum_litestar.launcher.predictor_choice import choose_predictor
from drum_litestar.launcher.worker_interpreter import WorkerPython, review_in_workers_python
from drum_litestar.predictors.folder.files import find_custom, is_other_artifact
from drum_litestar.predictors.folder.language import detect_language
from drum_litestar.predictors.folder.metadata import METADATA_FILE
from drum_litestar.predictors.folder.model_folder import read_folder
from drum_litestar.predictors.folder.targets import NO_TARGET_NAME, NO_TARGET_TYPE
from drum_litestar.predictors.native.frameworks.artifacts import SUFFIXES
from drum_litestar.predictors.native.hooks.custom_module import hook_names
from drum_litestar.predictors.native.model_target import model_decides
from drum_litestar.predictors.native.review import review_model
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec
from drum_litestar.tools.environment_checks import DrumState
from drum_litestar.tools.findings import BLOCKING, Finding

MODEL_DECIDES = "the model decides when it is loaded (see it with --load), because nothing names a target type"


def predictor(
    spec: PredictorSpec,
    requested: Literal["auto", "native", "drum"],
    drum: DrumState,
    python: WorkerPython | None = None,
) -> Iterator[Finding]:
    """The folder's language and target, and the predictor that `server` will use. ``python`` and ``drum`` are those of
    the workers."""
    unclear = ""
    try:
        language = detect_language(Path(spec.code_dir), spec)
        yield Finding("language", "ok", language, {"language": language})
    except ModelLoadError as error:
        unclear = str(error)
        yield Finding("language", BLOCKING, unclear.partition("\n")[0])
    target_type = None
    decides = requested != "drum" and model_decides(spec)
    try:
        if decides:
            yield Finding("target", "ok", MODEL_DECIDES, {"target_type": None, "labels": None})
        else:
            folder = read_folder(spec)
            target_type = folder.target_type
            labels = "" if folder.labels is None else f", labels {', '.join(folder.labels)}"
            facts = {"target_type": target_type.value, "labels": folder.labels}
            yield Finding("target", "ok", f"{target_type.value}{labels}", facts)
    except ModelLoadError as error:
        if str(error) != unclear:
            yield Finding("target", BLOCKING, _refusal(error, Path(spec.code_dir)))
    try:
        choice = choose_predictor(spec, requested, python)
    except ModelLoadError as error:
        yield Finding("predictor", BLOCKING, _line(error))
        return
    facts = {"predictor": choice.kind, "reason": choice.reason}
    if choice.kind == "drum" and not drum.works:
        yield Finding("predictor", BLOCKING, f"{choice}, but datarobot-drum cannot be imported: {drum.problem}", facts)
    else:
        yield Finding("predictor", "ok", str(choice), facts)
    if choice.kind == "drum" and decides:
        yield Finding("target", BLOCKING, NO_TARGET_TYPE)
    if choice.kind == "native" and (decides or target_type is not None):
        yield from _native(spec, target_type, python)


def _native(spec: PredictorSpec, target_type: TargetType | None, python: WorkerPython | None) -> Iterator[Finding]:
    """What the native predictor lacks in the folder or the environment; no ``target_type`` where the model decides."""
    try:
        warnings = (
            review_model(spec, target_type) if python is None else review_in_workers_python(python, spec, target_type)
        )
    except ModelLoadError as error:
        yield Finding("model", BLOCKING, _line(error))
    else:
        yield from (Finding("model", "warning", text) for text in warnings)
    if target_type is not None:
        yield from _hooks(Path(spec.code_dir), target_type, own_python=python is None)


def _hooks(code_dir: Path, target_type: TargetType, *, own_python: bool) -> Iterator[Finding]:
    """What ``custom.py`` defines, without importing it. ``own_python``: this Python's syntax is that of the workers."""
    try:
        path = find_custom(code_dir)
    except ModelLoadError:  # several, which is a finding already
        return
    if path is None:
        return
    try:
        defined = _defined_names(ast.parse(path.read_bytes(), path.name))
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        yield Finding("hooks", BLOCKING if own_python else "warning", f"{path}{line}: {text}")
        return
    if defined is None:
        return
    hooks = [name for name in hook_names(target_type) if name in defined]
    if hooks or "CustomTask" in defined:
        yield Finding("hooks", "ok", ", ".join(hooks) or "CustomTask", {"hooks": hooks})
    elif not any(path.suffix.lower() in SUFFIXES or is_other_artifact(path) for path in code_dir.iterdir()):
        text = f"{path} defines none of the hooks, and the folder has no artifact: nothing could answer requests"
        yield Finding("hooks", "warning", text, {"hooks": []})


def _defined_names(tree: ast.Module) -> set[str] | None:
    """Names that are bound at the top level, also below ``if`` and ``try``; None where ``import *`` hides them."""
    names: set[str] = set()
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            bound = {alias.asname or alias.name.partition(".")[0] for alias in node.names}
            if "*" in bound:
                return None
            names |= bound
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        pending.extend(ast.iter_child_nodes(node))
    return names


def _refusal(error: ModelLoadError, code_dir: Path) -> str:
    """The text, with the file that it may speak of."""
    line, metadata = _line(error), code_dir / METADATA_FILE
    named = error.reason == NO_TARGET_NAME or str(metadata) in line
    return f"{line} ({metadata})" if not named and metadata.exists() else line


def _line(error: ModelLoadError) -> str:
    """The text as one line; some of DRUM's have several."""
    return " ".join(str(error).split())


def extensions(code_dir: str, drum: DrumState) -> Iterator[Finding]:
    """Files in the folder that extend the HTTP application."""
    ours, flask, fastapi = (
        extension.extension_files(Path(code_dir), name)
        for name in (extension.FILE, extension.FLASK_FILE, extension.FASTAPI_FILE)
    )
    if len(ours) > 1:
        yield Finding("extension", BLOCKING, f"there may be one {extension.FILE}, not {', '.join(map(str, ours))}")
    elif ours:
        yield Finding("extension", "ok", f"{ours[0]} is loaded", {"file": str(ours[0])})
    if extension.needs_flask(Path(code_dir)):
        served = "`drum server` uses DRUM's own server for it" if drum.works else "DRUM's own server cannot run here"
        text = f"{flask[0]} can be loaded by DRUM's own server only; {served}. How to migrate it: {MIGRATING}"
        yield Finding("extension", "warning" if drum.works else BLOCKING, text, {"file": str(flask[0])})
    elif flask:
        yield Finding("extension", "info", f"{flask[0]} is not loaded: {extension.FILE} takes its place")
    if fastapi:
        text = f"{fastapi[0]} is not supported and not loaded. How to migrate it: {MIGRATING}"
        yield Finding("extension", "warning", text, {"file": str(fastapi[0])})


def drum_server(options: Sequence[str], environ: Mapping[str, str], hook: HookStatus, drum: DrumState) -> Finding:
    """Which server the command `drum server` would run with these options, and whether that one can be imported."""
    command = ["server", *options]
    choice = decide(command, environ, default=hook.default)
    ours = choice.litestar and hook.active
    lost = not ours and not drum.works
    text = "this backend" if ours else "DRUM's own server" + (", which cannot be imported" if lost else "")
    reasons = [f"the hook is {hook.text}" if choice.litestar and not hook.active else choice.notice.partition(": ")[2]]
    if lost and hook.active:
        reasons.append(remedy(command, environ))
    facts = {"backend": "drum-litestar" if ours else "drum", "default": hook.default}
    return Finding("drum server", "warning" if lost else "info", "; ".join(filter(None, [text, *reasons])), facts)
