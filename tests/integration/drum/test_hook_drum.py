"""What the hook leaves to DRUM, what it does not, and what becomes of errors: on real installations of DRUM."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import running
from drum_litestar.documentation import MIGRATING
from support.environments.pydantic_environments import Environment, Environments
from support.servers.process import ServerProcess
from support.wire import csv, get
from support.zoo.registry import HOOKS

ROWS = b"a,b\n1.5,2\n"
PREDICTIONS = b'{"predictions":[2.0]}'
OUR_HELP = "usage: drum server -cd CODE_DIR --address HOST[:PORT] [options]"
WARNING = "WARNING: "


def server_type(payload: str) -> dict[str, str]:
    return {"MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE": f'{{"type":"string","payload":"{payload}"}}'}


OFF = {"DRUM_LITESTAR_HOOK": "0"}
LITESTAR = server_type("litestar")


@pytest.fixture(scope="module")
def environment(environments: Environments) -> Environment:
    """One where DRUM works."""
    return environments.make("2")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HOOKS / "any_pydantic", tmp_path / "model"))


def options(model: Path, *more: str) -> list[str]:
    return ["-cd", str(model), "--target-type", "regression", *more]


def stop(server: ServerProcess) -> str:
    """DRUM's servers end in their own ways."""
    server.stop(60)
    return server.output()


@pytest.mark.parametrize(
    ("env", "sign"),
    [
        (server_type("werkzeug"), "WSGI"),
        ({}, "gunicorn"),
        pytest.param(server_type("bogus"), "Server type 'bogus' is not supported", marks=pytest.mark.slow),
    ],
    ids=["werkzeug", "gunicorn by default", "unknown"],
)
def test_other_server_types_are_drums(
    environment: Environment, model: Path, tmp_path: Path, env: dict[str, str], sign: str
) -> None:
    server = environment.start("drum", options(model, "--logging-level", "info"), tmp_path / "log", env)
    try:
        server.wait_ready()
        assert server.send(csv(ROWS)).body == PREDICTIONS
        assert server.send(get("/livez")).status == 404, "this is not DRUM's server"
    finally:
        output = stop(server)
    assert re.search(sign, output)
    assert "drum-litestar" not in output


COMMANDS = {
    "version": ["--version"],
    "score help": ["score", "--help"],
    "new help": ["new", "--help"],
    "nothing": [],
    "unknown": ["bogus"],
    "docker": ["server", "-cd", ".", "--address", "127.0.0.1:1", "--target-type", "regression", "--docker", "nowhere"],
}
SLOW = ("new help", "nothing", "unknown", "docker")
"""DRUM takes half a minute to find that it cannot build the image; the others go the way of ``score --help``."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in COMMANDS]
)
def test_other_commands_are_drums(environment: Environment, name: str) -> None:
    """To the letter, also when the server type asks for us."""
    hooked, alone = (environment.run("drum", *COMMANDS[name], env=LITESTAR | env) for env in ({}, OFF))
    assert hooked.returncode == alone.returncode
    assert (_plain(hooked.stdout), _plain(hooked.stderr)) == (_plain(alone.stdout), _plain(alone.stderr))
    assert OUR_HELP not in hooked.stdout


def _plain(text: str) -> str:
    """Without times, addresses and traceback lines, which differ from run to run."""
    kept = [line for line in text.splitlines() if not line.startswith(("  ", "Traceback"))]
    return re.sub(r"0x[0-9a-f]+|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*", "...", "\n".join(kept))


def test_score_is_drums(environment: Environment, model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(ROWS)
    done = environment.run(
        "drum", "score", *options(model, "--input", str(tmp_path / "rows.csv")), env=LITESTAR, timeout=170
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"\b2\.0\b", done.stdout)


@pytest.mark.parametrize("payload", ["litestar", pytest.param("FastAPI", marks=pytest.mark.slow), "uvicorn"])
def test_names_of_this_backend(environment: Environment, payload: str) -> None:
    assert OUR_HELP in environment.run("drum", "server", "-h", env=server_type(payload)).stdout


@pytest.fixture(scope="module")
def old(environments: Environments) -> Environment:
    """One beside Pydantic 1, where DRUM dies."""
    return environments.make("1.10", name="switched")


def test_switches(old: Environment) -> None:
    """``hook disable`` lasts, ``enable`` undoes it, the variable is for one process."""

    def answer(env: dict[str, str] = LITESTAR) -> str:
        return old.run("drum", "server", "-h", env=env).stdout

    assert OUR_HELP in answer()
    assert OUR_HELP not in answer(LITESTAR | OFF)
    for action, expected in (("disable", False), ("disable", False), ("enable", True)):
        assert old.run("drum-litestar", "hook", action).returncode == 0
        status = old.run("drum-litestar", "hook", "status")
        assert (status.returncode == 0, status.stdout.startswith("enabled")) == (expected, expected)
        assert (OUR_HELP in answer()) is expected


@pytest.mark.slow
def test_editable_installation(environments: Environments) -> None:
    editable = environments.make("1.10", name="editable", editable=True)
    assert editable.run("drum-litestar", "hook", "status").returncode == 0
    assert OUR_HELP in editable.run("drum", "server", "-h", env=LITESTAR).stdout


@contextlib.contextmanager
def default(environment: Environment) -> Iterator[None]:
    """This backend is the default of ``drum server`` meanwhile."""

    def hook(*words: str) -> str:
        done = environment.run("drum-litestar", "hook", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    hook("enable", "--default")
    try:
        assert "without DRUM_SERVER_TYPE `drum server` runs this backend" in hook("status")
        yield
    finally:
        assert "without DRUM_SERVER_TYPE `drum server` runs DRUM's own server" in hook("enable", "--no-default")


def is_ours(environment: Environment, model: Path, log: Path, env: dict[str, str] | None = None) -> tuple[bool, str]:
    """Whether ``drum server`` is this backend, and its output, after it has answered a prediction."""
    server = environment.start("drum", options(model), log, env)
    try:
        server.wait_ready()
        assert server.send(csv(ROWS)).body == PREDICTIONS
        ours = server.send(get("/livez")).status == 200
    finally:
        output = stop(server)
    return ours, output


def test_default_where_drum_works(environment: Environment, model: Path, tmp_path: Path) -> None:
    """``drum server`` without a word is ours; DRUM's server is there for who names it, with one notice."""
    log = tmp_path / "log"
    with default(environment):
        assert is_ours(environment, model, log)[0]
        ours, output = is_ours(environment, model, log, server_type("Gunicorn"))
        assert not ours
        assert output.count("DEPRECATED: DRUM_SERVER_TYPE=gunicorn chooses DRUM's own server") == 1
        assert output.startswith("DEPRECATED: ")
        unknown = environment.run("drum", "server", "-h", env=server_type("bogus"))
        assert OUR_HELP in unknown.stdout
        assert unknown.stderr.startswith("WARNING: DRUM_SERVER_TYPE=bogus is not known")
    undone = environment.run("drum", "server", "-h")
    assert OUR_HELP not in undone.stdout
    assert "drum-litestar" not in undone.stderr


