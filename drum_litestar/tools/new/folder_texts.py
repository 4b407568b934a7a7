"""The other files of a new model folder: metadata, the model's numbers, sample input, requirements, README."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from drum_litestar.predictors.protocol import TargetType

_HOUSES: Final = "size,rooms\n50,2\n80,3\n120,5\n"
_PROMPTS: Final = 'promptText\nWhere is the station?\n"Is there a café, please?"\n'
_ANSWERS: Final = {
    "answers": {"station": "Straight on, then left at the bridge.", "café": "Just around the corner."},
    "otherwise": "I do not know.",
}
_CHAT: Final = json.dumps({"model": "example", "messages": [{"role": "user", "content": "Where is the station?"}]})


class Example(NamedTuple):
    """What a new folder of one target type has besides its hooks."""

    model: Mapping[str, Any]
    """Content of ``model.json``."""
    target: str
    """The target's name."""
    data: str = _HOUSES
    file: str = "data.csv"
    """Name of the sample input."""
    labels: str = ""
    """Lines of ``inferenceModel``."""


_LIST: Final = "  classLabels:\n    - {}\n    - {}\n    - {}\n"

EXAMPLES: Final[Mapping[TargetType, Example]] = {
    TargetType.REGRESSION: Example({"base": 20000, "size": 3000, "rooms": 5000}, "price"),
    TargetType.ANOMALY: Example({"usual_size": 80}, "anomaly"),
    TargetType.GEO_POINT: Example({"east": 13.4, "north": 52.5}, "place", "east,north\n0.01,0.02\n-0.03,0.01\n"),
    TargetType.BINARY: Example(
        {"middle": 80, "scale": 20}, "sold", labels="  positiveClassLabel: yes\n  negativeClassLabel: no\n"
    ),
    TargetType.MULTICLASS: Example(
        {"labels": ["small", "middle", "large"], "sizes": {"small": 50, "middle": 80, "large": 120}, "scale": 20},
        "kind",
        labels=_LIST.format("small", "middle", "large"),
    ),
    TargetType.MULTILABEL: Example({"largest": 150}, "features", labels=_LIST.format("garden", "balcony", "lift")),
    TargetType.TEXT_GENERATION: Example(_ANSWERS, "completion", _PROMPTS),
    TargetType.AGENTIC_WORKFLOW: Example(_ANSWERS, "completion", _PROMPTS),
    TargetType.VECTOR_DATABASE: Example(
        {"passages": ["The station is behind the bridge.", "The bridge is closed.", "The café is around the corner."]},
        "relevant",
        "query\nbridge\ncafé\n",
    ),
    TargetType.TRANSFORM: Example({"fewest_rooms": 1}, "features"),
    TargetType.UNSTRUCTURED: Example(
        {"longest": 40}, "answer", "How long is the longest of these words?\n", "data.txt"
    ),
}

REQUIREMENTS: Final = """\
# What the model needs beside the server, one a line; DataRobot installs it when it builds the model's environment.
pandas
"""


class Commands(NamedTuple):
    """The lines that run a new folder."""

    server: str
    requests: tuple[str, ...]
    predict: str
    check: str


def commands(target_type: TargetType, folder: str, address: str = "127.0.0.1:8080") -> Commands:
    """``folder`` is quoted for a shell."""
    example = EXAMPLES[target_type]
    name = f"TARGET_NAME={example.target} " if target_type.is_text else ""
    data, url = f"{folder}/{example.file}", f"http://{address}"
    if target_type is TargetType.UNSTRUCTURED:
        requests = [f"curl -H 'Content-Type: text/plain' --data-binary @{data} {url}/predictUnstructured/"]
    else:
        route = "transform" if target_type is TargetType.TRANSFORM else "predict"
        requests = [f"curl -F X=@{data} {url}/{route}/"]
    if target_type.generates_text:
        requests.append(f"curl -H 'Content-Type: application/json' -d @{folder}/chat.json {url}/chat/completions")
    return Commands(
        f"{name}drum-litestar server --code-dir {folder} --address {address}",
        tuple(requests),
        f"{name}drum-litestar predict {folder} {data}",
        f"{name}drum-litestar check --code-dir {folder} --load --row {data}",
    )


def metadata(target_type: TargetType, name: str) -> str:
    """``model-metadata.yaml``."""
    example = EXAMPLES[target_type]
    return (
        f"# What this model is. DataRobot's strict YAML: every value is a text, and unknown keys are errors.\n"
        f"name: {json.dumps(name, ensure_ascii=False)}\n"
        f"type: inference\n"
        f"targetType: {target_type.value}\n"
        f"inferenceModel:\n"
        f"  targetName: {example.target}\n"
        f"{example.labels}"
    )


def readme(target_type: TargetType, name: str, *, asynchronous: bool) -> str:
    """``README.md``; its commands run inside the folder."""
    example, lines = EXAMPLES[target_type], commands(target_type, ".")
    chat = "- `chat.json`: a request to `/chat/completions`\n" if target_type.generates_text else ""
    only_here = "Its hooks are `async def`, which drum-litestar serves and DataRobot's own DRUM does not.\n"
    requests = "\n".join(f"    {line}" for line in lines.requests)
    return (
        f"# {name}\n\nA model folder of target type `{target_type.value}`.\n{only_here if asynchronous else ''}\n"
        f"- `custom.py`: the hooks; each says when it is called and what it must return\n"
        f"- `model.json`: the numbers and texts that stand for a trained model; `load_model` reads it\n"
        f"- `model-metadata.yaml`: target type, target and labels\n"
        f"- `requirements.txt`: packages that the model needs\n"
        f"- `{example.file}`: rows to try it with\n{chat}\n"
        f"Serve it, and ask it:\n\n    {lines.server}\n{requests}\n\n"
        f"Score a file without a server, and try the folder before it is served:\n\n"
        f"    {lines.predict}\n    {lines.check}\n"
    )


def files(target_type: TargetType, name: str, *, asynchronous: bool) -> dict[str, str]:
    """All files but ``custom.py``, by name."""
    example = EXAMPLES[target_type]
    found = {
        "model.json": json.dumps(example.model, indent=2, ensure_ascii=False) + "\n",
        "model-metadata.yaml": metadata(target_type, name),
        "requirements.txt": REQUIREMENTS,
        example.file: example.data,
        "README.md": readme(target_type, name, asynchronous=asynchronous),
    }
    if target_type.generates_text:
        found["chat.json"] = _CHAT + "\n"
    return found
