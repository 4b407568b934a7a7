"""Session-wide parts: the zoo of model folders, servers of ours, and the real DRUM."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drum_litestar.settings import masking
from support.environments.pydantic_environments import Environments
from support.environments.same_names import pip_target
from support.servers.backends import DrumOracle, start_ours
from support.servers.faults import Faults, faults_of
from support.servers.fleet import Fleet, require
from support.servers.process import ServerFailedError, ServerProcess
from support.zoo import Zoo

os.environ.setdefault("KERAS_BACKEND", "torch")

Start = Callable[..., ServerProcess]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--against",
        choices=["ours", "drum"],
        default="ours",
        help="which server the contract cases run against: 'drum' proves the cases themselves on the real DRUM",
    )
    parser.addoption("--base-url", help="the server that tests/conformance asks (default: servers of ours)")
    parser.addoption("--model", default="model", help="its model (default: model)")
    parser.addoption("--example", help="a file with a valid JSON request for it (default: made from its metadata)")


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command run in this process learned is forgotten after each test."""
    monkeypatch.setattr(masking, "_process_values", ())


@pytest.fixture(autouse=True)
def no_code_of_other_tests() -> Iterator[None]:
    """Loading a folder changes the interpreter for good, as a worker wants; tests want it back."""
    path, argv, finders, modules = list(sys.path), list(sys.argv), list(sys.meta_path), set(sys.modules)
    yield
    sys.path[:], sys.argv[:], sys.meta_path[:] = path, argv, finders
    for name in set(sys.modules) - modules:
        if name == "custom" or name.split(".", 1)[0] == "datarobot_drum":
            del sys.modules[name]


@pytest.fixture(autouse=True)
def no_process_state_of_other_tests() -> Iterator[None]:
    """What libraries and servers set for the whole process: its environment, and which messages loggers pass on."""
    environ = dict(os.environ)
    known = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    loggers = [(logger, logger.level, logger.propagate) for logger in (logging.root, *known)]
    yield
    for name in os.environ.keys() | environ.keys():
        if name == "PYTEST_CURRENT_TEST":
            continue
        if name not in environ:
            del os.environ[name]
        elif os.environ.get(name) != environ[name]:
            os.environ[name] = environ[name]
    for logger, level, propagate in loggers:
        if logger.level != level:  # which costs more than to look
            logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return Zoo(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Servers of the module's tests, one for each backend."""
    with Fleet(request) as fleet:
        yield fleet


@pytest.fixture(scope="session")
def python_multipart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with python-multipart 0.0.6, whose package has the name of Litestar's module ``multipart``."""
    return pip_target(tmp_path_factory.mktemp("python_multipart"), "python-multipart==0.0.6")


@pytest.fixture(scope="session")
def drum_oracle() -> DrumOracle:
    """The real DRUM; made once, which takes a few minutes and the package index."""
    try:
        return DrumOracle.prepare()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def environments(drum_oracle: DrumOracle, tmp_path_factory: pytest.TempPathFactory) -> Environments:
    """Virtual environments with this package installed, beside DRUM and several kinds of pydantic."""
    environments = Environments(tmp_path_factory.mktemp("environments"), drum_oracle)
    try:
        environments.wheel()
    except RuntimeError as error:
        pytest.skip(str(error))
    return environments


@pytest.fixture(scope="session")
def python_with_drum(request: pytest.FixtureRequest, drum_oracle: DrumOracle) -> Path:
    """An interpreter that has both DRUM and what our server needs: the oracle's own, or one made for it."""
    if drum_oracle.runs_ours():
        return drum_oracle.python
    environments: Environments = request.getfixturevalue("environments")
    try:
        return environments.make("2").python
    except RuntimeError as error:
        pytest.skip(str(error))


@contextlib.contextmanager
def running(server: ServerProcess) -> Iterator[ServerProcess]:
    """Wait until ready, hand out, then stop: SIGTERM must end the process with exit code 0."""
    try:
        server.wait_ready()
        yield server
        code = server.stop()
        if code != 0:
            raise ServerFailedError(f"exit code {code} after SIGTERM:\n{server.output()[-4000:]}")
    finally:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture
def serve(zoo: Zoo, tmp_path: Path) -> Iterator[Start]:
    """Start servers of ours for one test: ``serve("regression", executor="inline", arguments=[...], env={...})``."""
    with contextlib.ExitStack() as stack:
        count = 0

        def start(name: str, **options: object) -> ServerProcess:
            nonlocal count
            count += 1
            require(name)
            folder, path = zoo[name]
            log = tmp_path / f"server-{count}.log"
            return stack.enter_context(running(start_ours(folder, path, log, **options)))  # type: ignore[arg-type]

        yield start


@pytest.fixture(scope="module")
def module_faults(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    """As ``faults``, until the module's end: tests that leave a server as good as new share it (``shared``)."""
    yield from faults_of(zoo, tmp_path_factory.mktemp("faults"))


@pytest.fixture
def faults(zoo: Zoo, tmp_path: Path) -> Iterator[Faults]:
    """Servers over hooks that break things, for one test."""
    yield from faults_of(zoo, tmp_path)