def test_default_where_drum_dies(old: Environment, model: Path, tmp_path: Path) -> None:
    """Beside Pydantic 1: one command, and ``drum server`` works."""
    arguments = ("drum", "server", *options(model), "--address", "127.0.0.1:0")
    with default(old):
        assert is_ours(old, model, tmp_path / "log")[0]
        done = old.run(*arguments, env=server_type("gunicorn"))
        assert done.returncode == 1
        assert done.stderr.startswith("DEPRECATED: DRUM_SERVER_TYPE=gunicorn ")
        assert "pydantic" in done.stderr.splitlines()[-1]
    done = old.run(*arguments)
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()[-2:]
    assert "pydantic" in error
    assert hint.endswith(": set MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE=litestar")


def _break_drum(environment: Environment, file: str, code: str) -> None:
    """Give the environment its own copy of datarobot_drum with ``file`` replaced."""
    package = environment.site / "datarobot_drum"
    origin = package.resolve()
    package.unlink()
    shutil.copytree(origin, package, ignore=shutil.ignore_patterns("__pycache__", "resource"))
    (package / file).write_text(code)


def test_broken_drum(environments: Environments, model: Path, tmp_path: Path) -> None:
    """We serve beside it; who asks for DRUM's server gets its error, and a Flask extension cannot be served."""
    environment = environments.make("2", name="broken-drum")
    _break_drum(environment, "drum/entry_point.py", "raise OSError('this drum is broken')\n")
    with running(environment.start("drum", options(model), tmp_path / "log", LITESTAR)) as server:
        assert server.send(csv(ROWS)).body == PREDICTIONS
    broken = "OSError: this drum is broken"

    def failure(env: dict[str, str]) -> list[str]:
        done = environment.run("drum", "server", *options(model), "--address", "127.0.0.1:0", env=env)
        assert done.returncode == 1
        return done.stderr.splitlines()

    assert failure(server_type("werkzeug"))[-1] == broken
    lines = failure({})
    assert lines[-2] == broken
    assert lines[-1].endswith("set MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE=litestar")
    (model / "custom_flask.py").write_text("def init_app(app):\n    pass\n")
    lines = failure(LITESTAR)
    held = f"{model} holds custom_flask.py and no custom_litestar.py"
    assert lines[0].startswith(f"WARNING: {held}: DRUM's own server is used.")
    assert lines[-2] == broken
    assert lines[-1] == f"{held}. Only DRUM's own server can load it; migrate it ({MIGRATING})"


