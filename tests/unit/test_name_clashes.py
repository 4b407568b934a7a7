"""The module ``multipart`` of Litestar beside real releases of python-multipart, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.process import clean_environment
from support.servers import ROOT


@pytest.fixture(scope="module")
def old_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with python-multipart 0.0.6."""
    folder = tmp_path_factory.mktemp("python_multipart")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "--target", str(folder), "python-multipart==0.0.6"], check=True, capture_output=True)
    return folder


def python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=clean_environment({"PYTHONPATH": ":".join(map(str, [*path, ROOT]))}),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_clash_is_real(old_release: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    done = python("import litestar", old_release)
    assert "cannot import name 'MultipartSegment' from 'multipart'" in done.stderr


@pytest.mark.parametrize("first", ["", "import multipart, multipart.multipart\n"], ids=["absent", "imported before"])
def test_application_is_imported_and_the_name_stays_the_namesakes(old_release: Path, first: str) -> None:
    code = f"""
import sys
{first}before = sys.modules.get("multipart")
import drum_litestar.http.app
from drum_litestar.http.forms import PushMultipartParser
from litestar import _multipart
assert _multipart.PushMultipartParser is PushMultipartParser
assert sys.modules.get("multipart") is before
from multipart import FormParser
from multipart.multipart import FormParser as Same
assert FormParser is Same
print(sys.modules["multipart"].__file__)
"""
    done = python(code, old_release)
    assert done.stdout.strip() == str(old_release / "multipart" / "__init__.py"), done.stderr
