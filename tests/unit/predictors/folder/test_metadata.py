"""``model-metadata.yaml``: contract, 1.5 and section 8, Q-22. Expected texts and echoes are DRUM 1.18.1's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.folder.metadata import read_metadata

MakeFolder = Callable[..., Path]

REGRESSION = "name: n\ntype: inference\ntargetType: regression\n"
BINARY = "name: n\ntype: inference\ntargetType: binary\n"
MULTICLASS = "name: n\ntype: inference\ntargetType: multiclass\n"
MINIMAL = {"name": "n", "type": "inference", "targetType": "regression"}


@pytest.fixture
def read(make_folder: MakeFolder) -> Callable[[str | bytes], dict[str, Any] | None]:
    return lambda content: read_metadata(make_folder({"model-metadata.yaml": content}))


def test_no_file(make_folder: MakeFolder) -> None:
    assert read_metadata(make_folder({})) is None


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        ("", {}),
        (
            "inferenceModel:\n  targetName: a\n  predictionThreshold: 1\nmajorVersion: no\nenvironmentID: 0123\n",
            {
                "inferenceModel": {"targetName": "a", "predictionThreshold": 1},
                "majorVersion": False,
                "environmentID": "0123",
            },
        ),
        ("description: |\n  two\n  lines\n", {"description": "two\nlines\n"}),
        (
            "runtimeParameterDefinitions:\n  - fieldName: A\n    type: numeric\n    defaultValue: 5\n",
            {"runtimeParameterDefinitions": [{"fieldName": "A", "type": "numeric", "defaultValue": "5"}]},
        ),
        (
            "typeSchema:\n  input_requirements:\n    - field: number_of_columns\n      condition: IN\n"
            "      value:\n        - 1\n        - 2\n  output_requirements:\n    - field: sparse\n"
            "      condition: EQUALS\n      value: NEVER\n",
            {
                "typeSchema": {
                    "input_requirements": [{"field": "number_of_columns", "condition": "IN", "value": [1, 2]}],
                    "output_requirements": [{"field": "sparse", "condition": "EQUALS", "value": "NEVER"}],
                }
            },
        ),
        (
            "hyperparameters:\n  - name: a\n    type: multi\n    values:\n      int:\n        min: 1\n        max: 3\n",
            {"hyperparameters": [{"name": "a", "type": "multi", "values": {"int": {"min": "1", "max": "3"}}}]},
        ),
        (
            "inputSchema:\n  type: object\n  properties:\n    a:\n      type: string\n",
            {"inputSchema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        ),
    ],
)
def test_echo(read: Callable[[str], Any], text: str, echo: dict[str, Any]) -> None:
    assert read(REGRESSION + text) == MINIMAL | echo


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The model_metadata.yaml file appears to be empty."),
        ("# c\n", "Invalid model-metadata.yaml: when expecting a mapping\nfound arbitrary text"),
        ("name: n\ntargetType: regression\n", "required key(s) 'type' not found"),
        (REGRESSION + "zzz: 1\n", "unexpected key not in schema 'zzz'"),
        ("name: n\n  - a: [\n", "Invalid model-metadata.yaml: mapping values are not allowed here"),
        (REGRESSION + "inferenceModel:\n  predictionThreshold: 0.5\n", "when expecting an integer"),
        (
            REGRESSION + "hyperparameters: []\n",
            "\nStrictYAMLError: The current format does not comply with strict yaml rules. "
            "(Empty list on fields are not allowed)\nWhile scanning\n",
        ),
        (REGRESSION + "name: b\n", "Duplicate key 'name' found"),
        (
            REGRESSION + "typeSchema:\n  output_requirements:\n    - field: sparse\n      condition: EQUALS\n"
            "      value: REQUIRED\n",
            "when expecting one of: NEVER, DYNAMIC, ALWAYS, IDENTITY",
        ),
        (
            REGRESSION + "typeSchema:\n  output_requirements:\n    - field: sparse\n      condition: IN\n"
            "      value: NEVER\n",
            "when expecting one of: EQUALS",
        ),
        (
            REGRESSION + "inputSchema:\n  type: array\n  properties: b\n",
            "Error creating pydantic model from input schema: Only 'object' type schemas are supported, got 'array'",
        ),
        (
            REGRESSION + "inputSchema:\n  type: object\n  properties: b\n",
            "Error creating pydantic model from input schema: 'properties' must be a dictionary, got '<class 'str'>'",
        ),
    ],
)
def test_refused(read: Callable[[str], Any], text: str, message: str) -> None:
    with pytest.raises(ModelLoadError) as caught:
        read(text)
    assert message in str(caught.value)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("name: n\ntype: inference\ntargetTyp: regression\n", 3, "did you mean targetType?"),
        (REGRESSION + "inferenceModel:\n  targetNam: a\n", 5, "did you mean targetName?"),
        (REGRESSION + "zzz: 1\n", 4, ""),
        ("name: n\n  type: inference\n", 2, ""),
        (REGRESSION + "majorVersion: []\n", 4, ""),
    ],
)
def test_the_place_of_a_typo(make_folder: MakeFolder, text: str, line: int, remedy: str) -> None:
    """By the file's path, and without a traceback of the parser."""
    folder = make_folder({"model-metadata.yaml": text})
    with pytest.raises(ModelLoadError) as caught:
        read_metadata(folder)
    assert f'in "{folder / "model-metadata.yaml"}", line {line}' in caught.value.reason
    assert "unicode string" not in str(caught.value)
    assert caught.value.remedy == remedy
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_not_utf8(read: Callable[[bytes], Any]) -> None:
    with pytest.raises(ModelLoadError, match=r"^'utf-8' codec can't decode byte 0xff in position 6"):
        read(b"name: \xff\xfe\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            BINARY,
            "The following keys are missing in model-metadata.yaml file.\nMissing keys: ['inferenceModel']",
        ),
        (
            BINARY + "inferenceModel:\n  targetName: t\n",
            "The following keys are missing in model-metadata.yaml file.\n"
            "Missing keys: ['positiveClassLabel', 'negativeClassLabel']",
        ),
        (
            MULTICLASS + "inferenceModel:\n  classLabels:\n    - a\n    - b\n  classLabelsFile: x\n",
            "\nError - for multiclass classification, either the class labels or a class labels file should be "
            "provided in model-metadata.yaml file, but not both.",
        ),
        (
            MULTICLASS + "inferenceModel:\n  targetName: t\n",
            "\nError - for multiclass classification, either the class labels or a class labels file must be "
            "provided in model-metadata.yaml file.",
        ),
        (
            MULTICLASS + "inferenceModel:\n  classLabelsFile: /nowhere/labels\n",
            "[Errno 2] No such file or directory: '/nowhere/labels'",
        ),
    ],
)
def test_label_rules_of_inference_models(read: Callable[[str], Any], text: str, message: str) -> None:
    with pytest.raises(ModelLoadError) as caught:
        read(text)
    assert str(caught.value) == message


