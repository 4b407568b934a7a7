"""Steps of a canary, without servers: the tests pass in time and pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import UsageError
from drum_litestar.tools.compare.diff import Difference
from drum_litestar.tools.compare.live.rollout import Rollout, State, bucket
from drum_litestar.tools.compare.messages import Answer, Request
from drum_litestar.tools.compare.outcomes import paired
from drum_litestar.tools.compare.verdict import Thresholds

LIMITS = Thresholds(samples=5)


class Ended:
    count = 0

    def __call__(self) -> None:
        self.count += 1


def rollout(path: Path, limits: Thresholds = LIMITS, candidate: str = "http://c", hold: float = 10.0) -> Rollout:
    made = Rollout(path, State("http://b", candidate, (1.0, 50.0, 100.0), hold), limits, Ended())
    made.start()
    return made


def feed(made: Rollout, times: int, status: int = 200, seconds: float = 0.01, drift: bool = False) -> None:
    differences = (Difference("body", "1", "2"),) if drift else ()
    for _ in range(times):
        answers = Answer(200, seconds=0.01), Answer(status, seconds=seconds)
        made.count(paired(Request("1", "POST", "/predict/"), *answers, differences))


def test_steps_until_complete(tmp_path: Path) -> None:
    made = rollout(tmp_path / "state.json")
    seen = []
    for _ in range(3):
        seen.append(made.share)
        feed(made, 5)
        made.tick(9.0)
        assert made.share == seen[-1]
        made.tick(1.0)
    assert seen == [1.0, 50.0, 100.0]
    assert made.state.status == "complete"
    assert made.share == 100.0
    assert made._ended.count == 1  # type: ignore[attr-defined]


def test_a_step_waits_for_traffic(tmp_path: Path) -> None:
    made = rollout(tmp_path / "state.json")
    feed(made, 4)
    for _ in range(5):
        made.tick(10.0)
    assert made.share == 1.0
    assert sum("waiting for traffic: 4 of 5" in event.text for event in made.state.events) == 1
    feed(made, 1)
    made.tick(0.1)
    assert made.share == 50.0


@pytest.mark.parametrize(
    ("bad", "reason"),
    [({"status": 500}, "error rate"), ({"drift": True}, "mismatches"), ({"seconds": 0.02}, "p99 latency")],
)
def test_rolls_back(tmp_path: Path, bad: dict[str, Any], reason: str) -> None:
    made = rollout(tmp_path / "state.json")
    feed(made, 5, **bad)
    made.tick(0.1)
    assert made.share == 0.0
    assert made.state.reasons[0].startswith(reason)
    made.tick(100.0)
    feed(made, 5)
    assert made.state.status == "rolled back"
    assert made._ended.count == 1  # type: ignore[attr-defined]


def test_each_step_is_judged_by_its_own_requests(tmp_path: Path) -> None:
    """Each step is checked on its own latencies: fast answers at 1 % do not balance slow ones at 50 %."""
    made = rollout(tmp_path / "state.json")
    feed(made, 1000)
    made.tick(10.0)
    feed(made, 5, seconds=0.05)
    made.tick(0.1)
    assert made.state.status == "rolled back"


def test_resumes_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    first = rollout(path)
    feed(first, 5)
    first.tick(10.0)
    first.tick(4.0)
    second = rollout(path)
    assert second.resumed
    assert second.share == 50.0
    assert second.state.events[-1].text == "resumed at step 2/3 (50 %): 6 s left to hold"
    feed(second, 5)
    second.tick(6.0)
    assert second.share == 100.0


def test_stays_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    feed(rollout(path), 1, status=500)
    again = rollout(path)
    assert again.share == 0.0
    assert "rolled back in an earlier run" in again.state.events[-1].text


@pytest.mark.parametrize("content", ["", "{", "[]", '{"baseline": 1}'])
def test_unreadable_state(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"--state .*state\.json: cannot be read.*--restart"):
        rollout(path)


def test_state_of_another_rollout(tmp_path: Path) -> None:
    rollout(tmp_path / "state.json")
    with pytest.raises(UsageError, match=r"another rollout \(candidate http://c, not http://d\)"):
        rollout(tmp_path / "state.json", candidate="http://d")


def test_state_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        rollout(tmp_path / "absent" / "state.json")


def test_disk_trouble_later_does_not_stop_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    made = rollout(folder / "state.json")
    folder.rename(tmp_path / "moved")
    feed(made, 5)
    made.tick(10.0)
    assert made.share == 50.0
    (tmp_path / "moved").rename(folder)
    made.tick(1.0)
    assert json.loads((folder / "state.json").read_text())["step"] == 1


def test_bucket_is_sticky_and_even() -> None:
    places = [bucket(f"request-{number}") for number in range(20_000)]
    assert places == [bucket(f"request-{number}") for number in range(20_000)]
    for share in (1, 10, 50):
        assert sum(place < share for place in places) / 200 == pytest.approx(share, abs=1.0)
    assert all(0 <= place < 100 for place in places)
