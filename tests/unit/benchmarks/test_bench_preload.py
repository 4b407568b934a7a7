"""The parts of ``benchmarks/costs/preload.py`` with a small model."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

pytest.importorskip("uvloop")
pytest.importorskip("pyarrow")

from benchmarks.costs import preload
from support.data import continuous_target, table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    linear_model = pytest.importorskip("sklearn.linear_model")
    data = table(50)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(linear_model.Ridge().fit(data, continuous_target(data))))
    return tmp_path


@pytest.mark.parametrize("way", ["frozen", "not frozen"])
def test_children_of_a_loaded_process_are_measured(folder: Path, way: str) -> None:
    loaded, said, took, total, pss, uss = preload.in_process("forked", str(folder), way)
    assert said == way
    assert float(loaded) > 0
    assert float(took) > 0
    shared, own = ([int(size) for size in sizes.split(" + ")] for sizes in (pss, uss))
    assert len(shared) == len(own) == preload.CHILDREN
    assert int(total) > sum(shared)
    assert all(0 < mine <= both for mine, both in zip(own, shared, strict=True))


def test_threads_are_counted_and_forks_asked(folder: Path) -> None:
    loaded, pythons, before, predicted, after = preload.in_process("counted", str(folder))
    assert int(loaded) >= int(pythons) >= 1
    assert int(predicted) >= 1
    assert (before, after) == ("yes", "yes")
