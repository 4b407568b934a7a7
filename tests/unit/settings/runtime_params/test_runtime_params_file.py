"""Texts and written variables were compared with datarobot-drum 1.18.1."""

from __future__ import annotations

from pathlib import Path

import pytest

from drum_litestar.errors import StartupError
from drum_litestar.settings.runtime_params import parameters_file as runtime_params_file

HEAD = "name: x\ntype: inference\ntargetType: regression\n"


def define(*entries: str) -> str:
    return HEAD + "runtimeParameterDefinitions:\n" + "".join(entries)


def entry(name: str, kind: str, **keys: str) -> str:
    lines = [f"  - fieldName: {name}", f"    type: {kind}", *(f"    {key}: {value}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"


def load(folder: Path, metadata: str | None, values: str) -> dict[str, str]:
    if metadata is not None:
        (folder / "model-metadata.yaml").write_text(metadata)
    (folder / "values.yaml").write_text(values)
    environ: dict[str, str] = {}
    runtime_params_file.load(folder / "values.yaml", folder, environ)
    return environ


def test_values_defaults_and_nulls_are_written(tmp_path: Path) -> None:
    metadata = define(
        entry("A", "string"),
        entry("B", "numeric", minValue="1", maxValue="5"),
        entry("C", "boolean"),
        entry("D", "boolean", defaultValue="true"),
        entry("E", "numeric", defaultValue="7"),
        entry("G", "credential", allowEmpty="false", other="x"),
        entry("H", "deployment"),
        entry("I", "numeric", defaultValue="5"),
        entry("J", "boolean", defaultValue="true"),
    )
    values = "A: x\nB: 3\nZ: 9\nG: {credentialType: basic, user: u}\nI: null\nJ: false\n"
    assert load(tmp_path, metadata, values) == {
        "MLOPS_RUNTIME_PARAM_A": '{"payload": "x", "type": "string"}',
        "MLOPS_RUNTIME_PARAM_B": '{"payload": 3, "type": "numeric"}',
        "MLOPS_RUNTIME_PARAM_C": '{"payload": null, "type": "boolean"}',
        "MLOPS_RUNTIME_PARAM_D": '{"payload": true, "type": "boolean"}',
        "MLOPS_RUNTIME_PARAM_E": '{"payload": 7, "type": "numeric"}',
        "MLOPS_RUNTIME_PARAM_G": '{"payload": {"credentialType": "basic", "user": "u"}, "type": "credential"}',
        "MLOPS_RUNTIME_PARAM_H": '{"payload": null, "type": "deployment"}',
        "MLOPS_RUNTIME_PARAM_I": '{"payload": null, "type": "numeric"}',
        "MLOPS_RUNTIME_PARAM_J": '{"payload": false, "type": "boolean"}',
    }


NOTHING_DEFINED = (
    "model-metadata.yaml: YAML file must contain at least one parameter definition in the section "
    "'runtimeParameterDefinitions'"
)
BOUNDED = entry("B", "numeric", minValue="1", maxValue="5")


def bad(name: str, reason: str) -> str:
    alternatives = "{0: DataError('value should be None'), 1: DataError('" + reason + "')}"
    return f"Failed to load runtime parameter '{name}'. {{'payload': DataError(\"{alternatives}\")}}"


@pytest.mark.parametrize(
    ("metadata", "values", "text"),
    [
        (None, "A: 1\n", "model-metadata.yaml must exist to use runtime parameters"),
        ("", "A: 1\n", "Model-metadata YAML file is empty!"),
        (HEAD, "A: 1\n", NOTHING_DEFINED),
        (HEAD + "runtimeParameterDefinitions:\n", "A: 1\n", NOTHING_DEFINED),
        (
            HEAD + "runtimeParameterDefinitions: abc\n",
            "A: 1\n",
            "Failed to load runtime parameter: value is not a dict",
        ),
        (
            HEAD + "runtimeParameterDefinitions:\n  a: b\n",
            "A: 1\n",
            "Failed to load runtime parameter: value is not a dict",
        ),
        (
            define(entry("A", "foo")),
            "A: 1\n",
            "Failed to load runtime parameter: {'type': DataError(\"value doesn't match any variant\")}",
        ),
        (
            define("  - type: string\n"),
            "A: 1\n",
            "Failed to load runtime parameter: {'fieldName': DataError('is required')}",
        ),
        (
            define("  - fieldName: A\n"),
            "A: 1\n",
            "Failed to load runtime parameter: {'type': DataError('is required')}",
        ),
        (
            define("  - type: foo\n    minValue: x\n    maxValue: [1]\n"),
            "A: 1\n",
            "Failed to load runtime parameter: {'fieldName': DataError('is required'), 'type': DataError(\"value "
            "doesn't match any variant\"), 'minValue': DataError('{0: DataError(\"value can\\'t be converted to "
            "float\"), 1: DataError(\\'value should be None\\')}'), 'maxValue': DataError(\"{0: DataError('value is "
            "not float'), 1: DataError('value should be None')}\")}",
        ),
        (
            define(entry("A", "string"), entry("A", "string")),
            "A: x\n",
            "Failed to load runtime parameter [A], duplicated definition",
        ),
        (define(BOUNDED), "", "Runtime parameter values YAML file is empty!"),
        (define(BOUNDED), "B: 9\n", bad("B", "value is greater than 5")),
        (define(BOUNDED), 'B: "9"\n', bad("B", "value is greater than 5")),
        (define(BOUNDED), "B: 0\n", bad("B", "value is less than 1")),
        (define(entry("A", "numeric", minValue="1.5")), "A: 1\n", bad("A", "value is less than 1.5")),
        (define(entry("A", "numeric", maxValue="5", defaultValue="9")), "X: 1\n", bad("A", "value is greater than 5")),
        (define(entry("A", "boolean")), "A: 1\n", bad("A", "value should be True or False")),
        (define(entry("A", "string")), "A: 1\n", bad("A", "value is not a string")),
        (define(entry("A", "string")), 'A: ""\n', bad("A", "blank value is not allowed")),
        (define(entry("A", "credential")), "A: x\n", bad("A", "value is not a dict")),
        (define(entry("A", "deployment")), "A: 5\n", bad("A", "value is not a string")),
    ],
)
def test_errors(tmp_path: Path, metadata: str | None, values: str, text: str) -> None:
    with pytest.raises(StartupError) as caught:
        load(tmp_path, metadata, values)
    assert str(caught.value) == text
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("metadata", "values", "start"),
    [
        ("a: [\n", "A: 1\n", "Invalid model-metadata YAML content! while parsing a flow node"),
        (define(BOUNDED), "a: [\n", "Invalid runtime parameter values YAML content! while parsing a flow node"),
        (define(BOUNDED), "- a\n", "Invalid runtime parameter values YAML content! a mapping is expected"),
        ("- a\n", "A: 1\n", "Invalid model-metadata YAML content! a mapping is expected"),
    ],
)
def test_broken_files(tmp_path: Path, metadata: str, values: str, start: str) -> None:
    with pytest.raises(StartupError) as caught:
        load(tmp_path, metadata, values)
    assert str(caught.value).startswith(start)


def test_nothing_is_written_when_one_value_is_bad(tmp_path: Path) -> None:
    (tmp_path / "model-metadata.yaml").write_text(define(entry("A", "string"), BOUNDED))
    (tmp_path / "values.yaml").write_text("A: x\nB: 9\n")
    environ: dict[str, str] = {}
    with pytest.raises(StartupError):
        runtime_params_file.load(tmp_path / "values.yaml", tmp_path, environ)
    assert environ == {}
