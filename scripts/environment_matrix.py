"""The environment matrix, run as ``scripts/matrix``. Needs only the standard library.

A cell is PYTHON/DRUM/PYDANTIC, for example 3.11/1.18.1/1.10. The wheel is built once. Cells that share Python and DRUM
share a virtual environment, in which pip replaces pydantic between them; it is removed when its last cell has run.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import glob
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import urllib.response
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "tests" / "support" / "folders" / "any_pydantic"
ROWS = b"a,b\n1.5,2\n-3,0.25\n"
EXPECTED = b'{"predictions":[2.0,-6.125]}'
"""Answer of datarobot-drum 1.18.1 for this model and these rows; tests/integration compares it with the real DRUM."""

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
DRUMS = ("absent", "1.18.1")
PYDANTICS = ("2.x", "broken", "1.10", "none")
"""In the order in which one environment gets them."""

SPECIFIERS = {"2.x": "pydantic>=2,<3", "1.10": "pydantic==1.10.*"}
SEEN = {"2.x": "2.", "1.10": "1.10.", "broken": "none (RuntimeError)", "none": "none (ModuleNotFoundError)"}
READY_TIMEOUT = 180.0
LITESTAR = {"MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE": '{"type":"string","payload":"litestar"}'}


@dataclass(frozen=True)
class Cell:
    python: str
    drum: str
    pydantic: str

    @classmethod
    def parse(cls, text: str) -> Cell:
        words = text.split("/")
        if len(words) != 3 or words[1] not in DRUMS or words[2] not in PYDANTICS:
            raise argparse.ArgumentTypeError(f"{text!r} is not PYTHON/DRUM/PYDANTIC, such as 3.11/1.18.1/1.10")
        return cls(*words)


@dataclass
class Result:
    cell: Cell
    outcome: str
    """``ok``, ``FAILED``, or ``not installable``."""
    detail: str = ""
    """What was served, or the reason of the failure."""
    drum_alone: str = ""
    """DRUM's output in this environment without the hook."""


class NotInstallableError(Exception):
    """The environment of a cell cannot exist on this machine; the text is pip's own reason."""


class CellError(Exception):
    """The cell was served wrongly or not at all."""


def main() -> int:
    """Exit code 1 when a cell failed, or none could be installed."""
    args = parse_arguments()
    cells = args.cell or [Cell(*each) for each in itertools.product(args.python, args.drum, args.pydantic)]
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="drum-litestar-matrix-") as home:
        wheel = functools.cache(lambda: build_wheel(Path(home)))
        groups: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells:
            groups.setdefault((cell.python, cell.drum), []).append(cell)
        for group in groups.values():
            for result in run_group(group, Path(home), wheel):
                results.append(result)
                print(f"{name(result.cell)}: {result.outcome} {result.detail}", file=sys.stderr, flush=True)
    print(json.dumps([asdict(result) for result in results], indent=2) if args.json else table(results))
    installed = [result for result in results if result.outcome != "not installable"]
    return 0 if installed and all(result.outcome == "ok" for result in installed) else 1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/matrix", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--python", nargs="+", default=PYTHONS, metavar="VERSION", help=" ".join(PYTHONS))
    parser.add_argument("--drum", nargs="+", default=DRUMS, choices=DRUMS)
    parser.add_argument("--pydantic", nargs="+", default=PYDANTICS, choices=PYDANTICS)
    parser.add_argument("--cell", nargs="+", type=Cell.parse, metavar="PYTHON/DRUM/PYDANTIC", help="only these")
    parser.add_argument("--json", action="store_true", help="as JSON instead of a Markdown table")
    return parser.parse_args()


def name(cell: Cell) -> str:
    return f"{cell.python}/{cell.drum}/{cell.pydantic}"


def run_group(cells: Sequence[Cell], home: Path, wheel: Callable[[], Path]) -> Iterator[Result]:
    """Results of the cells that share one environment."""
    environment = home / f"{cells[0].python}-{cells[0].drum}"
    try:
        python = make_environment(environment, cells[0], wheel)
        for cell in sorted(cells, key=lambda cell: PYDANTICS.index(cell.pydantic)):
            yield run_cell(cell, environment, python)
    except NotInstallableError as error:
        for cell in cells:
            yield Result(cell, "not installable", str(error))
    finally:
        shutil.rmtree(environment, ignore_errors=True)


