"""Environments with different releases of pydantic and installations of drum-litestar.

Each is a virtual environment of its own with a real installation of this package. Everything else in its site-packages
is linked from the oracle's environment and from the one that runs the tests, so that one takes seconds to make and a
package can be truly absent.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.servers.backends import ROOT, DrumOracle
from support.servers.process import ServerProcess, clean_environment, free_port
from support.wire import get

OWN = ("drum_litestar", "__editable__", "_editable_impl", "_drum_litestar", "pydantic", "__pycache__", "pip")
BROKEN = "raise RuntimeError('this pydantic is broken')\n"
DRUM_SCRIPT = """\
#!{python}
import sys
from datarobot_drum.drum.entry_point import run_drum_server
if __name__ == "__main__":
    sys.exit(run_drum_server())
"""


class Environment:
    """One virtual environment, with the commands ``drum`` and ``drum-litestar``."""

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        self.home = home
        self.env = dict(env)
        self.python = home / "bin" / "python"
        self.site = _site_packages(self.python)

    def run(
        self, command: str, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's commands to its end."""
        return subprocess.run(
            [str(self.home / "bin" / command), *arguments],
            env=clean_environment({**self.env, **(env or {})}),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(
        self, command: str, arguments: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> ServerProcess:
        """``<command> server --address ...``; not yet ready."""
        port = free_port()
        server = ServerProcess(
            [str(self.home / "bin" / command), "server", "--address", f"127.0.0.1:{port}", *arguments],
            port=port,
            log=log,
            env={**self.env, **(env or {})},
        )
        server.ready_probe = get("/health/")  # DRUM's own server has no /readyz
        return server


class Environments:
    """Makes environments below ``home``, each at most once."""

    def __init__(self, home: Path, oracle: DrumOracle) -> None:
        self.home = home
        self.oracle = oracle
        self._wheel: Path | None = None
        self._made: dict[str, Environment] = {}

    def wheel(self) -> Path:
        """This checkout's wheel. Raises RuntimeError when it cannot be built."""
        if self._wheel is None:
            target = self.home / "wheel"
            _pip("wheel", "--no-deps", "--wheel-dir", str(target), str(ROOT))
            (self._wheel,) = target.glob("*.whl")
        return self._wheel

    def make(self, pydantic: str, *, name: str | None = None, editable: bool = False) -> Environment:
        """With ``pydantic`` ``none``, ``1.10``, ``2``, or ``broken``: one that raises when it is imported.

        ``name`` makes a further one, to be changed by the caller. Raises RuntimeError when something is not
        installable.
        """
        name = name or f"pydantic-{pydantic}"
        if name not in self._made:
            environment = self._linked(name, [word for word in OWN if word != "pydantic" or pydantic != "2"])
            self._add_pydantic(pydantic, environment)
            what = ["--editable", str(ROOT)] if editable else [str(self.wheel())]
            self._finish(name, environment, what)
        return self._made[name]

    def make_stack(self, name: str, requirements: Sequence[str]) -> Environment:
        """With exactly these releases (``fastapi==0.99.1``) from the package index, without their dependencies.

        Raises RuntimeError when one is not installable.
        """
        if name not in self._made:
            replaced = [requirement.partition("==")[0] for requirement in requirements]
            modules = [word.replace("-", "_") for word in replaced]
            environment = self._linked(name, [*OWN, *modules])
            _pip("--python", str(environment.python), "install", "--no-deps", *requirements)
            self._finish(name, environment, [str(self.wheel())])
        return self._made[name]

    def _linked(self, name: str, left_out: Sequence[str]) -> Environment:
        """An environment with what the oracle's and the tests' own hold, but for names that begin so."""
        home = self.home / name
        venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(home)
        environment = Environment(home, {})
        oracle_site = _site_packages(self.oracle.python)
        if oracle_site.parent.name != environment.site.parent.name:
            raise RuntimeError(f"the oracle in {oracle_site} is of another Python than {environment.site}")
        for source in (oracle_site, _site_packages(Path(sys.executable))):
            _link(source, environment.site, left_out)
        return environment

    def _finish(self, name: str, environment: Environment, what: Sequence[str]) -> None:
        """Install this package and the command ``drum``."""
        _pip("--python", str(environment.python), "install", "--no-deps", *what)
        script = environment.home / "bin" / "drum"
        script.write_text(DRUM_SCRIPT.format(python=environment.python))
        script.chmod(0o755)
        self._made[name] = environment

    def _add_pydantic(self, pydantic: str, environment: Environment) -> None:
        if pydantic == "1.10":
            _pip("--python", str(environment.python), "install", "--no-deps", "pydantic==1.10.*")
        elif pydantic == "broken":
            stub = environment.home / "stub" / "pydantic"
            stub.mkdir(parents=True)
            (stub / "__init__.py").write_text(BROKEN)
            environment.env["PYTHONPATH"] = str(stub.parent)


def _link(source: Path, target: Path, left_out: Sequence[str] = ()) -> None:
    """Link what ``source`` holds and ``target`` lacks. Namespace packages (``google``) have parts in both."""
    for entry in source.iterdir():
        link = target / entry.name
        if entry.suffix == ".pth" or entry.name.startswith(tuple(left_out)):
            continue
        if entry.is_dir() and not (entry / "__init__.py").exists():
            link.mkdir(exist_ok=True)
            _link(entry, link)
        elif not link.exists():
            link.symlink_to(entry, entry.is_dir())


def _site_packages(python: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def _pip(*arguments: str) -> None:
    """Raises RuntimeError with pip's own words."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"pip {' '.join(arguments)}: {done.stderr[-2000:]}")
