"""Closed loop: each connection sends its next request as soon as it has the answer (wrk)."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.report.result import Figures
from benchmarks.workload.prediction_request import PredictionRequest

_SCRIPT = """
local requests, turn = {{}}, 0
init = function(arguments)
  {headers}
  for number = 1, {count} do
    local file = io.open("{folder}/" .. number, "rb")
    requests[number] = wrk.format("POST", nil, nil, file:read("*a"))
    file:close()
  end
end
request = function()
  turn = turn % {count} + 1
  return requests[turn]
end
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d %f %f %f\\n", summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""


def available() -> str | None:
    """Reason why wrk cannot be used; None when it can."""
    return None if shutil.which("wrk") else "wrk is not installed (apt-get install wrk)"


def closed_loop(port: int, request: PredictionRequest, connections: int, seconds: float) -> Figures:
    """``connections`` at once for ``seconds`` (wrk takes whole ones), the bodies in turn. ``rate``: answers that were
    2xx or 3xx; ``errors``: other answers, and none at all. Latencies are those of all answers."""
    with tempfile.TemporaryDirectory() as folder:
        for number, body in enumerate(request.bodies, 1):
            Path(folder, str(number)).write_bytes(body)
        headers = " ".join(f'wrk.headers["{name}"] = "{value}"' for name, value in request.headers.items())
        text = _SCRIPT.format(folder=folder, count=len(request.bodies), headers=headers)
        (script := Path(folder, "script.lua")).write_text(text)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "60s"]
        command += ["-s", str(script), f"http://127.0.0.1:{port}{request.path}"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return read_result(output)


def read_result(output: str) -> Figures:
    """The figures in what wrk printed. Raises RuntimeError when there are none."""
    found = re.search(r"RESULT (\S+) (\S+) (\S+) (\S+) (\S+) (\S+) (\S+)", output)
    if found is None:
        raise RuntimeError(f"wrk printed no result:\n{output}")
    requests, micros, refused, lost, p50, p95, p99 = map(float, found.groups())
    good = requests - refused
    figures: Figures = {"rate": good / micros * 1e6, "errors": refused + lost, "requests": requests}
    return figures | ({"p50": p50 / 1e3, "p95": p95 / 1e3, "p99": p99 / 1e3} if good else {})
