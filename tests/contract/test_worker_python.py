"""The contract's cases with a model that runs in an interpreter of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from contract.cases import all_cases
from support.cases import Case
from support.environments.worker_pythons import WORKERS_NEED, with_packages
from support.servers.fleet import Fleet
from support.wire import get

FOLDERS: Final = (
    "hooks_regression", "hooks_binary", "hooks_multiclass", "text", "unstructured", "async_unstructured", "chat_text",
    "chat_agent", "async_text", "transform", "transform_y", "transform_schema", "task_regression",
    "prediction_server_hooks",
)  # fmt: skip
"""Structured, unstructured, chat and transform; none has an artifact of this interpreter's scikit-learn."""

OTHER_TEXTS: Final = frozenset(
    {
        ("text", "sparse"), ("text", "beyond 64 bits"), ("chat_text", "stream"), ("chat_text", "stream as a list"),
        ("chat_text", "stream whatever 'stream' says"), ("chat_text", "line breaks inside a chunk"),
        ("chat_text", "long stream"), ("chat_text", "error in mid-stream"), ("chat_agent", "stream"),
    }
)  # fmt: skip
"""Cases that expect how pandas 3 shows a value, or in which order openai 3 writes a chunk's members. The last versions
for Python 3.8 are pandas 2.0 and openai 2.2. (``async_text`` streams too.)"""

QUICK: Final = frozenset({"hooks_binary", "text", "unstructured", "chat_text", "transform_schema"})
"""Folders of the default run, on Python 3.8; ``-m slow`` has the others, and Python 3.12."""

PYDANTIC: Final = "pydantic>=2"  # the hooks' openai objects write their JSON as pydantic does


def parameters() -> Iterator[Any]:
    for version in ("3.8", "3.12"):
        for folder in FOLDERS:
            marks = [] if version == "3.8" and folder in QUICK else [pytest.mark.slow]
            for case in all_cases()[folder]:
                yield pytest.param(version, folder, case, id=f"python{version}-{folder}-{case.name}", marks=marks)


@pytest.mark.parametrize(("version", "folder", "case"), list(parameters()))
def test_case(fleet: Fleet, version: str, folder: str, case: Case) -> None:
    if version == "3.8" and (folder, case.name) in OTHER_TEXTS:
        pytest.skip("the expected text is a later pandas' or openai's")
    fleet.worker_python = with_packages(version, *WORKERS_NEED, "scipy", "openai", PYDANTIC)
    server, path = fleet.serving("pool", folder)
    answer = server.send(case.request)
    case.check(answer, path)
    if case.status >= 400:
        assert server.send(get("/ping/")).status == 200
