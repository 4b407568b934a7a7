"""NVIDIA's load generator, from the wheel of its client; one short measurement over each protocol.

It needs the CUDA runtime (of a wheel here; no GPU) and Debian's ``libb64-0d``, installed or in ``LD_LIBRARY_PATH``.
"""

import asyncio
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from calls import check, input_name, report

url, address, model = sys.argv[1:]
PROGRAM = Path(sys.executable).with_name("perf_analyzer")
CUDA = Path(sysconfig.get_path("purelib"), "nvidia", "cuda_runtime", "lib")
LIBRARIES = f"{CUDA}{os.pathsep}{os.environ.get('LD_LIBRARY_PATH', '')}"


def measure(*options):
    command = [PROGRAM, "-m", model, "--shape", f"{input_name(url, model)}:1,4", "--measurement-mode", "count_windows"]
    command += ["--measurement-request-count", "50", "--stability-percentage", "999", "--max-trials", "5", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "LD_LIBRARY_PATH": LIBRARIES},
    )  # fmt: skip
    check(done.returncode == 0 and "Throughput:" in done.stdout, (done.stdout + done.stderr).strip()[-250:])


asyncio.run(
    report(
        {
            "HTTP": lambda: measure("-i", "http", "-u", url.removeprefix("http://")),
            "gRPC": lambda: measure("-i", "grpc", "-u", address),
        }
    )
)
