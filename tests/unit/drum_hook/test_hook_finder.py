"""The finder on a small package in DRUM's place, in a process of its own, because imports change the process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import drum_litestar

LINE = Path(drum_litestar.__file__).with_name("drum_hook") / "drum_litestar_hook.pth"
ENTRY = """\
import sys
LOADED = sys.modules.setdefault("loads", [])
LOADED.append(__name__)
ANSWER = 42
def run_drum_server(*args, **kwargs):
    "DRUM's own text."
    print("DRUM", sys.argv[1:], args, kwargs)
    return 7
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with the package ``datarobot_drum``."""
    package = tmp_path / "library" / "datarobot_drum" / "drum"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "entry_point.py").write_text(ENTRY)
    return package.parents[1]


def run(
    library: Path, code: str, *arguments: str, default: bool = False, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a process in which the line is active."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DRUM_", "MLOPS_"))}
    line = LINE.read_text().replace("default=False", f"default={default}")
    installed = "[each for each in sys.meta_path if getattr(each, 'name', '') != 'drum_litestar_hook']"
    start = f"import sys; sys.meta_path[:] = {installed}\nexec({line!r})\n"
    return subprocess.run(
        [sys.executable, "-c", start + code, *arguments],
        env={**kept, "PYTHONPATH": str(library), **(env or {})},
        cwd=library,
        capture_output=True,
        text=True,
        check=False,
    )


SCRIPT = "import sys\nfrom datarobot_drum.drum.entry_point import run_drum_server\nsys.exit(run_drum_server())"
LITESTAR = {"MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE": "litestar"}


def test_other_commands_reach_drum(library: Path) -> None:
    done = run(library, SCRIPT, "score", "--x", env=LITESTAR)
    assert (done.returncode, done.stdout, done.stderr) == (7, "DRUM ['score', '--x'] () {}\n", "")


def test_server_reaches_us(library: Path) -> None:
    done = run(library, SCRIPT, "server", "--help", env=LITESTAR)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: drum server -cd CODE_DIR")
    done = run(library, SCRIPT, "server", "--bogus", env=LITESTAR)
    assert done.returncode == 2


def test_broken_drum_does_not_matter_to_us(library: Path) -> None:
    (library / "datarobot_drum" / "drum" / "entry_point.py").write_text("raise OSError('broken')\n")
    assert run(library, SCRIPT, "server", "-h", env=LITESTAR).returncode == 0
    done = run(library, SCRIPT, "score", env=LITESTAR)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "OSError: broken")


def test_module_is_drums_when_looked_at(library: Path) -> None:
    """DRUM's own module is loaded on first access, once; later imports find it."""
    code = """
import sys, importlib
import datarobot_drum.drum.entry_point as entry
assert "loads" not in sys.modules, "too early"
assert entry.__file__.endswith("entry_point.py")
assert not hasattr(entry, "__path__")
assert entry.ANSWER == 42
from datarobot_drum.drum.entry_point import ANSWER, run_drum_server
import datarobot_drum
assert datarobot_drum.drum.entry_point is sys.modules["datarobot_drum.drum.entry_point"] is not entry
assert run_drum_server.__doc__ == "DRUM's own text."
assert entry.run_drum_server(1, a=2) == 7
assert sys.modules["loads"] == ["datarobot_drum.drum.entry_point"]
try:
    entry.NOTHING
except AttributeError:
    print("as it should be")
"""
    done = run(library, code)
    assert done.stdout.endswith("as it should be\n"), done.stderr


def test_failed_load_can_be_repeated(library: Path) -> None:
    (library / "datarobot_drum" / "drum" / "entry_point.py").write_text("raise OSError('broken')\n")
    code = """
import datarobot_drum.drum.entry_point as entry, sys
for _ in range(2):
    try:
        entry.ANSWER
    except OSError:
        print(sys.modules["datarobot_drum.drum.entry_point"] is entry)
"""
    assert run(library, code).stdout == "True\nTrue\n"


