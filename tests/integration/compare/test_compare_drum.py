"""``drum-litestar compare`` with the real DRUM as baseline: traffic recorded in front of it, replayed to both."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import Start
from support.comparing import CompareProcess, compare
from support.data import csv_of, table
from support.servers.backends import DrumOracle
from support.wire import Part, csv, form, get, send
from support.zoo import Zoo


def test_ours_agrees_with_drum(drum_oracle: DrumOracle, zoo: Zoo, serve: Start, tmp_path: Path) -> None:
    folder, path = zoo["regression"]
    requests = [
        *(csv(csv_of(table(rows, seed=rows))) for rows in (1, 2, 50)),
        csv(csv_of(table(3)), target="/predictions/"),
        form([Part("X", csv_of(table(5)), "x.csv")]),
        csv(b""),  # 422 of both
        csv(b"a,b\n1,2\n"),  # an error of both
        get("/ping/"),
        get("/health/"),
    ]
    drum = drum_oracle.start(folder, path, tmp_path / "drum.log")
    try:
        drum.wait_ready()
        baseline = ("--baseline", f"http://127.0.0.1:{drum.port}")
        with CompareProcess(
            *baseline, "--record", "corpus.jsonl", "--max-requests", str(len(requests)), cwd=tmp_path
        ) as recorder:
            assert {send(recorder.port, request).status for request in requests} == {200, 422, 500}
            assert recorder.wait() == 0
        ours = serve("regression")
        candidate = ("--candidate", f"http://127.0.0.1:{ours.port}")
        done = compare(
            *baseline, *candidate, "--corpus", "corpus.jsonl", "--latency-slack", "1s", "--json", "r.json", cwd=tmp_path
        )
    finally:
        drum.kill()
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["rule"].startswith("same bytes")
    assert report["pairs"] == len(requests)
    assert report["baseline"]["statuses"] == report["candidate"]["statuses"]
