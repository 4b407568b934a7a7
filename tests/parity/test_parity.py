"""The real DRUM and ours side by side: every request of the corpus goes to both and the answers must agree.

What may differ is listed in ``differences.py``. The default run takes the most telling folders; ``-m slow`` the rest.
"""

from __future__ import annotations

import pytest

from parity.compare import Counters, ask_drum, compare, compare_answers, marked
from parity.corpus import corpus
from support.servers.fleet import Fleet
from support.zoo import known_folders

EXECUTOR = "pool"
CORE = {
    "regression", "binary", "hooks_regression", "hooks_binary", "text", "chat_text", "unstructured", "transform",
    "prediction_server_hooks",
}  # fmt: skip
OTHERS = ("inline", "adapter")
"""The other executor, and the pool over DRUM's own predictors (``--predictor drum``)."""
OTHERS_CORE = {"hooks_binary", "chat_text"}


def parameters(core: set[str]) -> list[object]:
    return [
        pytest.param(name, marks=() if name in core else (pytest.mark.slow,))
        for name, folder in known_folders().items()
        if folder.drum
    ]


def test_corpus_is_large_enough() -> None:
    """At least 400 requests in the default run."""
    folders = known_folders()
    assert sum(len(list(corpus(folders[name]))) for name in CORE) >= 400


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", parameters(CORE))
def test_same_answers(fleet: Fleet, name: str, record_property: object) -> None:
    folder = known_folders()[name]
    fleet.begin_all(("drum", EXECUTOR), name)
    drum, _ = fleet.serving("drum", name)
    ours, _ = fleet.serving(EXECUTOR, name)
    counters = Counters()
    found = [
        text
        for request in corpus(folder)
        if (text := compare(drum, ours, request, folder.target_type, counters)) is not None
    ]
    print(f"{name}: {counters.requests} requests, {counters.equal} equal, deliberate: {counters.topics}")
    assert not found, f"{len(found)} of {counters.requests} differ:\n" + "\n".join(found[:60])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", parameters(OTHERS_CORE))
def test_same_answers_of_other_executor_and_predictor(fleet: Fleet, name: str) -> None:
    folder = known_folders()[name]
    fleet.begin_all(("drum", *OTHERS), name)
    drum, _ = fleet.serving("drum", name)
    servers = {backend: fleet.serving(backend, name)[0] for backend in OTHERS}
    counters_by_backend = {backend: Counters() for backend in OTHERS}
    found = []
    for request in corpus(folder):
        theirs = ask_drum(drum, marked(request))
        for backend, server in servers.items():
            text = compare_answers(theirs, server, request, folder.target_type, counters_by_backend[backend])
            if text is not None:
                found.append(f"{backend}: {text}")
    for backend, counters in counters_by_backend.items():
        print(f"{name}, {backend}: {counters.requests} requests, {counters.equal} equal, deliberate: {counters.topics}")
    assert not found, f"{len(found)} differ:\n" + "\n".join(found[:60])
