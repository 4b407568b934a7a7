"""The contract as data: for every model folder the requests and what must come back.

Expectations are written from the contract's sections 3, 4 and 8, never from what a server was seen to answer.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence

from support.cases import Case

MODULES = ("routes", "payloads", "predictions", "labels", "hooks", "number_formats", "prediction_server", "text",
           "chat", "unstructured", "transforms", "tasks")  # fmt: skip


def all_cases() -> Mapping[str, Sequence[Case]]:
    """Cases by name of the model folder."""
    found: dict[str, list[Case]] = {}
    for module in MODULES:
        for name, cases in importlib.import_module(f"contract.cases.{module}").CASES.items():
            found.setdefault(name, []).extend(cases)
    for name, cases in found.items():
        names = [case.name for case in cases]
        repeated = {each for each in names if names.count(each) > 1}
        if repeated:
            raise ValueError(f"{name}: two cases are called {repeated}")
    return found