def test_run_as_a_module(library: Path) -> None:
    entry = library / "datarobot_drum" / "drum" / "entry_point.py"
    entry.write_text(ENTRY + "if __name__ == '__main__': print('as a module')\n")
    done = run(library, "import runpy; runpy.run_module('datarobot_drum.drum.entry_point', run_name='__main__')")
    assert done.stdout == "as a module\n"


def test_switched_off(library: Path) -> None:
    code = "import datarobot_drum.drum.entry_point, sys; print(len(sys.modules['loads']))"
    assert run(library, code, env={"DRUM_LITESTAR_HOOK": "0"}).stdout == "1\n"


def test_without_such_a_module(library: Path) -> None:
    (library / "datarobot_drum" / "drum" / "entry_point.py").unlink()
    done = run(library, "import datarobot_drum.drum.entry_point")
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'datarobot_drum.drum.entry_point'\n")


@pytest.mark.parametrize("command", ["score", "server"])
def test_no_output_where_the_hook_is_broken_and_not_asked_for(library: Path, command: str) -> None:
    """DRUM runs its other commands, and every command with the hook switched off."""
    code = f"sys.modules['drum_litestar.drum_hook.finder'] = None\n{SCRIPT}"
    done = run(library, code, command, env={**LITESTAR, "DRUM_LITESTAR_HOOK": "off" if command == "server" else "1"})
    assert (done.returncode, done.stdout, done.stderr) == (7, f"DRUM ['{command}'] () {{}}\n", "")


@pytest.mark.parametrize("stream", ["None", "open('/dev/full', 'w', 1)"], ids=["no stderr", "full disk"])
def test_warning_that_cannot_be_written(library: Path, stream: str) -> None:
    for module in ("drum_litestar.drum_hook.finder", "uvicorn"):
        done = run(library, f"sys.modules['{module}'] = None; sys.stderr = {stream}\n{SCRIPT}", "server", env=LITESTAR)
        assert "DRUM ['server'] () {}\n" in done.stdout


@pytest.mark.parametrize("module", ["finder", "decision"])
def test_broken_hook_is_one_warning(library: Path, module: str) -> None:
    """Even where warnings are errors."""
    code = f"sys.modules['drum_litestar.drum_hook.{module}'] = None\n{SCRIPT}"
    done = run(library, code, "server", env={**LITESTAR, "PYTHONWARNINGS": "error"})
    assert done.stdout == "DRUM ['server'] () {}\n"
    assert done.returncode == 7
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("WARNING: the hook of drum-litestar is broken, DRUM's own server is used: ")


def test_broken_server_is_one_warning(library: Path) -> None:
    code = f"sys.modules['uvicorn'] = None\n{SCRIPT}"
    done = run(library, code, "server", env=LITESTAR)
    assert done.stdout == "DRUM ['server'] () {}\n"
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("WARNING: drum-litestar cannot run, DRUM's own server is used: ")


def test_unreadable_parameter_is_one_warning(library: Path) -> None:
    done = run(library, SCRIPT, "server", env={"MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE": "{"})
    assert done.stdout == "DRUM ['server'] () {}\n"
    assert done.stderr.count("\n") == 1


def test_default_of_the_environment(library: Path) -> None:
    """This backend runs without a server type, DRUM's server with its name and one notice, other commands without."""
    assert run(library, SCRIPT, "server", "--help", default=True).stdout.startswith("usage: drum server -cd CODE_DIR")
    done = run(library, SCRIPT, "server", default=True, env={"DRUM_SERVER_TYPE": "werkzeug"})
    assert (done.returncode, done.stdout) == (7, "DRUM ['server'] () {}\n")
    (notice,) = done.stderr.splitlines()
    assert notice.startswith("DEPRECATED: DRUM_SERVER_TYPE=werkzeug ")
    done = run(library, SCRIPT, "score", default=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "DRUM ['score'] () {}\n", "")


DEAD = "import sys\nprint('DRUM is imported', file=sys.stderr)\nraise OSError('broken')\n"


@pytest.fixture
def dead(library: Path) -> Path:
    """DRUM's module prints a line when it is imported, and fails."""
    (library / "datarobot_drum" / "drum" / "entry_point.py").write_text(DEAD)
    return library


