"""``drum-litestar compare`` in front of real servers: recording, shadow and canary, with candidates that misbehave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from support.comparing import PREDICT, CompareProcess, SwitchedServer, compare, traffic
from support.wire import post, send

CALM = ("--latency-slack", "60s")
"""Two equal servers on a busy machine differ in p99 by more than 20 %."""
STRICT = ("--latency-slack", "150ms", "--max-p99-increase", "100%")
"""For a candidate that sleeps a second."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SwitchedServer, SwitchedServer]]:
    home = tmp_path_factory.mktemp("compare")
    pair = SwitchedServer(home / "baseline"), SwitchedServer(home / "candidate")
    try:
        for server in pair:
            server.wait_ready()
        yield pair
    finally:
        for server in pair:
            server.kill()


Urls: TypeAlias = tuple[str, ...]
"""The words of the command line that say where the two servers are."""


@pytest.fixture
def urls(servers: tuple[SwitchedServer, SwitchedServer]) -> Iterator[Urls]:
    baseline, candidate = servers
    yield ("--baseline", baseline.url, "--candidate", candidate.url)
    candidate.behave()


def canary(*arguments: str, steps: str = "20,60,100", hold: str = "600ms", ends: bool = True) -> tuple[str, ...]:
    end = ("--exit-when-done",) if ends else ()
    return ("--canary", steps, "--hold", hold, "--min-requests", "10", *end, *CALM, *arguments)


def predict_until(proxy: CompareProcess, text: str) -> None:
    """One request after the other until ``text`` is in the log. A step does not end without requests, so the next
    one does not begin before there is traffic again."""
    while text not in proxy.log.read_text():
        assert send(proxy.port, PREDICT).status == 200


