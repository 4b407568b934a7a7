"""The module ``multipart`` of Litestar beside real distributions with that name, each time in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from drum_litestar.name_clashes import OWN_MODULES
from support.environments.same_names import pip_target, site_without
from support.servers.backends import ROOT
from support.servers.process import clean_environment

SERVER = ("-m", "drum_litestar", "server", "-cd", ".", "--target-type", "regression", "--address", "127.0.0.1:1")
Put = Callable[[Path, Path], str]
"""Puts a module into a folder of the path, and returns its part of the error text."""

LITESTAR_ALONE = "cannot import name 'MultipartSegment' from 'multipart'"


@pytest.fixture(scope="module")
def bare_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of this environment without ``multipart``."""
    return site_without(tmp_path_factory.mktemp("bare") / "site", "multipart")


def python(*words: str, path: list[Path], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env=clean_environment({"PYTHONPATH": ":".join(map(str, [*path, ROOT]))}),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


IMPORTED = """
import sys
{first}
before = sys.modules.get("multipart")
import drum_litestar.http.app
from drum_litestar.http.forms import PushMultipartParser
assert sys.modules["litestar._multipart"].PushMultipartParser is PushMultipartParser
assert sys.modules.get("multipart") is before
import drum_litestar.tools.compare.documents
assert sys.modules.get("multipart") is before
print(sys.modules[PushMultipartParser.__module__].__file__ if before else None)
import multipart
print(multipart.__file__)
from {parser} import FormParser
"""


def test_requirement_is_the_packages() -> None:
    """The error names the requirement of ``pyproject.toml``."""
    assert {own.requirement for own in OWN_MODULES} <= set(metadata.requires("drum-litestar") or ())


def test_litestar_alone_fails(python_multipart: Path) -> None:
    """Guards the tests below."""
    assert LITESTAR_ALONE in python("-c", "import litestar", path=[python_multipart]).stderr


@pytest.mark.parametrize("first", ["", "import multipart, multipart.multipart"], ids=["absent", "imported before"])
def test_the_name_keeps_the_other_module(python_multipart: Path, first: str) -> None:
    code = IMPORTED.format(first=first, parser="multipart.multipart")
    done = python("-W", "error", "-c", code, path=[python_multipart])
    assert done.stdout.splitlines()[-1:] == [str(python_multipart / "multipart" / "__init__.py")], done.stderr


RELEASES = ["0.0.6", "0.0.12", "0.0.13", "0.0.20", "0.0.34"]
OWN_RELEASES = ["1.2.0", "1.3.1", "2.0.1"]


@pytest.mark.slow
@pytest.mark.parametrize("own", OWN_RELEASES)
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("last", ["python-multipart", "own"])
def test_both_in_one_folder(tmp_path: Path, release: str, own: str, last: str) -> None:
    """In any order of installation. From 0.0.13 on python-multipart itself avoids the name."""
    both = [f"multipart=={own}", f"python-multipart=={release}"]
    pip_target(tmp_path, *(both if last == "python-multipart" else both[::-1]))
    old = release in ("0.0.6", "0.0.12")
    first = f"import site; site.addsitedir({str(tmp_path)!r})"  # as site-packages: 0.0.13 has a .pth file
    code = IMPORTED.format(first=first, parser="multipart.multipart" if old else "python_multipart")
    done = python("-W", "error", "-c", code, path=[tmp_path])
    expected = tmp_path / "multipart" / "__init__.py" if old else tmp_path / "multipart.py"
    assert done.stdout.splitlines()[-1:] == [str(expected)], done.stderr
    assert done.stderr == ""


def test_old_release_of_the_own_module_is_skipped(tmp_path: Path) -> None:
    """An old release that is first on the path, installed for another program."""
    pip_target(tmp_path, "multipart==0.2.5")
    code = IMPORTED.format(first="", parser="collections").replace("FormParser", "OrderedDict")
    done = python("-W", "error", "-c", code, path=[tmp_path])
    assert done.stdout.splitlines()[-1:] == [str(tmp_path / "multipart.py")], done.stderr


def test_file_of_that_name_in_the_current_folder(tmp_path: Path) -> None:
    """``python -m`` has that folder on the path; the file is the user's, and is not run."""
    (tmp_path / "multipart.py").write_text("raise SystemExit('this file was executed')\n")
    done = python("-m", "drum_litestar", "check", "--json", path=[], cwd=tmp_path)
    topics = {finding["topic"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert topics["drum-litestar"]["level"] == "ok"
    assert topics["multipart"]["level"] == "info"
    assert topics["multipart"]["found"] == str(tmp_path / "multipart.py")


def test_check_names_the_clash(python_multipart: Path) -> None:
    done = python("-m", "drum_litestar", "check", "--json", path=[python_multipart])
    report = json.loads(done.stdout)
    (finding,) = [finding for finding in report["findings"] if finding["topic"] == "multipart"]
    version, own = metadata.version("multipart"), Path(sysconfig.get_path("purelib")) / "multipart.py"
    assert report["ok"]
    assert finding["text"] == (
        f"Python finds {python_multipart}/multipart/__init__.py of python-multipart 0.0.6, and so does the model's "
        f"code; the server takes {own} of multipart {version} all the same"
    )
    assert not [each for each in report["findings"] if each["topic"] == "modules"]


def put_nothing(folder: Path, python_multipart: Path) -> str:
    return "but there is none"


def put_python_multipart(folder: Path, python_multipart: Path) -> str:
    (folder / "multipart").symlink_to(python_multipart / "multipart")
    name = "python_multipart-0.0.6.dist-info"
    (folder / name).symlink_to(python_multipart / name)
    return f"but Python finds {folder}/multipart/__init__.py of python-multipart 0.0.6"


def put_other_module(folder: Path, python_multipart: Path) -> str:
    (folder / "multipart.py").write_text("def split(body): return body.split()\n")
    return f"but Python finds {folder}/multipart.py"


def put_empty_folder(folder: Path, python_multipart: Path) -> str:
    (folder / "multipart").mkdir()
    return f"but Python finds {folder}/multipart"


def put_broken(folder: Path, python_multipart: Path) -> str:
    _put_metadata(folder)
    (folder / "multipart.py").write_text("class MultipartSegment:\n")
    return f"but {folder}/multipart.py cannot be imported (IndentationError: expected an indented block"


def put_partial(folder: Path, python_multipart: Path) -> str:
    _put_metadata(folder)
    (folder / "multipart.py").write_text("class MultipartError(ValueError): ...\n")
    return (
        f"but {folder}/multipart.py lacks MultipartSegment, ParserError, ParserLimitReached, PushMultipartParser, "
        "parse_options_header"
    )


def put_metadata_alone(folder: Path, python_multipart: Path) -> str:
    _put_metadata(folder)
    return "but there is none"


def _put_metadata(folder: Path) -> None:
    name = f"multipart-{metadata.version('multipart')}.dist-info"
    (folder / name).symlink_to(Path(sysconfig.get_path("purelib")) / name)


@pytest.mark.parametrize(
    "put",
    [
        put_nothing,
        put_python_multipart,
        put_other_module,
        put_empty_folder,
        put_broken,
        put_partial,
        put_metadata_alone,
    ],
)
def test_neither_kind(tmp_path: Path, python_multipart: Path, bare_site: Path, put: Put) -> None:
    """One line with the module that was found and the repairing command; exit code 1."""
    there = put(tmp_path, python_multipart)
    done = python("-S", *SERVER, path=[tmp_path, bare_site])
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("drum-litestar: error: the server needs the module 'multipart' of the package ")
    assert there in line
    assert line.endswith(f"with: {sys.executable} -m pip install --force-reinstall --no-deps 'multipart>=1.3.1'")


def test_check_is_blocked_by_neither_kind(tmp_path: Path, bare_site: Path, python_multipart: Path) -> None:
    there = put_python_multipart(tmp_path, python_multipart)
    done = python("-S", "-m", "drum_litestar", "check", "--json", path=[tmp_path, bare_site])
    (finding,) = [each for each in json.loads(done.stdout)["findings"] if each["level"] == "blocking"]
    assert done.returncode == 1
    assert finding["topic"] == "drum-litestar"
    assert finding["text"].startswith("the server needs the module 'multipart'")
    assert there in finding["text"]


def test_hidden_module_is_named(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("")
    hidden = f"{tmp_path}/click.py hides the module 'click' of click {metadata.version('click')}: rename it, or"
    done = python(*SERVER, path=[], cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("drum-litestar: error: the server cannot be imported: ")
    assert hidden in line
    done = python("-m", "drum_litestar", "check", "--json", path=[], cwd=tmp_path)
    findings = json.loads(done.stdout)["findings"]
    assert {"drum-litestar"} == {each["topic"] for each in findings if each["level"] == "blocking"}
    (finding,) = [each for each in findings if each["topic"] == "modules"]
    assert finding["level"] == "warning"
    assert hidden in finding["text"]