def run_cell(cell: Cell, environment: Path, python: Path) -> Result:
    try:
        env = clean_environment() | prepare_pydantic(cell.pydantic, environment, python)
    except NotInstallableError as error:
        return Result(cell, "not installable", str(error))
    alone = drum_alone(environment, env) if cell.drum != "absent" else ""
    try:
        return Result(cell, "ok", serve_and_predict(cell, environment, env), alone)
    except CellError as error:
        return Result(cell, "FAILED", str(error), alone)


# --- environments -----------------------------------------------------------------------------------------------------


def find_python(version: str) -> str:
    """An interpreter of ``version`` (``3.12``): this one, one on the path, or the newest of pyenv's."""
    pyenv = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
    installed = glob.glob(f"{pyenv}/versions/{version}.*/bin/python")  # noqa: PTH207 - the folder need not exist
    newest_first = sorted(installed, key=_numbers, reverse=True)
    for candidate in (sys.executable, f"python{version}", *newest_first):
        with contextlib.suppress(OSError):  # not there; a pyenv shim without a version behind it ends with an error
            code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
            done = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
            if done.stdout.strip() == version:
                return candidate
    raise NotInstallableError(f"there is no Python {version} with venv on this machine")


def _numbers(path: str) -> list[int]:
    return [int(word) for word in Path(path).parts[-3].split(".") if word.isdigit()]


def build_wheel(home: Path) -> Path:
    builder = home / "builder"
    subprocess.run([sys.executable, "-m", "venv", str(builder)], check=True)
    pip(builder / "bin" / "python", "wheel", "--no-deps", "--wheel-dir", str(home), str(ROOT))
    shutil.rmtree(builder)
    (wheel,) = home.glob("*.whl")
    return wheel


