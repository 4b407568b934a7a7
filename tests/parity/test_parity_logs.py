"""What both servers log when a transform's output and the schema of ``model-metadata.yaml`` do not agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.servers.backends import DrumOracle, start_adapter, start_drum, start_ours
from support.servers.process import ServerProcess
from support.wire import Request, csv
from support.zoo import ModelFolder
from support.zoo.transforms import metadata

LOGGER = "drum.datarobot_drum.drum.typeschema_validation"
LINE = re.compile(rf"^\S+ \S+ (?P<level>[A-Z]+) {re.escape(LOGGER)}:  (?P<text>.*)$")
WORKER = re.compile(r", 'worker': \d+}$")
TRANSFORM = """\
import pandas as pd

def load_model(code_dir): return 1

def transform(data, model):
    kinds = {
        "good": lambda: data[["a"]],
        "text": lambda: data.assign(b="some words", c=None),
        "booleans": lambda: pd.DataFrame({"a": pd.array([True] * len(data), dtype="boolean"), "b": 1.5}),
        "numpys": lambda: pd.DataFrame({"a": [True] * len(data), "b": 1.5}),
    }
    return kinds[data["kind"][0]]()
"""
REQUIREMENTS = (
    "data_types EQUALS NUM",
    'data_types IN ["GEO", "COUNT_DICT"]',
    "number_of_columns NOT_GREATER_THAN 3",
    "contains_missing EQUALS NEVER",
)
INPUT = "  input_requirements:\n    - field: data_types\n      condition: EQUALS\n      value: GEO\n"


def requests() -> list[Request]:
    return [
        csv(f"kind,a\n{kind},1\n{kind},2\n", "/transform/").with_headers(("X-Request-ID", f"of-{kind}"))
        for kind in ("good", "text", "booleans", "numpys")
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelFolder, Path]:
    path = tmp_path_factory.mktemp("model")
    (path / "custom.py").write_text(TRANSFORM)
    metadata(path, *REQUIREMENTS)
    with (path / "model-metadata.yaml").open("a") as stream:
        stream.write(INPUT)
    return ModelFolder("schema", lambda _: None, "", ("--target-type", "transform", "--logging-level", "info")), path


@pytest.fixture(scope="module")
def drums(
    model: tuple[ModelFolder, Path], drum_oracle: DrumOracle, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, str]]:
    """The real DRUM's lines."""
    folder, path = model
    return logged(start_drum(drum_oracle, folder.command_line(path), tmp_path_factory.mktemp("log") / "drum.log", {}))


def logged(server: ServerProcess) -> list[tuple[str, str]]:
    """Level and text of each line about the schema, after all requests and the end of the server."""
    try:
        server.wait_ready()
        statuses = [server.send(each).status for each in requests()]
    finally:
        server.stop()
    text = server.output()
    assert statuses == [200, 422, 200, 200]
    assert "Traceback" not in text
    assert "schema validation failed for output" not in text
    lines = (LINE.match(line) for line in text.splitlines())
    return [(line["level"], WORKER.sub("}", line["text"])) for line in lines if line is not None]


@pytest.mark.timeout(300)
def test_drum_says_what_the_contract_has(drums: list[tuple[str, str]]) -> None:
    errors = [text for level, text in drums if level == "ERROR"]
    assert len(errors) == 4
    assert errors[0] == (
        "Schema validation found mismatch between output dataset and the supplied schema {'request_id': 'of-text'}"
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("side", ["pool", "inline", "adapter"])
def test_same_schema_lines(
    side: str,
    drums: list[tuple[str, str]],
    model: tuple[ModelFolder, Path],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """The same lines in the same order, of the same level and logger, about the same requests; and no traceback."""
    log = tmp_path / "ours.log"
    if side == "adapter":
        ours = start_adapter(request.getfixturevalue("python_with_drum"), *model, log)
    else:
        ours = start_ours(*model, log, executor=side)
    assert logged(ours) == drums
