"""Random conversations: no exception, no connection that stays, nothing that is still referred to."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.hostile.fuzzing import REQUESTS, WORDS, new_server, play
from support.hostile.in_memory import MemoryServer

WHOLE = [
    word
    for word in WORDS
    if len(word) < 100 and ((b"Expect" not in word and b" /" not in word) or b"/echo" in word or b" / " in word)
]
"""Words whose answers do not depend on when they arrive."""


@pytest.fixture(scope="module")
def server() -> Iterator[MemoryServer]:
    with new_server() as server:
        yield server


@given(data=st.binary(max_size=60))
@settings(max_examples=500, derandomize=True, deadline=None, database=None)
def test_random_bytes(server: MemoryServer, data: bytes) -> None:
    play(server, data)


@given(
    words=st.lists(st.sampled_from([*WHOLE, *REQUESTS, *REQUESTS]), max_size=12),
    cuts=st.lists(st.integers(0, 1000), max_size=6),
)
@settings(max_examples=400, derandomize=True, deadline=None, database=None)
def test_what_is_said_does_not_depend_on_how_it_arrives(
    server: MemoryServer, words: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(words)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges) if start < end]
    assert server.say(*pieces) == server.say(*([data] if data else []))
    assert server.problems == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_random_bytes_for_long(server: MemoryServer) -> None:
    choice = random.Random(17)
    for _ in range(200_000):
        play(server, choice.randbytes(choice.randrange(120)))
