"""Frames that hypothesis makes up, sent to the real DRUM and to ours."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parity.compare import Counters, ask_drum, compare_answers, marked
from support.data import FEATURES
from support.servers.fleet import Fleet
from support.wire import csv, upload
from support.zoo import known_folders

VARIANTS = ("pool", "inline", "adapter")
"""Our pool, our inline executor, and our pool over DRUM's own predictors."""
PLAN = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
names = st.lists(words.filter(lambda name: name not in ("do", "action")), min_size=1, max_size=5)
cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    words,
    st.sampled_from(["NA", "null", "True", "false", "00123", "1e5", "2024-01-02", " x ", "inf", "-", '"', "a,b"]),
)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Columns of mixed cells under any names, repeats allowed."""
    columns = draw(names)
    rows = draw(st.lists(st.lists(cells, min_size=len(columns), max_size=len(columns)), max_size=8))
    frame: pd.DataFrame = pd.DataFrame(rows, columns=pd.Index(columns, dtype=object), dtype=object)
    return frame


numbers = st.one_of(st.floats(-1e6, 1e6), st.integers(-(10**6), 10**6), st.sampled_from(["", "NaN", "1e400", "x"]))
rows_of_ten = st.lists(st.lists(numbers, min_size=10, max_size=10), min_size=1, max_size=6)


@pytest.fixture(params=["default", pytest.param("all", marks=pytest.mark.slow)])
def variants(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return VARIANTS if request.param == "all" else VARIANTS[:1]


def agree(fleet: Fleet, variants: tuple[str, ...], name: str, body: bytes, target: str = "/predict/") -> None:
    """DRUM is asked once for all variants."""
    fleet.begin_all(("drum", *variants), name)
    drum, _ = fleet.serving("drum", name)
    for request in (csv(body, target), upload(body, target=target)):
        theirs = ask_drum(drum, marked(request))
        for variant in variants:
            ours, _ = fleet.serving(variant, name)
            difference = compare_answers(theirs, ours, request, known_folders()[name].target_type, Counters())
            assert difference is None, f"{variant}: {difference}"


@pytest.mark.timeout(600)
@PLAN
@given(frame=frames())
def test_frames_are_read_alike(fleet: Fleet, variants: tuple[str, ...], frame: pd.DataFrame) -> None:
    """A hook shows what it received."""
    agree(fleet, variants, "text", frame.to_csv(index=False).encode("utf-8", "surrogatepass"))


@pytest.mark.timeout(600)
@PLAN
@given(rows=rows_of_ten)
def test_numbers_are_predicted_alike(fleet: Fleet, variants: tuple[str, ...], rows: list[list[object]]) -> None:
    agree(fleet, variants, "regression", pd.DataFrame(rows, columns=list(FEATURES)).to_csv(index=False).encode())


@pytest.mark.timeout(600)
@PLAN
@given(frame=frames())
def test_frames_are_transformed_alike(fleet: Fleet, variants: tuple[str, ...], frame: pd.DataFrame) -> None:
    """Through the transform route, where the frame comes back as CSV."""
    agree(fleet, variants, "transform", frame.to_csv(index=False).encode("utf-8", "surrogatepass"), "/transform/")
