"""The document of live servers: valid, of what the model serves, and kept by what the server answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from conftest import Start
from support.servers.process import ServerProcess

TOKEN = "a-token-of-the-tests"
DOCS = {"DRUM_FASTAPI_ENABLE_DOCS": "true"}
CHECKS = (
    "no_fault_of_the_server",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
EVERY_TYPE = (
    "regression",
    "binary",
    "multiclass",
    "multilabel",
    "anomaly",
    "geopoint",
    "prediction_server_binary",
    "text",
    "chat_plain",
    "agenticworkflow",
    "vectordatabase",
    "text_unstructured",
    "unstructured",
    "transform",
)


def url_of(server: ServerProcess, path: str) -> str:
    return f"http://127.0.0.1:{server.port}/docs/{path}"


def schemathesis(server: ServerProcess, *arguments: str, header: str = "X-Request-ID: schemathesis") -> str:
    """Send generated requests for each operation of the document; the summary. Fails if a check fails."""
    tests = Path(__file__).resolve().parents[2]
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", url_of(server, "openapi.json")),
            *("--seed", "1", "--no-color", "--request-timeout", "120"),  # seconds: one operation reloads the model
            *("--checks", ",".join(CHECKS), "--header", header, *arguments),
        ],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "support.schemathesis_checks", "PYTHONPATH": str(tests)},
        cwd=server.log.parent,
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    return run.stdout


def test_requests_of_the_document_are_answered_as_it_says(serve: Start) -> None:
    server = serve("binary", env={**DOCS, "DRUM_API_TOKEN": TOKEN})
    assert httpx.get(url_of(server, "openapi.json")).status_code == 401
    assert httpx.get(url_of(server, "")).status_code == 200
    paths = ("/predict", "/info", "/v2/models/{model}/infer")
    summary = schemathesis(
        server,
        *("--phases", "examples,fuzzing", "--max-examples", "2", "--exclude-method", "HEAD"),
        *(word for path in paths for word in ("--include-path", path)),
        header=f"Authorization: Bearer {TOKEN}",
    )
    assert "Tested: 3" in summary


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_TYPE)
def test_every_operation_of_every_target_type(serve: Start, name: str) -> None:
    server = serve(name, env=DOCS)
    document: Any = httpx.get(url_of(server, "openapi.json")).json()
    validate(document)
    print(schemathesis(server, "--phases", "examples,coverage,fuzzing", "--max-examples", "5")[-1500:])
