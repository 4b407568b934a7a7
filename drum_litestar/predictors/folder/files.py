"""Files of a model folder that are known by their names: ``custom.py``, the artifact, the moderation configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from drum_litestar.errors import ModelLoadError

CUSTOM_FILE: Final = "custom.py"
MODERATION_FILE: Final = "moderation_config.yaml"
PYTHON_INTRO: Final = "\n\nRunning environment language: Python.\n"
"""Begins DRUM's texts about a Python folder that cannot be loaded."""


def find_custom(code_dir: Path) -> Path | None:
    """The ``custom.py`` anywhere below ``code_dir``. Raises ModelLoadError for several."""
    found = sorted(path for path in code_dir.rglob(CUSTOM_FILE) if path.is_file())
    if len(found) > 1:
        raise ModelLoadError(f"Found too many custom hook files: {found}")
    return found[0] if found else None


def find_artifact(code_dir: Path, suffixes: list[str], otherwise: str = "") -> Path:
    """The only file directly in ``code_dir`` with one of the lower-case ``suffixes``; without any, the only one with
    the suffix ``otherwise``.

    Raises ModelLoadError with DRUM's texts for none and for several (contract, 4.3).
    """
    names = sorted(path.name for path in code_dir.iterdir())
    found = [name for name in names if Path(name).suffix.lower() in suffixes]
    if not found:
        found = [name for name in names if otherwise and Path(name).suffix.lower() == otherwise]
    listed = f"List of retrieved files are: {' | '.join(names)}"
    if not found:
        raise ModelLoadError(
            f"{PYTHON_INTRO}Could not find model artifact file in: {code_dir} supported by default predictors.\n"
            f"They support filenames with the following extensions {suffixes}.\n"
            f"If your artifact is not supported by default predictor, implement custom.load_model() hook.\n{listed}"
        )
    if len(found) > 1:
        raise ModelLoadError(
            f"{PYTHON_INTRO}Multiple serialized model files found. "
            f"Remove extra artifacts or overwrite custom.load_model()\n{listed}"
        )
    return code_dir / found[0]