def test_training_models_have_no_label_rules(read: Callable[[str], Any]) -> None:
    assert read(BINARY.replace("inference", "training"))["type"] == "training"


def test_labels_file_replaces_labels(read: Callable[[str], Any], tmp_path: Path) -> None:
    (tmp_path / "labels").write_bytes(b"a\r\n\n b \n")
    metadata = read(MULTICLASS + f"inferenceModel:\n  classLabelsFile: {tmp_path / 'labels'}\n")
    assert metadata["inferenceModel"] == {"classLabels": ["a", " b "], "classLabelsFile": None}


def test_labels_file_with_one_label(read: Callable[[str], Any], tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("a\n")
    with pytest.raises(ModelLoadError, match=r"^multiclass classification requires at least 2 labels\.$"):
        read(MULTICLASS + f"inferenceModel:\n  classLabelsFile: {tmp_path / 'labels'}\n")


NAME_RULE = (
    "Only Eng characters and underscore are allowed. The parameter name should not start or end with the underscore."
)


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("name: a\n    type: zzz", "{'type': 'is invalid'}"),
        ("name: a\n    min: 1", '"type": "is required"'),
        ("type: int\n    min: 1\n    max: 3", '{"name": "is required"}'),
        ("name: a\n    type: int", '{"min": "is required", "max": "is required"}'),
        ("name: a\n    type: int\n    min: x\n    max: 3", '{"min": "value can\'t be converted to int, got \'x\'"}'),
        ("name: a\n    type: int\n    min: 1\n    max: 3\n    zzz: 4", '{"zzz": "zzz is not allowed key"}'),
        ("name: a\n    type: string\n    min: 4", '{"min": "min is not allowed key"}'),
        ("name: a\n    type: float\n    min: 1\n    max: 1", "Invalid float parameter a: max must be greater than min"),
        (
            "name: a\n    type: float\n    min: 0.1\n    max: 0.5\n    default: 0.9",
            "Invalid float parameter a: values must be between [0.1, 0.5]",
        ),
        ("name: a\n    type: select\n    values: q", '{"values": "value is not a list, got \'q\'"}'),
        ("name: a\n    type: multi", '{"values": "is required"}'),
        ("name: a\n    type: multi\n    values:\n      - q", '{"values": "value is not a dict, got [\'q\']"}'),
        (
            "name: a\n    type: multi\n    values:\n      int:\n        min: 9\n        max: 3",
            "Invalid int parameter a__int: max must be greater than min",
        ),
        (
            "name: a\n    type: multi\n    values:\n      int:\n        min: 1\n      zzz: 3",
            '{"values": {"zzz": "zzz is not allowed key", "int": {"max": "is required"}}}',
        ),
        ("name: _a\n    type: string", f"Invalid param name: _a. {NAME_RULE}"),
    ],
)
def test_hyperparameters_refused(read: Callable[[str], Any], parameter: str, message: str) -> None:
    with pytest.raises(ModelLoadError) as caught:
        read(REGRESSION + f"hyperparameters:\n  - {parameter}\n")
    assert str(caught.value) == message