def make_environment(environment: Path, cell: Cell, wheel: Callable[[], Path]) -> Path:
    """The interpreter of a new environment. pip installs everything, with one cache for all environments."""
    base = find_python(cell.python)
    built = wheel()
    subprocess.run([base, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    drum = [] if cell.drum == "absent" else [f"datarobot-drum=={cell.drum}"]
    install(python, str(built), *drum)
    return python


def prepare_pydantic(kind: str, environment: Path, python: Path) -> dict[str, str]:
    """Install this kind of pydantic into the environment; returns variables for its commands."""
    if kind == "broken":
        stub = environment / "broken" / "pydantic"
        stub.mkdir(parents=True, exist_ok=True)
        (stub / "__init__.py").write_text("raise RuntimeError('this pydantic is broken')\n")
        return {"PYTHONPATH": str(stub.parent)}
    if kind == "none":
        pip(python, "uninstall", "--yes", "pydantic", "pydantic-core")
    else:
        install(python, SPECIFIERS[kind])
    return {}


def install(python: Path, *requirements: str) -> None:
    """Install without compiling modules, most of which are never imported."""
    pip(python, "install", "--prefer-binary", "--no-compile", *requirements)


def pip(python: Path, *arguments: str) -> None:
    """Raises NotInstallableError with the last error line."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=python.parent)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise NotInstallableError((errors or ["pip failed without a word"])[-1])


def clean_environment() -> dict[str, str]:
    """This process's environment without anything that configures Python or a prediction server."""
    foreign = ("DRUM_", "MLOPS_", "PYTHON", "VIRTUAL_ENV", "OTEL_")
    servers = ("ADDRESS", "CODE_DIR", "TARGET_TYPE", "TARGET_NAME", "URL_PREFIX", "MAX_WORKERS", "RUNTIME_PARAMS_FILE")
    return {key: value for key, value in os.environ.items() if not key.startswith(foreign) and key not in servers}


# --- serving ----------------------------------------------------------------------------------------------------------


def drum_alone(environment: Path, env: Mapping[str, str]) -> str:
    """``works``, or the last line of its error."""
    command = [str(environment / "bin" / "drum"), "--version"]
    done = subprocess.run(
        command, env={**env, "DRUM_LITESTAR_HOOK": "0"}, cwd=environment, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return "works"
    last = done.stderr.strip().splitlines()[-1]
    return last.partition(" (/")[0]  # without the path of the package


def serve_and_predict(cell: Cell, environment: Path, env: Mapping[str, str]) -> str:
    """Run the cell and return its result. Raises CellError."""
    command = "drum-litestar" if cell.drum == "absent" else "drum"
    with serving(environment, command, MODEL, env) as server:
        predict(server.port, "text/csv", ROWS)
    if f"custom.py sees pydantic {SEEN[cell.pydantic]}" not in server.output:
        raise CellError(f"custom.py saw another pydantic: {server.output[-500:]}")
    seen = server.output.partition("custom.py sees pydantic ")[2].partition("\n")[0].strip()
    return f"`{command} server`, pydantic {seen}, ready in {server.seconds:.1f} s"


@dataclass
class Served:
    """A server that is ready. ``output`` is set when it has ended."""

    port: int
    seconds: float
    output: str = ""


@contextlib.contextmanager
def serving(environment: Path, command: str, model: Path, env: Mapping[str, str]) -> Iterator[Served]:
    """``COMMAND server`` of this environment on this backend, until the block ends.

    Raises CellError when it does not become ready, or SIGTERM does not end it with 0.
    """
    log = environment / "server.log"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["server", "-cd", str(model), "--address", f"127.0.0.1:{port}", "--target-type", "regression"]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [str(environment / "bin" / command), *arguments, "--logging-level", "info"],
            env={**env, **LITESTAR},
            cwd=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        served = Served(port, wait_ready(process, port, log))
        yield served
    finally:
        process.terminate()
        try:
            code = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    served.output = log.read_text(errors="replace")
    if code != 0:
        raise CellError(f"exit code {code} after SIGTERM")


def predict(port: int, content_type: str, body: bytes) -> None:
    """Raises CellError unless the answer to ROWS in this form is EXPECTED."""
    try:
        with contextlib.closing(ask(port, "/predict/", body, content_type)) as answer:
            got = answer.read()
    except urllib.error.HTTPError as error:
        raise CellError(f"the prediction failed: {error}: {error.read()[:500]!r}") from error
    except OSError as error:
        raise CellError(f"the prediction failed: {error}") from error
    if got != EXPECTED:
        raise CellError(f"the answer is {got!r}, not {EXPECTED!r}")


def wait_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> float:
    """Seconds until ``/readyz``, which DRUM's own server does not have, answers 200."""
    start = time.monotonic()
    while time.monotonic() - start < READY_TIMEOUT:
        if server.poll() is not None:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise CellError(f"the server ended with {server.returncode}: {''.join(last)}")
        with contextlib.suppress(OSError), contextlib.closing(ask(port, "/readyz")):
            return time.monotonic() - start
        time.sleep(0.05)
    raise CellError(f"not ready after {READY_TIMEOUT:g} s: {log.read_text(errors='replace')[-500:]}")


def ask(port: int, path: str, body: bytes | None = None, content_type: str = "text/csv") -> urllib.response.addinfourl:
    """Raises OSError for no connection and for statuses of 400 and above."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": content_type})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    answer: urllib.response.addinfourl = direct.open(request, timeout=30)
    return answer


def table(results: Sequence[Result]) -> str:
    lines = [
        "| Python | datarobot-drum | pydantic | DRUM alone | drum-litestar | seen |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        cell = result.cell
        words = (cell.python, cell.drum, cell.pydantic, result.drum_alone or "-", result.outcome, result.detail)
        lines.append("| " + " | ".join(word.replace("|", "\\|").replace("\n", " ") for word in words) + " |")
    counts = {outcome: sum(result.outcome == outcome for result in results) for outcome in ("ok", "FAILED")}
    rest = len(results) - sum(counts.values())
    return "\n".join(
        [*lines, "", f"{counts['ok']} ok, {counts['FAILED']} failed, {rest} not installable, of {len(results)} cells"]
    )


if __name__ == "__main__":
    sys.exit(main())