FLASK = "drum server -cd model, where custom_flask.py is"


@pytest.mark.parametrize(
    ("breakage", "env", "default", "reason"),
    [
        ("", {"MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE": "{"}, False, "WARNING: runtime parameter DRUM_SERVER_TYPE "),
        (FLASK, {"DRUM_SERVER_TYPE": "litestar"}, False, "WARNING: model holds custom_flask.py"),
        (FLASK, {}, True, "WARNING: model holds custom_flask.py"),
        ("uvicorn", LITESTAR, False, "WARNING: drum-litestar cannot run, DRUM's own server is used: Module"),
        ("uvicorn", {}, True, "WARNING: drum-litestar cannot run, DRUM's own server is used: Module"),
        ("drum_litestar", LITESTAR, False, "WARNING: the hook of drum-litestar is broken, DRUM's own server is used"),
        ("drum_litestar", {}, True, "WARNING: the hook of drum-litestar is broken, DRUM's own server is used"),
        ("", {"DRUM_SERVER_TYPE": "gunicorn"}, True, "DEPRECATED: DRUM_SERVER_TYPE=gunicorn "),
    ],
)
def test_reason_comes_before_drum(dead: Path, breakage: str, env: dict[str, str], default: bool, reason: str) -> None:
    """It is printed before DRUM's import, whose error and exit code stay."""
    (dead / "model").mkdir()
    code = SCRIPT
    if breakage == FLASK:
        (dead / "model" / "custom_flask.py").touch()
    elif breakage:
        code = f"sys.modules[{breakage!r}] = None\n{SCRIPT}"
    done = run(dead, code, "server", "-cd", "model", default=default, env=env)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[0].startswith(reason)
    assert lines[1] == "DRUM is imported"
    assert "OSError: broken" in lines[-2:]


@pytest.mark.parametrize("asked", [{}, {"DRUM_SERVER_TYPE": "bogus"}], ids=["no type", "unknown"])
def test_hint_after_drums_own_error(dead: Path, asked: dict[str, str]) -> None:
    """One line after the output of DRUM alone."""
    done, alone = (run(dead, SCRIPT, "server", env=asked | off) for off in ({}, {"DRUM_LITESTAR_HOOK": "0"}))
    *lines, hint = done.stderr.splitlines()
    assert hint == (
        "drum-litestar can serve here without importing datarobot-drum: set "
        "MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE=litestar"
    )
    drums = alone.stderr.splitlines()
    assert (lines[:2], lines[-1], done.returncode) == (drums[:2], drums[-1], alone.returncode)
    assert "line 3, in <module>\n    raise" in done.stderr, "the traceback of DRUM is whole"


def test_hint_is_true(dead: Path) -> None:
    """No hint to set a variable without effect."""
    done = run(dead, f"sys.modules['uvicorn'] = None\n{SCRIPT}", "server")
    assert done.stderr.splitlines()[-1].startswith("drum-litestar cannot run here either: ModuleNotFoundError: ")


@pytest.mark.parametrize(
    ("command", "env"), [("score", {}), ("server", {"DRUM_SERVER_TYPE": "gunicorn"}), ("server --docker x", {})]
)
def test_no_hint_where_it_makes_no_sense(dead: Path, command: str, env: dict[str, str]) -> None:
    assert run(dead, SCRIPT, *command.split(), env=env).stderr.endswith("\nOSError: broken\n")


def test_the_line_is_one_and_cheap() -> None:
    """The cost in other processes: the line, less than 0.2 ms, and a comparison of names at each import."""
    (line,) = LINE.read_text().splitlines()
    assert line.startswith("import ")  # else site takes it for a folder
    line = line.replace("default=False", "default=True")  # no more work than the other

    def cost() -> float:
        start = time.thread_time()
        exec(line, {})
        spent = time.thread_time() - start
        finder = sys.meta_path.pop(0)
        assert finder.find_spec("another.module", None, None) is None
        return spent

    assert min(cost() for _ in range(50)) < 0.0002