def test_flask_extension_is_drums(environment: Environment, model: Path, tmp_path: Path) -> None:
    (model / "custom_flask.py").write_text(
        "def init_app(app):\n    app.add_url_rule('/mine', 'mine', lambda: 'from flask')\n"
    )
    server = environment.start("drum", options(model), tmp_path / "log", LITESTAR)
    try:
        server.wait_ready()
        assert server.send(get("/mine")).body == b"from flask"
    finally:
        output = stop(server)
    assert output.count(f"WARNING: {model} holds custom_flask.py") == 1
    assert MIGRATING in output


@pytest.mark.parametrize(
    "breakage",
    [
        lambda package: shutil.rmtree(package),
        pytest.param(
            lambda package: (package / "drum_hook" / "decision.py").write_text("raise OSError('disk')\n"),
            marks=pytest.mark.slow,
        ),
        lambda package: (package / "launcher" / "bootstrap.py").write_text("import litestar.nothing\n"),
    ],
    ids=["package gone", "hook broken", "server broken"],
)
def test_broken_hook_leaves_drum_alone(
    environments: Environments,
    model: Path,
    tmp_path: Path,
    breakage: Callable[[Path], object],
    request: pytest.FixtureRequest,
) -> None:
    environment = environments.make("2", name=request.node.callspec.id.replace(" ", "-"))
    breakage(environment.site / "drum_litestar")
    server = environment.start("drum", options(model), tmp_path / "log", LITESTAR)
    try:
        server.wait_ready()
        assert server.send(csv(ROWS)).body == PREDICTIONS
    finally:
        output = stop(server)
    warnings = [line for line in output.splitlines() if "DRUM's own server is used" in line]
    assert len(warnings) == 1
    assert warnings[0].startswith("WARNING: ")


def run_both(environment: Environment, *arguments: str, env: dict[str, str]) -> tuple[int, str, int, str]:
    hooked, alone = (environment.run("drum", "server", *arguments, env=env | extra) for extra in ({}, OFF))
    return hooked.returncode, hooked.stderr, alone.returncode, alone.stderr


def test_unreadable_parameter(environment: Environment, model: Path) -> None:
    env = {"MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE": '{"type": "string"'}
    code, ours, drums_code, drums = run_both(environment, *options(model), "--address", "127.0.0.1:0", env=env)
    assert code == drums_code == 1
    assert ours.splitlines()[-1] == drums.splitlines()[-1]
    assert ours.count("WARNING: runtime parameter DRUM_SERVER_TYPE cannot be read") == 1


DEFINITIONS = """\
name: m
type: inference
targetType: regression
runtimeParameterDefinitions:
  - fieldName: DRUM_SERVER_TYPE
    type: string
  - fieldName: A
    type: numeric
    maxValue: 5
"""


@pytest.mark.parametrize(
    "values",
    [
        None,
        *(pytest.param(text, marks=pytest.mark.slow) for text in ("", "{", "- 1\n")),
        "A: 6\nDRUM_SERVER_TYPE: litestar\n",
    ],
    ids=["missing", "empty", "malformed", "list", "bad value"],
)
def test_bad_runtime_params_file(environment: Environment, model: Path, tmp_path: Path, values: str | None) -> None:
    """The exit code and the text are DRUM's, whichever of the two servers finds the fault."""
    path = tmp_path / "values.yaml"
    if values is not None:
        path.write_text(values)
    (model / "model-metadata.yaml").write_text(DEFINITIONS)
    arguments = options(model, "--address", "127.0.0.1:0", "--runtime-params-file", str(path))
    code, ours, drums_code, drums = run_both(environment, *arguments, env=LITESTAR)
    assert code == drums_code
    if values != "- 1\n":  # DRUM: an AttributeError of its own
        assert _message(ours) == _message(drums)


def _message(stderr: str) -> str:
    """The last line, without what stands before the text: the exception's class, or the program's name."""
    return re.sub(r"^(drum: error|drum server: error|[\w.]+): ", "", stderr.splitlines()[-1])


def test_server_type_from_runtime_params_file(environment: Environment, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("DRUM_SERVER_TYPE: litestar\nUNDECLARED: 1\n")
    (model / "model-metadata.yaml").write_text(DEFINITIONS)
    arguments = options(model, "--runtime-params-file", str(path))
    with running(environment.start("drum", arguments, tmp_path / "log")) as server:
        assert server.send(csv(ROWS)).body == PREDICTIONS
        assert server.send(get("/livez")).status == 200
