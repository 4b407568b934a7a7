"""``drum-litestar build``: what it writes, what it runs, what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from drum_litestar import __version__
from drum_litestar.cli.main import main
from drum_litestar.tools.image import build_command
from support.servers.backends import ROOT

CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"
BUILDER = """\
#!/bin/sh
case "$1" in
version) {probe} ;;
build)
    echo "$@" > {called}
    echo resolving
    echo "ERROR: No matching distribution found for nonsense==9"
    exit {code}
    ;;
esac
"""


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the package came from an index; ``test_own_wheel.py`` has the other installations."""
    monkeypatch.setattr(build_command, "own_wheel", lambda distribution, folder: None)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "custom.py").write_text("def score(data, model, **kwargs): ...\n")
    return folder


@pytest.fixture
def no_builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the path, without a builder in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "true", "false"):
        (folder / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def builder(folder: Path, name: str, *, code: int = 0, probe: str = "true") -> Path:
    """A builder that writes its arguments into the file that is returned."""
    called = folder / f"{name}.called"
    script = folder / name
    script.write_text(BUILDER.format(called=called, code=code, probe=probe))
    script.chmod(0o755)
    return called


def build(model: Path, *arguments: str, tag: str = "model:1") -> int:
    return main(["build", str(model), "--tag", tag, *arguments])


def refused(capsys: pytest.CaptureFixture[str], model: Path, *arguments: str, tag: str = "model:1") -> tuple[int, str]:
    """The exit code and the message, without what streamed before it."""
    code = build(model, *arguments, tag=tag)
    return code, capsys.readouterr().err.partition("drum-litestar: error: ")[2].strip()


# What is written


def test_a_context_holds_what_the_containerfile_names(model: Path, tmp_path: Path) -> None:
    (model / "requirements.txt").write_text("scikit-learn\n")
    wheel = tmp_path / f"drum_litestar-{__version__}-py3-none-any.whl"
    wheel.touch()
    context = tmp_path / "context"
    assert build(model, "--context-only", str(context), "--wheel", str(wheel)) == 0
    assert sorted(str(path.relative_to(context)) for path in context.rglob("*") if path.is_file()) == [
        "Containerfile",
        "model/custom.py",
        "model/requirements.txt",
        "requirements.txt",
        f"wheels/{wheel.name}",
    ]
    assert (context / "Containerfile").read_text() == CONTAINERFILE.read_text()


def test_the_command_to_run_is_said(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context = tmp_path / "context"
    assert build(model, "--context-only", str(context), "--python", "3.12", "--base", "debian:12") == 0
    out = capsys.readouterr().out
    arguments = "--build-arg PYTHON=3.12 --build-arg EXTRAS=otel --build-arg BASE=debian:12"
    rest = (
        f"--target model --tag model:1 {arguments} --build-arg VERSION={__version__} "
        f"--file {context}/Containerfile {context}"
    )
    assert f"  docker build {rest}\n" in out
    assert f"  podman build --format docker {rest}\n" in out
    assert "docker run --rm --read-only -p 8080:8080 -e TARGET_TYPE=... model:1" in out


def test_requirements_get_an_environment_of_their_own(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requirements = tmp_path / "other.txt"
    requirements.write_text("pandas>=1.5  # frames\n--no-binary :all:\nmsgspec==0.19.0 \\\n  --hash=sha256:00\n\n")
    assert build(model, "--context-only", str(tmp_path / "context"), "--requirements", str(requirements)) == 0
    assert "--target model-env " in capsys.readouterr().out
    assert (tmp_path / "context" / "requirements.txt").read_text() == requirements.read_text()


def test_everybody_may_read_the_model(model: Path, tmp_path: Path) -> None:
    """The image's user is not the one who builds."""
    (model / "weights").mkdir(mode=0o700)
    (model / "weights" / "a.bin").touch(0o600)
    (model / "run.sh").touch(0o700)
    context = tmp_path / "context"
    assert build(model, "--context-only", str(context)) == 0
    modes = {path.name: path.stat().st_mode & 0o777 for path in (context / "model").rglob("*")}
    assert modes == {"custom.py": 0o644, "weights": 0o755, "a.bin": 0o644, "run.sh": 0o755}


def test_what_a_model_does_not_need_stays_out(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model / ".env").write_text("SECRET=1")
    (model / "__pycache__").mkdir()
    (model / "venv").mkdir()
    (model / "venv" / "pyvenv.cfg").touch()
    (model / "data").mkdir()
    (model / "data" / ".hidden").touch()
    context = tmp_path / "context"
    assert build(model, "--context-only", str(context)) == 0
    assert "Not in the image: .env, __pycache__/, data/.hidden, venv/\n" in capsys.readouterr().err
    assert sorted(path.name for path in (context / "model").rglob("*")) == ["custom.py", "data"]


# What is run


def test_the_first_builder_that_works_builds(model: Path, no_builder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builder(no_builder, "docker", probe="{ echo Cannot connect >&2; exit 1; }")
    called = builder(no_builder, "podman")
    builder(no_builder, "buildah")
    assert build(model, "--builder-option=--network=host") == 0
    assert called.read_text().startswith("build --format docker --target model --tag model:1 ")
    assert " --network=host --file " in called.read_text()
    assert not Path(called.read_text().split()[-1]).exists(), "the context is removed"
    out = capsys.readouterr().out
    assert out.startswith("Built model:1 with podman.\nServe with it:\n  podman run ")


def test_a_builder_that_is_named_builds(model: Path, no_builder: Path) -> None:
    builder(no_builder, "docker")
    called = builder(no_builder, "buildah")
    assert build(model, "--builder", "buildah") == 0
    assert called.exists()


def test_no_builder(model: Path, no_builder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builder(no_builder, "docker", probe="{ echo Cannot connect to the daemon >&2; exit 1; }")
    code, text = refused(capsys, model)
    assert code == 1
    assert text == (
        "no builder of images works here: docker does not work: Cannot connect to the daemon; podman is not installed; "
        "buildah is not installed. Write the build context with --context-only DIR, and build it where there is one"
    )


def test_a_builder_that_fails(model: Path, no_builder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As with requirements that cannot be installed: pip's reason is among the last lines."""
    builder(no_builder, "podman", code=3)
    code, text = refused(capsys, model)
    assert code == 1
    assert text == (
        "podman has not built model:1: exit code 3. Its last lines:\n  resolving\n"
        "  ERROR: No matching distribution found for nonsense==9"
    )


# What is refused


@pytest.mark.parametrize("tag", ["m", "m:1", "host:5000/team/my-model_x.y:1.0-RC", "registry.example/a__b", "m:latest"])
def test_tags(model: Path, tmp_path: Path, tag: str) -> None:
    assert build(model, "--context-only", str(tmp_path / "context"), tag=tag) == 0


@pytest.mark.parametrize(
    "tag",
    ["", "Model", "my model", "model:", "model:.1", "a//b", "a___b", "m:" + "1" * 129, "m" * 256, "m@sha256:1"],
)
def test_tags_that_are_refused(model: Path, capsys: pytest.CaptureFixture[str], tag: str) -> None:
    code, text = refused(capsys, model, tag=tag)
    assert code == 2
    assert text.startswith(f"--tag {tag!r} is no name of an image (allowed: [host[:port]/]name[:version];")


def test_a_folder_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README").touch()
    code, text = refused(capsys, tmp_path)
    assert code == 1
    assert text.startswith(f"{tmp_path} has no model that can be served: Can not detect language by artifacts")


def test_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, tmp_path / "no") == (2, f"{tmp_path}/no is not a folder")


def test_a_language_that_needs_drum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.rds").touch()
    code, text = refused(capsys, model)
    assert code == 1
    assert "is a model in r, which DRUM's own predictors serve: name datarobot-drum in its requirements.txt" in text
    (model / "requirements.txt").write_text("datarobot-drum[r]\n")
    assert build(model, "--context-only", str(tmp_path / "context")) == 0


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"pandas\nnumpy=1\n", "line 2: 'numpy=1' is no requirement: Expected"),
        (b"# all\na b\n", "line 2: 'a b' is no requirement: Expected"),
        (b"-r more.txt\n", "line 1: '-r more.txt' names another file, which the build does not have"),
        (b"pandas\n\n./local\n", "line 3: './local' names another file"),
        (b"\xff\xfe", "is not text in UTF-8"),
    ],
)
def test_requirements_that_are_none(model: Path, capsys: pytest.CaptureFixture[str], written: bytes, said: str) -> None:
    (model / "requirements.txt").write_bytes(written)
    code, text = refused(capsys, model)
    assert code == 2
    assert text.startswith(f"{model}/requirements.txt")
    assert said in text


def test_requirements_that_are_absent(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = refused(capsys, model, "--requirements", "/no/such.txt")
    assert (code, text) == (2, "/no/such.txt cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--extras", "otel,nonsense"), "--extras: drum-litestar has no extra nonsense (allowed: "),
        (("--python", "three"), "--python 'three' is no version of Python (allowed: such as 3.12)"),
        (("--wheel", "/no/such.whl"), "--wheel /no/such.whl is not a file"),
    ],
)
def test_options_that_are_refused(
    model: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], text: str
) -> None:
    code, said = refused(capsys, model, *arguments)
    assert code == 2
    assert said.startswith(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [("other-1.0-py3-none-any.whl", "is a wheel of other, not of drum-litestar"), ("wheel.zip", "is not a wheel: ")],
)
def test_wheels_that_are_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    (tmp_path / name).touch()
    code, said = refused(capsys, model, "--wheel", str(tmp_path / name))
    assert code == 2
    assert text in said