def test_recorded_traffic_replays(servers: tuple[SwitchedServer, SwitchedServer], urls: Urls, tmp_path: Path) -> None:
    with CompareProcess(*urls[:2], "--record", "corpus.jsonl", "--max-requests", "6", cwd=tmp_path) as recorder:
        for number in range(6):
            secret = ("Authorization", "Bearer secret")
            answer = send(recorder.port, PREDICT.with_headers(("X-Request-ID", f"r-{number}"), secret))
            assert answer.status == 200
            assert answer.header("X-Request-ID") == f"r-{number}"
        assert recorder.wait() == 0
    recorded = (tmp_path / "corpus.jsonl").read_text()
    assert len(recorded.splitlines()) == 6
    assert "secret" not in recorded
    reports = ("--json", "r.json", "--junit", "r.xml", "--html", "r.html")
    done = compare(*urls, "--corpus", "corpus.jsonl", *CALM, *reports, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["passed"] is True
    assert report["pairs"] == 6
    assert report["candidate"]["statuses"] == {"200": 6}
    page = (tmp_path / "r.html").read_text()
    assert page.count("<svg") == 2
    assert "<script" not in page
    assert "src=" not in page


@pytest.mark.parametrize(
    ("mode", "check", "shown"),
    [
        ("err", "error rate", "status: 200 -> 500"),
        ("slow", "p99 latency", ""),
        ("drift", "mismatches", "relative 1e-06"),
        ("die", "error rate", "503"),
    ],
)
def test_replay_finds_what_is_wrong(
    servers: tuple[SwitchedServer, SwitchedServer],
    urls: Urls,
    tmp_path: Path,
    mode: str,
    check: str,
    shown: str,
) -> None:
    (tmp_path / "corpus" / "predict").mkdir(parents=True)
    (tmp_path / "corpus" / "predict" / "one.csv").write_bytes(PREDICT.body)
    servers[1].behave(mode)
    limits = STRICT if mode == "slow" else CALM
    done = compare(
        *urls, "--corpus", "corpus", "--warmup", "0", "--repeat", "3", *limits, "--json", "r.json", cwd=tmp_path
    )
    servers[1].behave()
    servers[1].wait_status(200)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [each["name"] for each in json.loads((tmp_path / "r.json").read_text())["checks"] if not each["ok"]]
    assert check in broken
    assert shown in done.stdout


def test_corpus_that_does_not_fit_proves_nothing(urls: Urls, tmp_path: Path) -> None:
    """Both servers answer each request with the same 500."""
    (tmp_path / "corpus" / "predict").mkdir(parents=True)
    (tmp_path / "corpus" / "predict" / "words.csv").write_text("a,b\nsome,words\nand,7\n")
    reports = ("--json", "r.json", "--junit", "r.xml", "--html", "r.html")
    done = compare(*urls, "--corpus", "corpus", "--repeat", "3", *CALM, *reports, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    why = "no answer was a success: the corpus does not fit the model?"
    assert f"  FAIL successful answers 0 of 6: {why} (limit >= 1)" in done.stdout
    assert done.stdout.rstrip().endswith("FAIL")
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["passed"] is False
    assert report["candidate"]["statuses"] == {"500": 3}
    assert [check["name"] for check in report["checks"] if not check["ok"]] == ["successful answers"]
    for file in ("r.xml", "r.html"):
        assert why in (tmp_path / file).read_text()


def test_shadow_without_a_success_says_so(urls: Urls, tmp_path: Path) -> None:
    """Which requests come is the clients' doing: a note, not a failure."""
    options = ("--shadow", "--max-requests", "3", "--json", "r.json", *CALM)
    with CompareProcess(*urls, *options, cwd=tmp_path) as shadow:
        assert {send(shadow.port, post("/predict/", "a\nword\n7\n", "text/csv")).status for _ in range(3)} == {500}
        assert shadow.wait() == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["notes"] == ["no answer was a success: this says little about the candidate"]


def test_drift_within_the_tolerance_passes(
    servers: tuple[SwitchedServer, SwitchedServer], urls: Urls, tmp_path: Path
) -> None:
    (tmp_path / "one.csv").write_bytes(PREDICT.body)
    servers[1].behave("drift")
    done = compare(*urls, "--corpus", str(tmp_path), "--rtol", "1e-5", *CALM, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "largest numeric difference: absolute 7.5e-06, relative 1e-06" in done.stdout


def test_shadow_does_not_slow_the_client(
    servers: tuple[SwitchedServer, SwitchedServer], urls: Urls, tmp_path: Path
) -> None:
    """All clients have their answers before the candidate has given any; of the copies most are dropped."""
    servers[1].behave("wait")
    options = ("--shadow", "--queue-size", "2", "--copies", "1", "--max-requests", "30", "--json", "r.json")
    with CompareProcess(*urls, *options, cwd=tmp_path) as shadow:
        answers = [send(shadow.port, PREDICT) for _ in range(30)]
        assert {answer.status for answer in answers} == {200}
        servers[1].behave("slow")
        assert shadow.wait() == 1  # p99
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["pairs"] + report["not_compared"]["dropped, queue full"] == 30
    assert report["pairs"] >= 3
    assert report["mismatches"] == report["errors"] == 0
    assert report["candidate"]["latency"]["p50"] > 1 > report["baseline"]["latency"]["p50"]


def test_healthy_canary_completes(urls: Urls, tmp_path: Path) -> None:
    with CompareProcess(*urls, *canary("--html", "r.html"), cwd=tmp_path) as proxy, traffic(proxy.port) as answers:
        assert proxy.wait() == 0, proxy.log.read_text()
    assert {answer.status for answer in answers} == {200}
    log = proxy.log.read_text()
    for step in ("step 1/3 (20 %) passed", "step 2/3 (60 %) passed", "step 3/3 (100 %) passed", "COMPLETE: 100 %"):
        assert step in log
    assert json.loads((tmp_path / "drum-litestar-canary.json").read_text())["status"] == "complete"
    assert (tmp_path / "r.html").read_text().count("<svg") == 3


@pytest.mark.parametrize(("mode", "reason"), [("err", "error rate"), ("slow", "p99"), ("drift", "mismatches")])
def test_sabotaged_canary_rolls_back(
    servers: tuple[SwitchedServer, SwitchedServer], urls: Urls, tmp_path: Path, mode: str, reason: str
) -> None:
    """It goes bad in the second step; afterwards all clients are answered by the baseline again."""
    with CompareProcess(*urls, *canary(*(STRICT if mode == "slow" else CALM)), cwd=tmp_path) as proxy:
        predict_until(proxy, "step 2/3 (60 %): hold")
        servers[1].behave(mode)
        with traffic(proxy.port):
            assert proxy.wait() == 1
    assert "ROLLED BACK from step 2/3 (60 %)" in proxy.log.read_text()
    state = json.loads((tmp_path / "drum-litestar-canary.json").read_text())
    assert state["status"] == "rolled back"
    assert any(reason in each for each in state["reasons"])
    servers[1].behave()
    # Restarted, it stays with the baseline: the reason has not gone away by itself.
    with CompareProcess(*urls, *canary(ends=False), cwd=tmp_path, name="again") as again:
        again.wait_log("rolled back in an earlier run: 0 %")
        assert send(again.port, PREDICT).status == 200
        assert again.stop() == 1


def test_canary_covers_for_a_candidate_that_dies(
    servers: tuple[SwitchedServer, SwitchedServer], tmp_path: Path
) -> None:
    candidate = SwitchedServer(tmp_path / "mortal")
    try:
        candidate.wait_ready()
        urls = ("--baseline", servers[0].url, "--candidate", candidate.url)
        with CompareProcess(*urls, *canary(), cwd=tmp_path) as proxy:
            predict_until(proxy, "step 2/3 (60 %): hold")
            candidate.kill()
            with traffic(proxy.port) as answers:
                assert proxy.wait() == 1
        assert {answer.status for answer in answers} == {200}  # no client noticed
        log = proxy.log.read_text()
        assert "ROLLED BACK from step 2/3" in log
        assert "no answer" in log
    finally:
        candidate.kill()


def test_canary_resumes_after_a_restart(urls: Urls, tmp_path: Path) -> None:
    options = (*urls, *canary(steps="30,100"))
    with CompareProcess(*options, cwd=tmp_path) as first:
        predict_until(first, "step 2/2 (100 %): hold")
        assert first.stop() == 1
    assert "not finished" in first.log.read_text()
    with CompareProcess(*options, cwd=tmp_path, name="second") as second, traffic(second.port):
        assert second.wait() == 0, second.log.read_text()
    log = second.log.read_text()
    assert "resumed at step 2/2 (100 %)" in log
    assert "step 1/2" not in log
