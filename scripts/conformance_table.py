"""The generated parts of docs/open-inference-conformance.md: the suite's results for this server, MLServer and KServe's
SDK, and the calls that other projects' clients make of this server.

``python scripts/conformance_table.py --write`` makes environments (once, in ``--cache``), serves the same classifier in
all three, runs the suite against each, runs the clients against this server, and writes the page; without ``--write``
it prints the tables. It takes minutes and the package index; no test compares the page.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from page_parts import markdown_table, replace_part

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "open-inference-conformance.md"
SCRIPT = "scripts/conformance_table.py"
PARTS = ROOT / "tests" / "conformance"
MODEL = "iris"
DEFAULT_CACHE = ROOT / ".cache" / "conformance"
READY_SECONDS = 180.0

MLSERVER = ("mlserver", "mlserver-sklearn", "uvloop<0.22")  # newer uvloops give its workers no event loop
KSERVE = ("kserve", "scikit-learn")


class Client(NamedTuple):
    """A client program of tests/conformance/clients. ``arguments``: ``HTTP_URL GRPC_ADDRESS MODEL``."""

    title: str
    program: str
    packages: tuple[str, ...]
    shown: str


TRITON = ("tritonclient[all]==2.51.0", "nvidia-cuda-runtime-cu12")
GENERATED = ("open-inference-openapi", "open-inference-grpc")
CLIENTS = (
    Client("tritonclient HTTP", "triton_http.py", TRITON, "tritonclient"),
    Client("tritonclient gRPC", "triton_grpc.py", TRITON, "tritonclient"),
    Client("kserve InferenceRESTClient", "kserve_rest.py", KSERVE, "kserve"),
    Client("kserve InferenceGRPCClient", "kserve_grpc.py", KSERVE, "kserve"),
    Client("open-inference-openapi", "generated_rest.py", GENERATED, "open-inference-openapi"),
    Client("open-inference-grpc", "generated_grpc.py", GENERATED, "open-inference-grpc"),
    Client("NVIDIA perf_analyzer", "load_generator.py", TRITON, "tritonclient"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog=SCRIPT, description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--write", action="store_true", help=f"write docs/{PAGE.name}")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help=f"environments (default {DEFAULT_CACHE})")
    parser.add_argument("--only", choices=["servers", "clients"], help="one of the two tables (default both)")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    parts: dict[str, str] = {}
    if args.only != "clients":
        parts["summary"], parts["cases"] = server_tables(args.cache)
    if args.only != "servers":
        parts["clients"] = client_table(args.cache)
    page = PAGE.read_text()
    for name, content in parts.items():
        page = replace_part(page, SCRIPT, name, content)
        if not args.write:
            print(content, end="\n\n")
    if args.write:
        PAGE.write_text(page)


# -- servers


def server_tables(cache: Path) -> tuple[str, str]:
    """The summary and the table of all cases."""
    reports: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for title, serve in (("drum-litestar", _ours), ("MLServer", _mlserver), ("KServe SDK", _kserve)):
            with serve(cache, Path(folder)) as (url, versions):
                reports[f"{title} {versions}"] = _suite(url, Path(folder))
    levels = ("must", "extension", "recommended")
    head = ["", *(f"{level}: pass / fail / n/a" for level in levels)]
    rows = [
        [
            title,
            *(" / ".join(str(report["totals"][level][each]) for each in ("pass", "fail", "n/a")) for level in levels),
        ]
        for title, report in reports.items()
    ]
    python = ".".join(map(str, sys.version_info[:3]))
    summary = f"{date.today().isoformat()}, Python {python}, scikit-learn's classifier of 4 numbers.\n\n"
    outcomes = [{each["name"]: each["outcome"] for each in report["results"]} for report in reports.values()]
    first = next(iter(reports.values()))
    cases = [
        [each["name"], each["level"], each["rule"], *(_word(outcome[each["name"]]) for outcome in outcomes)]
        for each in first["results"]
    ]
    return summary + markdown_table(head, rows), markdown_table(
        ["case", "level", "rule", *(title.rpartition(" ")[0] for title in reports)], cases
    )


def _word(outcome: str) -> str:
    return "**fail**" if outcome == "fail" else outcome


def _suite(url: str, folder: Path) -> dict[str, Any]:
    report = folder / "report.json"
    command = [sys.executable, "-m", "drum_litestar.tools.conformance", url, "--model", MODEL, "--json", str(report)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode > 1:
        raise SystemExit(f"no verdict about {url}")
    read: dict[str, Any] = json.loads(report.read_bytes())
    return read


@contextlib.contextmanager
def _ours(_: Path, folder: Path) -> Iterator[tuple[str, str]]:
    with our_server(folder) as (url, _grpc):
        yield url, version(Path(sys.executable), "drum-litestar")


@contextlib.contextmanager
def our_server(folder: Path) -> Iterator[tuple[str, str]]:
    """URL and gRPC address of this server with the classifier."""
    home = folder / MODEL
    home.mkdir(exist_ok=True)
    _train(Path(sys.executable), home / "model.joblib")
    port, grpc = free_port(), free_port()
    command = [sys.executable, "-m", "drum_litestar", "server", "--code-dir", str(home)]
    command += ["--address", f"127.0.0.1:{port}", "--target-type", "multiclass", "--class-labels", "0", "1", "2"]
    env = {"DRUM_GRPC_ADDRESS": f"127.0.0.1:{grpc}", "DRUM_MODEL_NAME": MODEL}
    with running(command, port, folder / "ours.log", env):
        yield f"http://127.0.0.1:{port}", f"127.0.0.1:{grpc}"


@contextlib.contextmanager
def _mlserver(cache: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Its own runtime for scikit-learn; the metadata name the one output that it returns when none is asked for."""
    python = environment(cache, MLSERVER)
    home = folder / "mlserver"
    home.mkdir()
    _train(python, home / "model.joblib")
    port = free_port()
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    model = {
        "name": MODEL,
        "implementation": "mlserver_sklearn.SKLearnModel",
        "platform": "sklearn",
        "parameters": {"uri": "./model.joblib"},
        "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [{"name": "predict", "datatype": "INT64", "shape": [-1, 1]}],
    }
    (home / "settings.json").write_text(json.dumps({**settings, "debug": False}))
    (home / "model-settings.json").write_text(json.dumps(model))
    with running([str(python.with_name("mlserver")), "start", str(home)], port, folder / "mlserver.log", cwd=home):
        yield f"http://127.0.0.1:{port}", version(python, "mlserver")


