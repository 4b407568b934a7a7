"""Answers recorded from ``drum server`` 1.18.1: the native predictor gives the same bytes.

Each file in ``recorded/`` is a model folder with calls and DRUM's answers. Where we differ on purpose (contract,
section 8) there is no recorded answer; other tests say what we do. Texts that quote pandas depend on its version:
such cases carry ``"pandas"``, the major version they were recorded with.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from drum_litestar.predictors.protocol import ModelCall, TargetType
from native_serving import payload, summary

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))
PANDAS = int(pd.__version__.split(".", 1)[0])
BOUNDARY = re.compile(r"\b[0-9a-f]{32}\b")
ACCEPTED = re.compile(rb'"accepted":\[[^]]*\],')
"""What our refusal of a format has besides DRUM's text."""
NEEDS_SCIPY = ("sparse", "transform", "schema")


@pytest.fixture(autouse=True)
def texts_without_pyarrow() -> Iterator[None]:
    """pandas holds texts otherwise where pyarrow is installed, which ``repr`` and lone surrogates show. The answers are
    from an environment without it."""
    if PANDAS < 3:
        yield
        return
    with pd.option_context("mode.string_storage", "python"):
        yield


def raw(value: str | dict[str, str]) -> bytes:
    return value.encode("utf-8") if isinstance(value, str) else base64.b64decode(value["base64"])


def to_call(case: dict[str, Any]) -> ModelCall:
    parts: dict[str, Any] = {
        name: payload(raw(case[name]["data"]), **{key: item for key, item in case[name].items() if key != "data"})
        for name in ("body", "x", "y", "colnames")
        if name in case
    }
    pairs: dict[str, Any] = {
        name: tuple((key, item) for key, item in case.get(name, ())) for name in ("headers", "query")
    }
    return ModelCall(kind=case["kind"], **parts, **pairs)


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_answers_are_the_recorded_bytes(
    file: Path, serve_folder: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "drum")
    recorded = json.loads(file.read_text(encoding="utf-8"))
    if file.stem.startswith(("chat", "models")):
        pytest.importorskip("openai")
    if file.stem.startswith(NEEDS_SCIPY):
        pytest.importorskip("scipy")
    spec: dict[str, Any] = {
        key: tuple(item) if isinstance(item, list) else item for key, item in recorded["spec"].items()
    }
    files = recorded["files"]
    if "deployment_config" in spec:
        spec["deployment_config"] = str(tmp_path / "model" / spec["deployment_config"])
    predictor = serve_folder(files, TargetType(recorded["target_type"]), **spec)
    wrong = []
    for case in recorded["cases"]:
        if case.get("pandas", PANDAS) != PANDAS:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the hooks return odd things on purpose
            status, content_type, body, headers = summary(predictor.handle(to_call(case)))
        answer = case["answer"]
        expected = (
            answer["status"],
            answer.get("content_type"),
            raw(answer.get("body", "")),
            answer.get("user_error", False),
        )
        text = BOUNDARY.sub("BOUNDARY", content_type or "") or None
        if text and text.startswith("multipart"):
            body = re.sub(rb"[0-9a-f]{32}", b"BOUNDARY", body)
        got = (status, text, ACCEPTED.sub(b"", body), headers.get("X-Drum-User-Http-Error") == "true")
        if got != expected:
            wrong.append((case["id"], expected, got))
    assert not wrong
