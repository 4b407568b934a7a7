from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from drum_litestar.launcher.announcements.curl_line import Target
from drum_litestar.launcher.announcements.ready_report import MOST_LABELS, ReadyReport, shown_memory
from drum_litestar.predictors.protocol import ModelCard, TargetType
from support.plans import build_plan

TARGET = Target("http://0.0.0.0:80", "http://127.0.0.1:80")


def report(folder: Path, *, ready: int = 1, environ: dict[str, str] | None = None, **card: Any) -> ReadyReport:
    (folder / "custom.py").touch()
    command = ["server", "-cd", str(folder), "--target-type", "binary", "--address", "0.0.0.0:80"]
    plan = build_plan([*command, "--positive-class-label", "1", "--negative-class-label", "0"], dict(environ or {}))
    spec = msgspec.structs.replace(plan.spec, kind_reason="asked for")
    made = ModelCard(**{"target_type": TargetType.BINARY, **card})
    return ReadyReport(msgspec.structs.replace(plan, spec=spec), made, TARGET, 2.345, ready, 214_400_000)


def rows(report: ReadyReport) -> dict[str, str]:
    return {line[2:13].strip(): line[15:] for line in report.block()[1:-2]}


def test_the_block(tmp_path: Path) -> None:
    made = report(tmp_path, info={"positiveClassLabel": "1", "negativeClassLabel": "0"}, example=(("a", "1"),))
    assert made.block() == [
        f"Ready: {tmp_path}",
        "  URL          http://0.0.0.0:80 (here http://127.0.0.1:80)",
        "  Target type  binary",
        "  Labels       1 (positive), 0",
        "  Predictor    native predictor (asked for)",
        "  Workers      1 worker",
        "  Load time    2.3 s",
        "  Memory       214 MB",
        "  Try it (Ctrl+C stops the server):",
        r"    printf 'a\n1\n' | curl -H 'Content-Type: text/csv' --data-binary @- http://127.0.0.1:80/predict/",
    ]


def test_the_line_and_the_fields(tmp_path: Path) -> None:
    made = report(tmp_path, info={"positiveClassLabel": "1", "negativeClassLabel": "0"})
    assert made.line() == (
        "ready on http://0.0.0.0:80 (here http://127.0.0.1:80): binary model, native predictor (asked for), 1 worker, "
        "loaded in 2.3 s, 214 MB"
    )
    assert made.fields == {
        "ready": True,
        "url": "http://0.0.0.0:80",
        "target_type": "binary",
        "labels": ["1", "0"],
        "predictor": "native",
        "predictor_reason": "asked for",
        "workers": 1,
        "load_seconds": 2.345,
        "memory_bytes": 214_400_000,
    }


def test_a_model_without_labels_has_no_row_of_them(tmp_path: Path) -> None:
    assert "Labels" not in rows(report(tmp_path))
    assert "Try it with a file of the model's columns (Ctrl+C stops the server):" in report(tmp_path).block()[-2]


def test_many_labels_are_counted(tmp_path: Path) -> None:
    labels = [f"l{number}" for number in range(MOST_LABELS + 5)]
    made = report(tmp_path, info={"classLabels": labels})
    assert rows(made)["Labels"] == ", ".join(labels[:MOST_LABELS]) + " and 5 more"
    assert made.fields["labels"] == labels


@pytest.mark.parametrize(
    ("ready", "environ", "concurrency", "text"),
    [
        (1, {"CUSTOM_MODEL_WORKERS": "3"}, 1, "1 of 3 workers, the others are loading"),
        (3, {"CUSTOM_MODEL_WORKERS": "3"}, 64, "3 workers, 64 calls at once each"),
        (1, {"DRUM_FASTAPI_EXECUTOR_WORKERS": "4"}, 64, "1 worker, 4 calls at once each"),
        (1, {"DRUM_GUNICORN_WORKER_CLASS": "gevent"}, 1, "1 worker, 5 calls at once each"),
        (0, {"DRUM_EXECUTOR": "inline"}, 1, "model in the server's own process"),
    ],
)
def test_workers(tmp_path: Path, ready: int, environ: dict[str, str], concurrency: int, text: str) -> None:
    assert rows(report(tmp_path, ready=ready, environ=environ, concurrency=concurrency))["Workers"] == text


def test_sizes() -> None:
    assert [shown_memory(size) for size in (81_234_567, 999_000_000, 1_250_000_000)] == ["81 MB", "999 MB", "1.2 GB"]