@contextlib.contextmanager
def _kserve(cache: Path, folder: Path) -> Iterator[tuple[str, str]]:
    python = environment(cache, KSERVE)
    _train(python, folder / "model.joblib")
    port = free_port()
    command = [str(python), str(PARTS / "servers" / "kserve_app.py"), str(folder / "model.joblib"), str(port)]
    with running(command, port, folder / "kserve.log"):
        yield f"http://127.0.0.1:{port}", version(python, "kserve")


def _train(python: Path, artifact: Path) -> None:
    subprocess.run([python, PARTS / "servers" / "train.py", artifact], check=True)


@contextlib.contextmanager
def running(
    command: Sequence[str], port: int, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[None]:
    """Serve ``MODEL`` by ``command`` for the block. Raises SystemExit: it is not ready in time."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}, cwd=cwd
        )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not _ready(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} does not serve:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.2)
        yield
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _ready(port: int) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://127.0.0.1:{port}/v2/models/{MODEL}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


# -- clients


def client_table(cache: Path) -> str:
    rows = []
    with tempfile.TemporaryDirectory() as folder, our_server(Path(folder)) as (url, grpc):
        for client in CLIENTS:
            python = environment(cache, client.packages)
            calls = run_client(python, client, url, grpc)
            passed = [call for call, problem in calls.items() if problem == "ok"]
            failed = [f"{call}: {problem}" for call, problem in calls.items() if problem != "ok"]
            title = f"{client.title} {version(python, client.shown)}"
            rows.append([title, "; ".join(passed), "; ".join(failed) or "none"])
    return markdown_table(["client", "calls that pass", "fail"], rows)


def run_client(python: Path, client: Client, url: str, grpc: str) -> dict[str, str]:
    """What each call of the client ended with: ``ok``, or a text."""
    command = [str(python), str(PARTS / "clients" / client.program), url, grpc, MODEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        return {"start": (done.stderr or done.stdout).strip()[-500:]}
    calls: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return calls


# -- environments


def environment(cache: Path, packages: tuple[str, ...]) -> Path:
    """The Python of an environment with ``packages``, made once. Raises CalledProcessError."""
    name = "".join(each if each.isalnum() else "-" for each in packages[0])
    home = cache / f"{name}-{'.'.join(map(str, sys.version_info[:2]))}"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True)
        (home / "ready").touch()
    return python


def version(python: Path, package: str) -> str:
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    return subprocess.run([python, "-c", code, package], capture_output=True, text=True, check=True).stdout.strip()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