def test_a_context_that_is_not_empty(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = refused(capsys, model, "--context-only", str(tmp_path))
    assert (code, text) == (1, f"{tmp_path} is not an empty folder")


def test_a_context_inside_the_model(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = refused(capsys, model, "--context-only", str(model / "context"))
    assert (code, text) == (1, f"{model}/context is inside the model folder, which is copied there")


def test_a_link_that_leads_nowhere(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model / "data.bin").symlink_to("/no/such")
    code, text = refused(capsys, model, "--context-only", str(tmp_path / "context"))
    assert code == 1
    assert text == f"the build context cannot be written: {model}/data.bin: No such file or directory"


def test_a_link_to_a_folder_above(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model / "again").symlink_to(model)
    code, text = refused(capsys, model, "--context-only", str(tmp_path / "context"))
    assert code == 1
    assert text == f"the build context cannot be written: {model}/again: a link to a folder that holds it"


def test_a_context_that_may_not_be_written(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = refused(capsys, model, "--context-only", "/proc/context")
    assert code == 1
    assert text.startswith("the build context cannot be written: /proc/context: ")


def test_the_version_is_this_pythons(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(model, "--context-only", str(tmp_path / "context")) == 0
    assert f"PYTHON={sys.version_info[0]}.{sys.version_info[1]} " in capsys.readouterr().out
