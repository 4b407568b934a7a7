from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import contenders
from benchmarks.contenders import drum
from benchmarks.contenders.base import Contender, Launch, always
from benchmarks.report.lead import NOT_COUNTED, ROWS
from benchmarks.runner.plain_loop import WAYS
from benchmarks.runner.run_plan import START_SECONDS, Estimate, steps
from benchmarks.workload import scenarios
from benchmarks.workload.scenarios import Scenario, UnknownNameError

RIDGE, LARGE = Scenario("small", "closed"), Scenario("large", "closed", rows=100)
CHAT = Scenario("stream", "chat", "chat")
UPLOAD = Scenario("big body", "upload")
ROLLOUT = Scenario("restart", "rollout")


def contender(name: str, absent: Callable[[Scenario], str | None] = always) -> Contender:
    def launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
        raise AssertionError("a plan starts nothing")

    return Contender(name, name.upper(), launch, absent=absent)


def test_contenders_take_turns_and_rounds_repeat_that() -> None:
    plan = steps([contender("a"), contender("b")], [RIDGE, LARGE, CHAT], 2)
    order = [(step.round, step.contender.name, [s.name for s in step.scenarios]) for step in plan]
    one_round = [("a", ["small", "large"]), ("b", ["small", "large"]), ("a", ["stream"]), ("b", ["stream"])]
    assert order == [(number, *step) for number in (1, 2) for step in one_round]


def test_an_upload_and_a_restart_get_fresh_servers() -> None:
    (first, second, third) = steps([contender("a")], [RIDGE, UPLOAD, ROLLOUT], 1)
    assert (first.scenarios, second.scenarios, third.scenarios) == ((RIDGE,), (UPLOAD,), (ROLLOUT,))


def test_a_contender_without_a_scenario_is_not_started_for_it() -> None:
    no_chat = contender("b", lambda scenario: "no chat" if scenario.kind == "chat" else None)
    plan = steps([contender("a"), no_chat], [RIDGE, CHAT], 1)
    assert [(step.contender.name, step.scenarios) for step in plan] == [
        ("a", (RIDGE,)),
        ("b", (RIDGE,)),
        ("a", (CHAT,)),
    ]


def test_the_estimate_follows_what_steps_really_took() -> None:
    plan = steps([contender("a"), contender("b")], [RIDGE], 2)
    estimate = Estimate(plan, seconds=5.0, extra=7.0)
    assert estimate.total == 4 * (START_SECONDS + 5) + 7
    assert estimate.left() == estimate.total
    estimate.finished(0, 20.0)  # twice as long as expected
    assert estimate.left() == 3 * 20 + 7
    for number in (1, 2, 3):
        estimate.finished(number, 20.0)
    assert estimate.left() == 7


def test_a_quick_run_takes_about_three_minutes() -> None:
    from benchmarks.__main__ import QUICK

    rounds, seconds = QUICK
    chosen = scenarios.choose(None, quick=True)
    plan = steps(contenders.choose(None, quick=True), chosen, rounds)
    loops = len({scenario.work for scenario in chosen}) * len(WAYS)
    assert Estimate(plan, seconds, loops * (seconds + 2)).total < 180


def test_quick_covers_what_it_must() -> None:
    chosen = scenarios.choose(None, quick=True)
    assert {scenario.rows for scenario in chosen} == {1, 100, 10_000}
    assert {scenario.connections for scenario in chosen} == {1, 16, 64}
    assert {scenario.data for scenario in chosen} == {"ridge", "mixed"}
    assert [one.name for one in contenders.choose(None, quick=True)] == ["drum", "ours"]


def test_every_model_has_every_load() -> None:
    """The report's first table has a column for each and a median over them."""
    for row in ROWS:
        assert {s.data for s in scenarios.SCENARIOS if s.load == row.load and s.kind == "closed"} == set(scenarios.DATA)
    assert {row.contender for row in ROWS} <= {one.name for one in contenders.CONTENDERS}
    assert NOT_COUNTED in scenarios.DATA


def test_this_server_is_measured_as_it_comes() -> None:
    ours = next(one for one in contenders.CONTENDERS if one.name == "ours")
    launch = ours.launch(Path("bin"), Path("folder"), scenarios.BY_NAME["ridge, 1 row, c=16"], 8080)
    assert launch.env == {}


