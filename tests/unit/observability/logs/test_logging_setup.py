"""Output of whole processes on stdout and stderr."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from drum_litestar.observability.logs.setup import LEVELS, configure_logging

FRONT = """
import logging, sys
from drum_litestar.request_context import request_id_var
from drum_litestar.observability.logs.setup import configure_logging
logging.basicConfig(level=0)  # an existing configuration is replaced
pipeline = configure_logging({level!r}, json_lines={json_lines}, server_level="info")
request_id_var.set("RID1")
fields = {{"status": 200, "duration": 0.5}}
logging.getLogger("drum_litestar.access").info('1.2.3.4 - - "GET / HTTP/1.1" 200 3', extra=fields)
logging.getLogger("drum").info("information")
logging.getLogger("mylog").warning("careful")
logging.getLogger("uvicorn.error").info("Started server")
pipeline.forward(2, "stdout", "from a worker")
"""

WORKER = """
import logging, os, subprocess, sys
from drum_litestar.request_context import request_id_var
from drum_litestar.observability.logs.setup import configure_worker_logging
configure_worker_logging("info", worker=3, json_lines={json_lines})
request_id_var.set("RID1")
print("printed")
print("wrong", file=sys.stderr)
logging.getLogger("mylog").info("logged")
logging.getLogger("mylog").debug("hidden")
subprocess.run(["echo", "from a child"], stdout=sys.stdout)
print("unfinished", end="")
{end}
"""


def run(code: str) -> tuple[list[str], list[str]]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_http_process_in_drums_format() -> None:
    out, err = run(FRONT.format(level="warning", json_lines=False))
    assert out == ['1.2.3.4 - - "GET / HTTP/1.1" 200 3', "from a worker"]
    assert [line.split(" ", 2)[2] for line in err] == [
        "WARNING mylog:  careful {'request_id': 'RID1'}",
        "INFO uvicorn.error:  Started server {'request_id': 'RID1'}",
    ]


def test_http_process_in_json() -> None:
    out, err = run(FRONT.format(level="all", json_lines=True))
    access, forwarded = map(json.loads, out)
    assert (access["status"], access["duration"], access["request_id"]) == (200, 0.5, "RID1")
    assert (forwarded["message"], forwarded["worker"], forwarded["logger"]) == ("from a worker", 2, "stdout")
    assert [(line["level"], line["logger"]) for line in map(json.loads, err)] == [
        ("INFO", "drum"),
        ("WARNING", "mylog"),
        ("INFO", "uvicorn.error"),
    ]


def test_worker_in_drums_format() -> None:
    out, err = run(WORKER.format(json_lines=False, end=""))
    context = "{'request_id': 'RID1', 'worker': 3}"
    assert out == [f"printed {context}", "from a child", f"unfinished {context}"]
    assert err[0] == f"wrong {context}"
    assert err[1].endswith(f" INFO mylog:  logged {context}")
    assert len(err) == 2


def test_worker_in_json() -> None:
    out, err = run(WORKER.format(json_lines=True, end=""))
    assert [json.loads(out[0])["message"], out[1], json.loads(out[2])["message"]] == [
        "printed",
        "from a child",
        "unfinished",
    ]
    assert all(json.loads(line)["worker"] == 3 for line in err)


def test_lines_before_a_workers_crash_are_written() -> None:
    out, err = run(WORKER.format(json_lines=False, end="os.abort()"))
    assert out[0].startswith("printed")
    assert any("logged" in line for line in err)


@pytest.mark.parametrize("word", ["all", "debug", "info", "warn", "warning", "error", "critical", "fatal"])
def test_drums_level_names_are_known(word: str) -> None:
    assert word in LEVELS


def test_an_unknown_level_is_an_error() -> None:
    with pytest.raises(KeyError):
        configure_logging("loud")
