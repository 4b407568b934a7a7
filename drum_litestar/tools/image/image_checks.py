"""What is refused before anything is built: a tag, a folder without a model, requirements that pip could not read."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from drum_litestar.errors import ModelLoadError, StartupError, UsageError
from drum_litestar.predictors.folder.language import PYTHON, detect_language
from drum_litestar.predictors.spec import PredictorSpec

DISTRIBUTION = "drum-litestar"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = re.compile(rf"{_HOST}{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?")
_LONGEST_NAME = 255
_OTHER_FILE = re.compile(r"[./]|(?:-[rce]|--requirement|--constraint|--editable)\b")
_HASH = re.compile(r"\s--hash=\S+")


def check_tag(tag: str) -> None:
    """Raise UsageError for a ``tag`` that builders refuse; they take ``registry.example:5000/team/model:1``."""
    if _TAG.fullmatch(tag) and len(tag.rpartition(":")[0] or tag) <= _LONGEST_NAME:
        return
    raise UsageError(
        f"--tag {tag!r} is no name of an image (allowed: [host[:port]/]name[:version]; the name of lower-case letters, "
        "digits, and single '.', '_' or '-' between them; the version of up to 128 letters, digits, '.', '_', '-')"
    )


def check_folder(folder: Path, *, own_requirements: bool) -> None:
    """Raise StartupError for a folder that no image could serve."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    try:
        language = detect_language(folder, PredictorSpec(code_dir=str(folder)))
    except ModelLoadError as error:
        raise StartupError(f"{folder} has no model that can be served: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise StartupError(f"{folder} cannot be read: {error.strerror}") from error
    if language != PYTHON and not own_requirements:
        raise StartupError(
            f"{folder} is a model in {language}, which DRUM's own predictors serve: name datarobot-drum in its "
            "requirements.txt, and with --base an image that can run that language"
        )


def check_requirements(path: Path) -> None:
    """Read ``path`` as pip would. Raises UsageError with the line that cannot be a requirement, or names another file.

    Other options and URLs are pip's to judge.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8: {error}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    for number, line in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        requirement = _HASH.sub("", re.sub(r"(^|\s)#.*", "", line)).strip()
        if _OTHER_FILE.match(requirement):
            raise UsageError(
                f"{path}, line {number}: {requirement!r} names another file, which the build does not have"
            )
        if not requirement or requirement.startswith("-") or "://" in requirement:
            continue
        try:
            Requirement(requirement)
        except InvalidRequirement as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(f"{path}, line {number}: {requirement!r} is no requirement: {reason}") from error


def wheel_version(path: Path) -> str:
    """The version of this package in the wheel ``path``. Raises UsageError for another file."""
    if not path.is_file():
        raise UsageError(f"--wheel {path} is not a file")
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise UsageError(f"--wheel {path} is not a wheel: {error}") from error
    if canonicalize_name(name) != DISTRIBUTION:
        raise UsageError(f"--wheel {path} is a wheel of {name}, not of {DISTRIBUTION}")
    return str(version)
