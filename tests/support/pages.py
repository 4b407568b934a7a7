"""The code blocks of the pages under ``docs/``, and how a test runs them.

A comment in the line above a block says what becomes of it:

====================================  ==================================================================================
``<!-- file: model/custom.py -->``    the block is that file, in a folder that the page has for itself
``<!-- run -->``                      it is run there, by bash or Python, after the blocks above it; exit code 0
``<!-- run: exit code 1 -->``         the same, with another exit code
``<!-- serve -->``                    it starts a server, which is ready when the next block is run, and stops without
                                      an error before the next server at its port starts, or at the end of the page
``<!-- output -->``                   the block above it printed this on standard output and error; ``...`` is any text
``<!-- tested by: tests/... -->``     that test runs these commands, or ones like them
``<!-- not run: REASON -->``          nobody runs it
====================================  ==================================================================================

``<!-- blocks tested by: tests/... -->`` in a page stands for all of its blocks without a comment of their own. Blocks
of bash, console and Python have one of them. Ports in the text are replaced by free ones; the repository is this
checkout.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from drum_litestar.documentation import REPOSITORY
from support.servers.process import ServerFailedError, ServerProcess, clean_environment, free_port

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
LANGUAGES = ("bash", "console", "python", "sh", "shell")
"""Languages of blocks that somebody will run."""
_DIRECTIVES = ("file", "run", "serve", "output", "tested by", "not run")

_BLOCK = re.compile(
    r"(?:^<!-- (?P<directive>[a-z ]+?)(?:: (?P<argument>[^\n]+?))? -->\n\n?)?"
    r"^```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_PORT = re.compile(r"(?<=:)80[89]\d\b")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    directive: str
    """One of the module's table, or empty."""
    argument: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in its order."""
    text = page.read_text()
    default = re.search(r"^<!-- blocks tested by: (.+) -->$", text, re.MULTILINE)
    for found in _BLOCK.finditer(text):
        directive = found["directive"] or ""
        argument = found["argument"] or ""
        if directive not in _DIRECTIVES:
            directive, argument = ("tested by", default[1]) if default else ("", "")
        line = text.count("\n", 0, found.start("language")) + 1
        yield Block(page.name, line, found["language"], directive, argument, found["text"])


class PageRunner:
    """Runs the blocks of one page in ``folder``. Use as a context manager: it stops the servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._env = clean_environment(
            {
                "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
                # git fetches from this checkout what a page fetches from the repository
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"url.file://{ROOT}.insteadOf",
                "GIT_CONFIG_VALUE_0": REPOSITORY,
            }
        )
        self._ports: dict[str, int] = {}
        self._servers: dict[str, ServerProcess] = {}
        self._printed = ""

    def __enter__(self) -> PageRunner:
        return self

    def __exit__(self, *failure: object) -> None:
        try:
            for port in list(self._servers):
                self._stop(port)
        finally:
            for server in self._servers.values():
                server.kill()

    def handle(self, block: Block) -> None:
        """Do what the block's directive says. Raises AssertionError with the block's place when it does not work."""
        if block.directive == "serve":
            for port in _PORT.findall(block.text):
                self._stop(port)
        text = _PORT.sub(lambda port: str(self._port(port[0])), block.text)
        if block.directive == "file":
            path = self.folder / block.argument
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif block.directive == "run":
            self._run(block, text)
        elif block.directive == "serve":
            self._serve(block, text)
        elif block.directive == "output":
            pattern = re.escape(text.strip()).replace(r"\.\.\.", ".*?")
            assert re.fullmatch(pattern, self._printed.strip(), re.DOTALL), f"{block}: printed was\n{self._printed}"

    def _run(self, block: Block, text: str) -> None:
        if block.language == "python":
            script = self.folder / f"block-{block.line}.py"
            script.write_text(text)
            command = [sys.executable, str(script)]
        else:
            command = ["bash", "-euc", text]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        self._printed = done.stdout
        expected = int(block.argument.removeprefix("exit code ") or 0)
        logs = "\n".join(server.output()[-3000:] for server in self._servers.values())
        assert done.returncode == expected, f"{block}: exit code {done.returncode}\n{done.stdout}\n{logs}"

    def _serve(self, block: Block, text: str) -> None:
        found = _PORT.search(block.text)
        assert found is not None, f"{block}: no port"
        commands = re.split(r"(?<!\\)\n", text.strip())
        commands[-1] = f"exec env {commands[-1]}"  # the server is the process that gets the signals
        log = self.folder / f"server-{block.line}.log"
        server = ServerProcess(
            ["bash", "-euc", "\n".join(commands)],
            port=self._port(found[0]),
            log=log,
            env={"PATH": self._env["PATH"]},
            cwd=self.folder,
        )
        self._servers[found[0]] = server
        try:
            server.wait_ready()
        except ServerFailedError as error:
            raise AssertionError(f"{block}: {error}") from error

    def _stop(self, port: str) -> None:
        if port in self._servers:
            server = self._servers[port]
            code = server.stop()
            del self._servers[port]
            assert code == 0, server.output()
            self._ports[port] = free_port()

    def _port(self, port: str) -> int:
        return self._ports.setdefault(port, free_port())
