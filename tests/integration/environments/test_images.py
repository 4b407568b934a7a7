"""Images that are really built, and servers that really run in them: see ``support.environments.images``."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import time
from pathlib import Path

import pytest

from support.environments.images import (
    BASE,
    PYTHON,
    RUN_OPTIONS,
    Images,
    build_wheel,
    images,
    require_podman,
    served_by,
)
from support.servers.backends import ROOT
from support.servers.faults import eventually
from support.servers.process import ServerProcess, free_port
from support.wire import get, upload

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

TAG = "drum-litestar-test:1"
DATA = "a,b\n1,2\n3,4\n"
CUSTOM = """\
import subprocess

def transform(data, model):
    # the shell ends at once, and leaves its job to process 1
    subprocess.run(["sh", "-c", "sleep 0.01 &"], check=True)
    return data
"""
HARDENED = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")


@pytest.fixture(scope="module")
def made() -> Images:
    return images()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scikit-learn model with requirements of its own."""
    import pandas as pd
    from sklearn.linear_model import LinearRegression

    folder = tmp_path_factory.mktemp("images") / "model"
    folder.mkdir()
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 5.0]})
    (folder / "model.pkl").write_bytes(pickle.dumps(LinearRegression().fit(frame, frame["a"] * 2 + frame["b"])))
    (folder / "custom.py").write_text(CUSTOM)
    (folder / "requirements.txt").write_text("scikit-learn\n")
    return folder


@pytest.fixture(scope="module")
def image(made: Images, model: Path, wheel: Path) -> str:
    done = made.build(model, TAG, wheel)
    assert done.returncode == 0, done.stderr[-3000:]
    print(f"\n{TAG}: {made.size(TAG)}, its base {made.size(BASE)}")
    return TAG


def check_served(server: ServerProcess, began: float) -> None:
    server.wait_ready(600)
    print(f"\nready after {time.monotonic() - began:.1f} s")
    answer = server.send(upload(DATA))
    assert answer.status == 200, answer.body
    assert answer.json()["predictions"] == pytest.approx([4.0, 10.0])


def test_the_result_has_nothing_that_only_builds(made: Images, image: str) -> None:
    container = made.must("buildah", "from", image)
    try:
        found = made.run("buildah", "run", container, "sh", "-c", "command -v gcc cc g++ make pip pip3 cargo")
        assert found.stdout == ""
        assert made.must("buildah", "run", container, "id", "-u") == "10001"
        environments = "/opt/drum-litestar /opt/model-env"
        packages = made.must("buildah", "run", container, "sh", "-c", f"find {environments} -name 'pip' -o -name tests")
        assert "/pip" not in packages
        assert "pandas/tests" not in packages
        version = "import importlib.metadata as m; print([d.name for d in m.distributions()])"
        model_env = made.must("buildah", "run", container, "/opt/model-env/bin/python", "-c", version)
        assert "scikit-learn" in model_env
        assert "litestar" not in model_env
    finally:
        made.must("buildah", "rm", container)


def test_it_serves_in_a_chroot(made: Images, image: str, tmp_path: Path) -> None:
    container = made.must("buildah", "from", image)
    port = free_port()
    variables = [f"ADDRESS=127.0.0.1:{port}", "TARGET_TYPE=regression"]
    began = time.monotonic()
    server = ServerProcess(
        ["buildah", "run", container, "env", *variables, "drum-litestar", "server"],
        port=port,
        log=tmp_path / "log",
        env=made.env,
    )
    try:
        check_served(server, began)
        served_by(server, ["/opt/drum-litestar/bin/drum-litestar", "server"]).send_signal(signal.SIGTERM)
        assert server.wait_exit() == 0, server.output()[-2000:]
    finally:
        if server.process.poll() is None:
            served_by(server, ["/opt/drum-litestar/bin/drum-litestar", "server"]).kill()
            server.wait_exit()
        made.must("buildah", "rm", container)