def test_gevents_settings_are_those_of_drum() -> None:
    """The same parameters for both servers, where a model waits."""
    ours, theirs = (
        next(one for one in contenders.CONTENDERS if one.name == name) for name in ("gevent", "drum-gevent")
    )
    waiting = [scenario for scenario in scenarios.SCENARIOS if ours.absent(scenario) is None]
    assert {scenario.model for scenario in waiting} == {"sleep", "chat", "hang"}
    assert ours.absent(scenarios.BY_NAME["ridge, 1 row, c=16"]) == "a setting for hooks that wait and are not async def"
    for scenario in waiting:
        env, drums = (dict(one.launch(Path("bin"), Path("folder"), scenario, 8080).env) for one in (ours, theirs))
        assert drums.pop("DRUM_LITESTAR_HOOK") == "0"
        assert env == drums
        assert json.loads(env["MLOPS_RUNTIME_PARAM_DRUM_GUNICORN_WORKER_CLASS"])["payload"] == "gevent"


def test_a_binary_model_gets_its_labels() -> None:
    for name in ("ours", "drum"):
        one = next(one for one in contenders.CONTENDERS if one.name == name)
        command = one.launch(Path("bin"), Path("folder"), scenarios.BY_NAME["mixed, 1 row, c=16"], 8080).command
        assert command[-6:] == [
            "--target-type",
            "binary",
            "--positive-class-label",
            "yes",
            "--negative-class-label",
            "no",
        ]


def test_scenarios_by_part_of_their_name_bring_their_reference() -> None:
    assert [s.name for s in scenarios.choose(["TWICE"], quick=False)] == [
        "ridge, 1 row, c=16",
        "ridge, 1 row, open loop at twice DRUM's rate",
    ]
    assert {s.workers for s in scenarios.choose(None, quick=False, workers=[2])} == {2}


def test_a_whole_name_is_that_scenario_only() -> None:
    assert [s.name for s in scenarios.choose(["ridge, 1 row, c=1"], quick=False)] == ["ridge, 1 row, c=1"]
    assert len(scenarios.choose(["mixed, 1 row"], quick=False)) == 5


def test_unknown_names_are_errors() -> None:
    with pytest.raises(UnknownNameError, match="nonsense"):
        scenarios.choose(["nonsense"], quick=False)
    with pytest.raises(UnknownNameError, match="nonsense"):
        contenders.choose(["nonsense"], quick=False)


def test_an_unknown_name_ends_the_command_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.__main__ import main

    assert main(["run", "--contenders", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.__main__ import main

    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert all(one.title in said for one in contenders.CONTENDERS)
    assert all(scenario.name in said for scenario in scenarios.SCENARIOS)


def test_open_loops_come_after_what_they_refer_to() -> None:
    names = [scenario.name for scenario in scenarios.SCENARIOS]
    for scenario in scenarios.SCENARIOS:
        if scenario.reference:
            reference = scenarios.BY_NAME[scenario.reference]
            assert names.index(reference.name) < names.index(scenario.name)
            assert reference.server == scenario.server


def test_each_contender_answers_a_scenario_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios.Scenario, "_different", 2)  # the others have other numbers only
    requests = set()
    for one in contenders.CONTENDERS:
        for scenario in scenarios.SCENARIOS:
            if scenario.kind == "upload" or scenario.rows > 1:  # like the others, only larger
                continue
            why = one.absent(scenario)
            assert why is None or why
            if why is None and (one.request, scenario.work) not in requests:  # others make the same ones
                requests.add((one.request, scenario.work))
                assert one.request(scenario).bodies


def test_a_storm_sets_the_timeout_that_a_server_or_its_app_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DRUM_BENCH_CACHE", str(tmp_path))
    storm = scenarios.BY_NAME["deadline storm, c=16"]
    for one in contenders.CONTENDERS:
        if one.absent(storm):
            continue
        calm = one.launch(Path("bin"), Path("folder"), dataclasses.replace(storm, timeout=0.0), 8080)
        limited = one.launch(Path("bin"), Path("folder"), storm, 8080)
        assert (calm.command, calm.env) != (limited.command, limited.env), one.name


def test_a_server_without_async_hooks_is_said_to_have_none() -> None:
    """In the note of the scenario: those and no others are asked for a sync hook."""
    note = scenarios.BY_NAME["async hook that waits, c=256"].note
    others = {one.name for one in contenders.CONTENDERS if not one.async_hooks}
    drums = {one.name for one in drum.CONTENDERS}
    assert others == drums | {"litserve-batched", "mosec", "mosec-batched", "gunicorn-dirty", "mlflow"}
    assert note.startswith("DRUM, LitServe with batching, Mosec, gunicorn's dirty arbiter and MLflow do not call")


def test_workers_are_measured_by_two_and_four() -> None:
    found = {(s.data, s.workers) for s in scenarios.SCENARIOS if s.workers > 1 and s.kind == "closed"}
    assert found == {(data, workers) for data in ("ridge", "mixed") for workers in (2, 4)}


def test_names_are_unique() -> None:
    assert len({one.name for one in contenders.CONTENDERS}) == len(contenders.CONTENDERS)
    assert len(scenarios.BY_NAME) == len(scenarios.SCENARIOS)
