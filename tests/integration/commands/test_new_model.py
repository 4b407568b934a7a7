"""``drum-litestar new model``: each folder is served by a real server, with the lines that the command prints."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import running
from drum_litestar.cli.main import main
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.tools.new.folder_texts import EXAMPLES
from drum_litestar.tools.new.hook_texts import HOOKS, custom_py
from support.servers.backends import console_script
from support.servers.process import ServerProcess, free_port

ANSWERS = {
    TargetType.REGRESSION: '{"predictions":[180000.0,275000.0,405000.0]}',
    TargetType.ANOMALY: '{"predictions":[0.375,0.0,0.5]}',
    TargetType.BINARY: '"yes":0.5,"no":0.5',
    TargetType.MULTICLASS: '{"small":0.7978760262,"middle":0.1780302055,"large":0.0240937683}',
    TargetType.MULTILABEL: '"garden":0.8,"balcony":0.2,"lift":0.64',
    TargetType.GEO_POINT: "POINT (13.41 52.52)",
    TargetType.TEXT_GENERATION: "Straight on, then left at the bridge.",
    TargetType.AGENTIC_WORKFLOW: "Straight on, then left at the bridge.",
    TargetType.VECTOR_DATABASE: "The bridge is closed.",
    TargetType.TRANSFORM: "size,rooms,size_per_room\n50,2,25.0",
    TargetType.UNSTRUCTURED: '{"words": 8, "longest": "longest"}',
}


def test_every_target_type_has_a_folder() -> None:
    assert set(HOOKS) == set(EXAMPLES) == set(ANSWERS) == set(TargetType)


@pytest.fixture
def printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Makes a folder and returns the commands that were printed, with a free port instead of 8080."""

    def make(target_type: TargetType, *words: str) -> list[str]:
        folder = str(tmp_path / "my model")
        assert main(["new", "model", folder, "--target-type", target_type.value, *words]) == 0
        port = str(free_port())
        lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
        return [line.replace(":8080", f":{port}") for line in lines]

    return make


ALIKE = frozenset({TargetType.ANOMALY, TargetType.MULTILABEL, TargetType.GEO_POINT, TargetType.AGENTIC_WORKFLOW})
"""Served by ``-m slow`` only: their folders differ from another target type's by a few words."""
ASYNC = frozenset({TargetType.REGRESSION, TargetType.TEXT_GENERATION, TargetType.UNSTRUCTURED})
"""Whose asynchronous hooks the default run serves."""


@pytest.mark.parametrize(
    ("target_type", "asynchronous"),
    [
        pytest.param(
            each,
            asynchronous,
            id=f"{each.value}-{'async' if asynchronous else 'sync'}",
            marks=() if each in ASYNC or not (asynchronous or each in ALIKE) else pytest.mark.slow,
        )
        for each in TargetType
        for asynchronous in (False, True)
    ],
)
def test_the_folder_serves_as_it_is(
    target_type: TargetType, asynchronous: bool, printed: Callable[..., list[str]], tmp_path: Path
) -> None:
    serve, *asking, predict = printed(target_type, *(["--async"] if asynchronous else []))
    assert asking
    assert "drum-litestar predict" in predict
    words = shlex.split(serve)
    env = {}
    while "=" in words[0]:
        name, _, env[name] = words.pop(0).partition("=")
    assert words[0] == "drum-litestar"
    port = int(words[-1].rpartition(":")[2])
    with running(
        ServerProcess([console_script(), *words[1:]], port=port, log=tmp_path / "server.log", env=env)
    ) as server:
        for line in asking:
            done = subprocess.run([*shlex.split(line), "-sS"], capture_output=True, text=True, check=True)
            text = done.stdout if "chat" not in line else json.loads(done.stdout)["choices"][0]["message"]["content"]
            assert ANSWERS[target_type] in text, server.output()
        if target_type.generates_text:
            body = json.loads((tmp_path / "my model" / "chat.json").read_text())
            (tmp_path / "stream.json").write_text(json.dumps({**body, "stream": True}))
            streamed = [each if not each.startswith("@") else f"@{tmp_path}/stream.json" for each in shlex.split(line)]
            done = subprocess.run([*streamed, "-sS"], capture_output=True, text=True, check=True)
            assert done.stdout.count('"delta"') == 8
            assert done.stdout.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("target_type", TargetType, ids=lambda target_type: target_type.value)
def test_commented_hooks_are_python_once_they_are_uncommented(target_type: TargetType) -> None:
    for asynchronous in (False, True):
        text = custom_py(target_type, asynchronous=asynchronous)
        first, _, rest = text.partition("# Further hooks.")
        uncommented = "\n".join(line.removeprefix("# ") for line in rest.partition("\n")[2].splitlines())
        compile(first + uncommented, "custom.py", "exec")
        assert "def init(code_dir):" in uncommented
        assert ("async def" in text) is asynchronous


def test_the_hooks_name_the_command_that_tries_them() -> None:
    text = custom_py(TargetType.TEXT_GENERATION, asynchronous=False)
    assert "    TARGET_NAME=completion drum-litestar check --code-dir . --load" in text
    assert "    drum-litestar check --code-dir . --load" in custom_py(TargetType.REGRESSION, asynchronous=False)


def test_the_readme_names_each_file(printed: Callable[..., list[str]], tmp_path: Path) -> None:
    printed(TargetType.AGENTIC_WORKFLOW, "--name", "Guide: the first")
    folder = tmp_path / "my model"
    readme = (folder / "README.md").read_text()
    for path in folder.iterdir():
        assert path.name in readme or path.name == "README.md"
    assert 'name: "Guide: the first"' in (folder / "model-metadata.yaml").read_text()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert main(["new", "model", str(tmp_path), "--target-type", "regression"]) == 0
    assert (tmp_path / "custom.py").exists()
