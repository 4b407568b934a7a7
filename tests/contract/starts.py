"""Model folders that cannot be served, and what must be said of each (contract, 1.5, 4.1, 4.3, 5.1, 5.2, section 8)."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.zoo.artifacts import classifier, dump

Build = Callable[[Path], None]


@dataclass(frozen=True)
class Start:
    """A folder, how it is started, and the error's text; ``{dir}`` in text and arguments is the folder's path.

    ``like`` makes ``text`` a pattern. ``differs``: the row of section 8 by which the real DRUM says something else.
    """

    name: str
    build: Build
    text: str
    args: tuple[str, ...] = ("--target-type", "regression")
    env: Mapping[str, str] = field(default_factory=dict)
    exit_code: int = 1
    like: bool = False
    differs: str | None = None

    def command_line(self, path: Path) -> list[str]:
        return ["-cd", str(path), *(word.replace("{dir}", str(path)) for word in self.args)]

    def says(self, found: str, path: Path) -> bool:
        expected = self.text.replace("{dir}", re.escape(str(path)) if self.like else str(path))
        return re.fullmatch(expected, found, re.DOTALL) is not None if self.like else found == expected


def custom(source: str, **files: str | bytes) -> Build:
    """A folder with ``custom.py`` and further files (``__`` in a name is a dot, ``___`` a slash)."""

    def build(path: Path) -> None:
        (path / "custom.py").write_text(source)
        others(path, files)

    return build


def only(**files: str | bytes) -> Build:
    return lambda path: others(path, files)


def artifact(classes: list[str]) -> Build:
    """A folder with a classifier alone."""
    return lambda path: dump(classifier(classes), path)


def others(path: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        target = path / name.replace("___", "/").replace("__", ".")
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)


HOOKS = "def load_model(code_dir):\n    return 1\n\n\ndef score(data, model, **kwargs):\n    return data\n"
LOADING = "An error occurred when loading your artifact: "
PYTHON = "\n\nRunning environment language: Python.\n"
NOT_BOTH = "Use either one of them or make them match."
ONE_OF = "They must be provided with either one:"


def failing_load(body: str) -> Build:
    return custom(f"def load_model(code_dir):\n    {body}\n\n\ndef score(data, model, **kwargs):\n    return data\n")


def metadata(*lines: str) -> str:
    return "\n".join(["name: model", "type: training", *lines]) + "\n"


def schema(field: str, condition: str, value: str) -> str:
    return metadata(
        "targetType: transform",
        "typeSchema:",
        "  output_requirements:",
        f"    - field: {field}",
        f"      condition: {condition}",
        "      value:" + value,
    )


BINARY = ("--target-type", "binary")
YES_NO = (*BINARY, "--positive-class-label", "yes", "--negative-class-label", "no")
ABC = ("--target-type", "multiclass", "--class-labels", "a", "b", "c")

STARTS = (
    Start("no target type", custom(HOOKS),
          "Target type is missing. It must be provided in --target-type argument, TARGET_TYPE env var or model config "
          "file.", args=()),
    Start("two target types", custom(HOOKS, **{"model-metadata__yaml": metadata("targetType: anomaly")}),
          "Target type provided in --target-type argument doesn't match target type from model config file. "
          + NOT_BOTH),
    Start("binary without labels", custom(HOOKS),
          f"Positive/negative class labels are missing. {ONE_OF} --positive-class-label/--negative-class-label "
          "arguments, environment variables, model config file.", args=BINARY),
    Start("multiclass without labels", custom(HOOKS),
          f"Class labels are missing. {ONE_OF} --class-labels/--class-labels-file arguments, environment variables, "
          "model config file.", args=("--target-type", "multiclass")),
    Start("labels that collide", custom(HOOKS), ".*(yes|1).*", like=True, differs="Q-2",
          args=("--target-type", "multiclass", "--class-labels", "yes", "1", "no")),
    Start("nothing in the folder", only(readme__txt=""),
          "Can not detect language by artifacts and/or custom.py/R files.\n"
          "Detected: language by artifacts - None; language by custom - None.\n.*\nreadme.txt\n", like=True),
    Start("no loadable artifact", custom("def score(data, model, **kwargs):\n    return data\n"),
          LOADING + PYTHON + "Could not find model artifact file in: {dir} supported by default predictors.\n"
          "They support filenames with the following extensions ['.h5', '.onnx', '.pkl', '.pth'].\n"
          "If your artifact is not supported by default predictor, implement custom.load_model() hook.\n"
          "List of retrieved files are: custom.py"),
    Start("a damaged joblib file", only(a__joblib=b"x"),
          LOADING + r"Could not load model from the artifact file. Exception: UnpicklingError\(.*", like=True,
          differs="Artifacts of joblib"),
    Start("labels that are not the model's", artifact(["a", "b"]),
          "The class labels 'yes', 'no' are not the model's classes 'a', 'b': 'yes' is none of them. 'no' is none of "
          "them. No request could be answered.", args=YES_NO, differs="A model that could answer no request"),
    Start("a classifier of words as regression", artifact(["a", "b"]),
          "The model (LogisticRegression) is a classifier with the classes 'a', 'b', but the target type is "
          "regression: its predictions are class labels, not numbers. No request could be answered.",
          differs="A model that could answer no request"),
    Start("two artifacts", only(a__pkl=b"x", b__PKL=b"x"),
          LOADING + PYTHON + "Multiple serialized model files found. Remove extra artifacts or overwrite "
          "custom.load_model()\nList of retrieved files are: a.pkl | b.PKL"),
    Start("broken artifact", only(a__pkl=b"not a pickle"),
          LOADING + "Could not load model from the artifact file. Exception: "
          "UnpicklingError(\"invalid load key, 'n'.\")"),
    Start("an artifact of no framework", only(a__pkl=pickle.dumps({"a": 1})),
          LOADING + PYTHON + "Could not find any framework to handle loaded model and a score hook is not provided"),
    Start("load_model raises", failing_load("raise ValueError('cannot')"),
          LOADING + "'load_model' hook failed to load the model. Exception: ValueError('cannot')"),
    Start("load_model returns None", failing_load("return None"),
          LOADING + "'load_model' hook failed to load model, None is returned."),
    Start("load_model raises a user error",
          failing_load("from datarobot_drum import CustomHTTPError; raise CustomHTTPError('not today', 418)"),
          "not today"),
    Start("import error", custom("import nosuchmod\n"),
          PYTHON + "Failed loading hooks from [{dir}/custom.py] : No module named 'nosuchmod'"),
    Start("error while importing", custom("raise ValueError('at import')\n"), "at import"),
    Start("syntax error", custom("def broken(:\n"), ".*invalid syntax.*", like=True),
    Start("init raises", custom("def init(code_dir):\n    raise RuntimeError('init says no')\n" + HOOKS),
          "init says no"),
    Start("two custom.py", custom(HOOKS, sub___custom__py=HOOKS),
          r"Found too many custom hook files: \[PosixPath\('{dir}/(sub/)?custom.py'\), "
          r"PosixPath\('{dir}/(sub/)?custom.py'\)\]", like=True),
    Start("no target name", custom(HOOKS),
          "Unexpected empty target name for text generation, vector database, or agentic workflow target.",
          args=("--target-type", "textgeneration")),
    Start("no score_unstructured", custom("def load_model(code_dir):\n    return 1\n"),
          "In 'unstructured' mode hook 'score_unstructured' must be provided.",
          args=("--target-type", "unstructured")),
    Start("nothing to transform with", custom("def load_model(code_dir):\n    return 1\n"),
          LOADING + "A transform task requires a user-defined transform hook for non-sklearn transformers",
          args=("--target-type", "transform")),
    Start("not a task class", custom("class CustomTask:\n    pass\n"),
          "The CustomTask class must inherit from the CustomTaskInterface"),
    Start("schema that makes no sense",
          custom("def load_model(code_dir):\n    return 1\n\n\ndef transform(data, model):\n    return data\n",
                 **{"model-metadata__yaml": schema("number_of_columns", "EQUALS", "\n        - 1\n        - 2")}),
          r".*EQUALS only accepts a single value for: \[1, 2\].*", like=True, exit_code=3, differs="Q-22",
          args=("--target-type", "transform")),
    Start("metadata that is not strict", custom(HOOKS, **{"model-metadata__yaml": metadata("targetType: regression",
                                                                                         "hyperparameters: []")}),
          ".*(strict yaml rules|flow).*", like=True),
    Start("broken deployment config", custom(HOOKS, d__json="{"),
          "Failed to parse deployment config json file '{dir}/d.json'",
          args=("--target-type", "regression", "--deployment-config", "{dir}/d.json")),
    Start("deployment config without a target", custom(HOOKS, d__json="{}"),
          "'target' section not found in deployment config json file {dir}/d.json",
          args=("--target-type", "regression", "--deployment-config", "{dir}/d.json")),
    Start("moderation without its package", custom(HOOKS, moderation_config__yaml="guards: []\n"), ".*datarobot.dome.*",
          like=True, differs="Q-14", args=("--target-type", "textgeneration"), env={"TARGET_NAME": "t"}),
)  # fmt: skip
