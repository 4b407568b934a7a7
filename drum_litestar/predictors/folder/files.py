"""Files of a model folder that are known by their names: ``custom.py``, the artifact, the moderation configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from drum_litestar.errors import ModelLoadError

CUSTOM_FILE: Final = "custom.py"
MODERATION_FILE: Final = "moderation_config.yaml"
PYTHON_INTRO: Final = "\n\nRunning environment language: Python.\n"
"""Begins DRUM's texts about a Python folder that cannot be loaded."""
OTHER_SUFFIXES: Final = (".joblib", ".pickle", ".bst", ".ubj")
"""Of artifacts that DRUM does not load: they count in a folder without one of DRUM's. So does XGBoost's ``.json``."""
_JSON: Final = ".json"
_BOOSTER: Final = re.compile(rb'\s*\{\s*"learner"\s*:')
"""How XGBoost's JSON begins."""


def find_custom(code_dir: Path) -> Path | None:
    """The ``custom.py`` anywhere below ``code_dir``. Raises ModelLoadError for several."""
    found = sorted(path for path in code_dir.rglob(CUSTOM_FILE) if path.is_file())
    if len(found) > 1:
        raise ModelLoadError(f"Found too many custom hook files: {found}")
    return found[0] if found else None


def is_other_artifact(path: Path) -> bool:
    """``path`` is an artifact by a suffix that DRUM does not load. Reads the start of ``.json`` files.

    Raises OSError.
    """
    suffix = path.suffix.lower()
    if suffix == _JSON and path.is_file():
        with path.open("rb") as file:
            return _BOOSTER.match(file.read(256)) is not None
    return suffix in OTHER_SUFFIXES


def find_artifact(code_dir: Path, suffixes: list[str]) -> Path:
    """The only file directly in ``code_dir`` with one of the lower-case ``suffixes``; without any, the only other
    artifact; without any, and without ``custom.py``, the only one below ``code_dir``, hidden folders left out.

    Raises ModelLoadError with DRUM's texts for none and for several (contract, 4.3).
    """
    names = sorted(path.name for path in code_dir.iterdir())
    found = [code_dir / name for name in names if Path(name).suffix.lower() in suffixes]
    if not found:
        found = [code_dir / name for name in names if is_other_artifact(code_dir / name)]
    if not found and find_custom(code_dir) is None:
        below = [path for path in sorted(code_dir.rglob("*")) if not _is_hidden(path.relative_to(code_dir))]
        nested = [path for path in below if path.suffix.lower() in suffixes or is_other_artifact(path)]
        found = nested if len(nested) == 1 else []
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
    return found[0]


def _is_hidden(path: Path) -> bool:
    """Below a hidden folder: a volume of Kubernetes has its files there a second time."""
    return any(part.startswith(".") for part in path.parts)
