"""Detection of a model folder's language (contract, 1.7). Imports nothing heavy: the launcher uses it too."""

from __future__ import annotations

from pathlib import Path

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.folder.files import CUSTOM_FILE, is_other_artifact
from drum_litestar.predictors.spec import PredictorSpec

PYTHON = "python"
R = "r"
JAVA = "java"
OTHER = "other"

_SUFFIXES = {
    PYTHON: (".pkl", ".pth", ".h5", ".joblib", ".onnx"),
    R: (".rds",),
    JAVA: (".jar", ".zip", ".java", ".mojo"),
}
_LISTED_FILES = 100


def detect_language(code_dir: Path, spec: PredictorSpec) -> str:
    """``python``, ``r``, ``java`` or ``other``. Raises ModelLoadError when the files are not conclusive."""
    if spec.language:
        return spec.language
    if spec.gpu_predictor:
        return OTHER
    by_artifacts = _by_artifacts(code_dir)
    by_custom = _by_custom(code_dir)
    if by_artifacts is None or by_custom is None or by_artifacts == by_custom:
        language = by_custom or by_artifacts
        if language is not None:
            return language
    raise ModelLoadError(_undetermined(code_dir, by_artifacts, by_custom))


def _by_artifacts(code_dir: Path) -> str | None:
    files = [path for path in code_dir.rglob("*") if path.is_file()]
    suffixes = {path.suffix.lower() for path in files}
    languages = [language for language, own in _SUFFIXES.items() if not suffixes.isdisjoint(own)]
    if not languages and any(map(is_other_artifact, files)):
        return PYTHON
    return languages[0] if len(languages) == 1 else None


def _by_custom(code_dir: Path) -> str | None:
    names = {path.name for path in code_dir.iterdir() if path.is_file()}
    python, r = CUSTOM_FILE in names, not names.isdisjoint(("custom.R", "custom.r"))
    if python == r:
        return None
    return PYTHON if python else R


def _undetermined(code_dir: Path, by_artifacts: str | None, by_custom: str | None) -> str:
    files = sorted(path.name for path in code_dir.iterdir())[:_LISTED_FILES]
    return (
        "Can not detect language by artifacts and/or custom.py/R files.\n"
        f"Detected: language by artifacts - {by_artifacts}; language by custom - {by_custom}.\n"
        "Code directory must have one or more model artifacts belonging to the same language:\n"
        "Python/R/Java, with an extension:\n"
        f"Python models: {list(_SUFFIXES[PYTHON])}\n"
        f"R models: {list(_SUFFIXES[R])}\n"
        f"Java models: {list(_SUFFIXES[JAVA])}.\n"
        "Or one of custom.py/R files.\n\n"
        f"Files(100 first) found in {code_dir}:\n" + "\n".join(files) + "\n"
    )