def test_it_is_process_1_of_a_read_only_container(made: Images, image: str, tmp_path: Path) -> None:
    """Without tini, root, capabilities or a writable directory but the volume; orphans of the model are reaped."""
    require_podman(made)
    name, port = f"drum-litestar-test-{os.getpid()}", free_port()
    variables = [f"--env=ADDRESS=127.0.0.1:{port}", "--env=TARGET_TYPE=regression"]
    began = time.monotonic()
    server = ServerProcess(
        ["podman", "--runtime=runc", "run", "--rm", "--name", name, *RUN_OPTIONS, *HARDENED, *variables, image],
        port=port,
        log=tmp_path / "log",
        env=made.env,
    )

    def inside(*command: str) -> str:
        return made.must("podman", "--runtime=runc", "exec", name, *command)

    def states() -> str:
        return inside("sh", "-c", "for each in /proc/[0-9]*/stat; do cat $each 2>/dev/null; done; true")

    try:
        check_served(server, began)
        assert inside("sh", "-c", "tr '\\0' ' ' </proc/1/cmdline").endswith("/bin/drum-litestar server")
        eventually(lambda: ") Z " not in states(), "nothing is left of the model's jobs")
        assert made.run("podman", "--runtime=runc", "exec", name, "touch", "/opt/code/x").returncode != 0
        assert "200" in inside("python", "-I", "-m", "drum_litestar.tools.image.healthcheck")
        assert server.send(get("/metrics")).status == 200
        made.must("podman", "--runtime=runc", "stop", "--time", "60", name)
        assert server.wait_exit() == 0, server.output()[-2000:]
    finally:
        made.run("podman", "--runtime=runc", "rm", "--force", name)
        server.process.wait()


def test_a_spool_that_may_not_be_written(made: Images, image: str, tmp_path: Path) -> None:
    require_podman(made)
    readable = f"--volume={tmp_path}:/var/spool/drum:ro"
    options = [*RUN_OPTIONS, *HARDENED, "--read-only-tmpfs=false", readable, "--env=TARGET_TYPE=regression"]
    done = made.run("podman", "--runtime=runc", "run", "--rm", *options, image)
    assert done.returncode == 2
    assert "DRUM_SPOOL_DIR='/var/spool/drum' is not a writable directory" in done.stderr
    done = made.run("podman", "--runtime=runc", "run", "--rm", *options, "--env=DRUM_SPOOL_DIR=", image)
    assert done.returncode == 2
    assert "no directory for large request bodies is writable" in done.stderr


def test_requirements_that_cannot_be_installed(made: Images, model: Path, wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    (folder / "requirements.txt").write_text("scikit-learn==99\n")
    done = made.build(folder, "never:1", wheel)
    assert done.returncode == 1
    text = done.stderr.rpartition("drum-litestar: error: ")[2]
    assert text.startswith("buildah has not built never:1: exit code ")
    assert "No matching distribution found for scikit-learn==99" in text


@pytest.mark.parametrize("drum", ["", "datarobot-drum==1.18.1"], ids=["alone", "beside DRUM"])
def test_an_environment_for_datarobot(made: Images, model: Path, wheel: Path, tmp_path: Path, drum: str) -> None:
    """The folder as it is uploaded, and a model in CODE_DIR; ``drum server`` is this server."""
    require_podman(made)
    context = tmp_path / "context"
    shutil.copytree(ROOT / "deploy" / "container" / "environments" / "python-sklearn", context)
    (context / "wheels").mkdir()
    shutil.copy(wheel, context / "wheels")
    tag = f"environment-test:{'drum' if drum else 'alone'}"
    arguments = [f"--build-arg={pair}" for pair in (f"PYTHON={PYTHON}", f"BASE={BASE}", f"DRUM={drum}")]
    made.must("buildah", "build", "--layers", *arguments, *made.pip_options(), "--tag", tag, str(context))
    print(f"\n{tag}: {made.size(tag)}")
    name, port = f"drum-litestar-test-{os.getpid()}", free_port()
    mounts = [f"--volume={model / each}:/opt/code/{each}:ro" for each in ("model.pkl", "custom.py")]
    for each in ("model.pkl", "custom.py"):
        (model / each).chmod(0o644)
    variables = [f"--env=ADDRESS=127.0.0.1:{port}", "--env=TARGET_TYPE=regression"]
    began = time.monotonic()
    server = ServerProcess(
        ["podman", "--runtime=runc", "run", "--rm", "--name", name, *RUN_OPTIONS, *mounts, *variables, tag],
        port=port,
        log=tmp_path / "log",
        env=made.env,
    )
    try:
        check_served(server, began)
        command = made.must("podman", "--runtime=runc", "exec", name, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline")
        assert command.endswith("/bin/drum server" if drum else "/bin/drum-litestar server")
        made.must("podman", "--runtime=runc", "stop", "--time", "60", name)
        assert server.wait_exit() == 0, server.output()[-2000:]
    finally:
        made.run("podman", "--runtime=runc", "rm", "--force", name)
        server.process.wait()
