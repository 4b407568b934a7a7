"""Predictors for the executors' tests, controlled by the content of their calls."""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.protocol import (
    ModelCall,
    ModelCard,
    Payload,
    Predictor,
    Reply,
    StreamHead,
    StreamReply,
    TargetType,
)
from drum_litestar.request_context import request_id_var

_HELPER = """
import sys, time

for line in sys.stdin:
    end = time.process_time() + float(line)
    while time.process_time() < end:
        pass
    print("computed", flush=True)
"""


class ScriptedSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A picklable source of :class:`ScriptedPredictor`; ``folder`` is where it leaves traces for the test."""

    folder: str
    concurrency: int = 1
    argv: tuple[str, ...] = ("server", "--code-dir", "x y")

    def build(self) -> Predictor:
        return ScriptedPredictor(self)


def build_in_worker(spec: Any, *, worker: int, context: Any) -> Predictor:
    """The pool's ``builder`` for specs of tests, which build their predictors themselves."""
    predictor: Predictor = spec.build()
    return predictor


class ScriptedPredictor:
    """Does what the call's body says: ``{"do": name, ...}``."""

    def __init__(self, spec: ScriptedSpec) -> None:
        self.spec = spec
        self.folder = Path(spec.folder)
        self.calls = 0
        self.helper: subprocess.Popen[bytes] | None = None

    def load(self) -> ModelCard:
        note(self.folder, "loads")
        script = self.folder / "on_load"
        if script.exists():
            self.on_load(script.read_text().strip())
        return ModelCard(
            target_type=TargetType.REGRESSION,
            concurrency=self.spec.concurrency,
            description=(self.folder / "version").read_text() if (self.folder / "version").exists() else "1",
        )

    def on_load(self, script: str) -> None:
        if script == "fail":
            raise ModelLoadError("no such artifact", exit_code=3)
        if script == "raise":
            raise ValueError("broken custom.py")
        if script == "exit":
            sys.exit(4)
        if script == "die":
            os._exit(7)
        if script == "wait":
            while script == "wait":
                time.sleep(0.01)
                script = (self.folder / "on_load").read_text().strip()
            self.on_load(script)

    def close(self) -> None:
        note(self.folder, "closes")

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        payload = call.x or call.body
        assert payload is not None
        order: dict[str, Any] = json.loads(payload.read()) if payload.size < 100_000 else {"do": "size"}
        self.calls += 1
        answer: Reply | StreamReply = getattr(self, f"do_{order.pop('do')}")(call, **order)
        return answer

    def do_echo(self, call: ModelCall, **order: Any) -> Reply:
        return Reply(status=201, body=json.dumps(order).encode(), content_type="text/x", headers=(("A", "b"),))

    def do_lose(self, call: ModelCall, reports: int, streams: bool) -> Reply | StreamReply:
        """Monitoring reports."""
        if streams:
            return StreamReply(StreamHead(lost_reports=reports), iter((b"x",)))
        return Reply(lost_reports=reports)

    def do_size(self, call: ModelCall) -> Reply:
        payload = call.x or call.body
        assert payload is not None
        data = payload.read()
        return Reply(body=data[::-1])

    def do_who(self, call: ModelCall) -> Reply:
        return Reply(
            body=json.dumps(
                {
                    "pid": os.getpid(),
                    "argv": sys.argv,
                    "path": sys.path,
                    "modules": sorted(name for name in sys.modules if "." not in name),
                    "thread": threading.current_thread().name,
                    "request_id": request_id_var.get(),
                    "uid": os.getuid(),
                    "sid": os.getsid(0),
                    "env": dict(os.environ),
                    "stdin": sys.stdin.read(),
                    "fds": sorted(int(p.name) for p in Path("/proc/self/fd").iterdir()),
                }
            ).encode()
        )

    def do_sleep(self, call: ModelCall, seconds: float) -> Reply:
        note(self.folder, "begins")
        time.sleep(seconds)
        note(self.folder, "ends")
        return Reply(body=b"slept")

    def do_compute(self, call: ModelCall, seconds: float) -> Reply:
        """Use the processor for ``seconds``, however long that takes."""
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass
        return Reply(body=b"computed")

    def do_compute_in_helper(self, call: ModelCall, seconds: float) -> Reply:
        """The same in a process of its own, which goes on to the end of the worker."""
        if self.helper is None:
            self.helper = subprocess.Popen(
                [sys.executable, "-c", _HELPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        assert self.helper.stdin is not None
        assert self.helper.stdout is not None
        self.helper.stdin.write(b"%f\n" % seconds)
        self.helper.stdin.flush()
        return Reply(body=self.helper.stdout.readline().strip())

    def do_wait_for(self, call: ModelCall, name: str) -> Reply:
        """Return when the test has made the file ``name``."""
        note(self.folder, "begins")
        while not (self.folder / name).exists():
            time.sleep(0.005)
        return Reply(body=b"waited")

    def do_exit_on_go(self, call: ModelCall) -> Reply:
        self.do_wait_for(call, "go")
        os._exit(9)

    def do_stubborn(self, call: ModelCall) -> Reply:
        """Ignore SIGTERM for ever."""
        note(self.folder, "begins")
        while True:
            with contextlib.suppress(BaseException):
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(60)

    def do_hold_gil(self, call: ModelCall) -> Reply:
        """Catastrophic backtracking: C code that never gives up the GIL."""
        note(self.folder, "begins")
        re.match(r"(a+)+$", "a" * 64 + "b")
        return Reply()

    def do_segfault(self, call: ModelCall) -> Reply:
        ctypes.string_at(0)
        return Reply()

    def do_exit(self, call: ModelCall, code: int) -> Reply:
        os._exit(code)

    def do_sys_exit(self, call: ModelCall) -> Reply:
        sys.exit(3)

    def do_raise(self, call: ModelCall) -> Reply:
        raise ValueError("boo")

    def do_kill(self, call: ModelCall) -> Reply:
        os.kill(os.getpid(), signal.SIGKILL)
        return Reply()

    def do_memory(self, call: ModelCall) -> Reply:
        """A real MemoryError under a real limit."""
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (512 * 1024 * 1024, hard))
        try:
            bytearray(4 * 1024**3)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        return Reply()

    def do_print(self, call: ModelCall, text: str) -> Reply:
        print(text)
        print(text, file=sys.stderr)
        logging.getLogger("user.hook").warning("logged %s", text)
        return Reply()

    def do_grow(self, call: ModelCall, megabytes: int) -> Reply:
        self.ballast = os.urandom(megabytes * 1024 * 1024)
        return Reply()

    def do_helper(self, call: ModelCall) -> Reply:
        """Leave a process behind."""
        return Reply(body=str(subprocess.Popen(["sleep", "600"]).pid).encode())

    def do_close_fds(self, call: ModelCall) -> Reply:
        os.closerange(3, 100)
        return Reply()

    def do_stream(self, call: ModelCall, count: int, size: int = 10, every: float = 0.0, fail: int = -1) -> StreamReply:
        def chunks() -> Iterator[bytes]:
            try:
                for index in range(count):
                    if index == fail:
                        raise ValueError("mid-stream")
                    note(self.folder, "chunks")
                    yield f"{index};".encode().ljust(size, b".")
                    time.sleep(every)
            finally:
                note(self.folder, "finally")

        return StreamReply(StreamHead(status=202, headers=(("S", "t"),)), chunks())

    def do_stuck_stream(self, call: ModelCall, name: str) -> StreamReply:
        def chunks() -> Iterator[bytes]:
            yield b"first"
            while not (self.folder / name).exists():
                time.sleep(0.005)
            yield b"second"

        return StreamReply(StreamHead(), chunks())


def note(folder: Path, name: str) -> None:
    """Append one byte to a file that the test reads as a counter."""
    with (folder / name).open("ab") as file:
        file.write(b".")


def noted(folder: Path, name: str) -> int:
    path = folder / name
    return path.stat().st_size if path.exists() else 0


def order(do: str, request_id: str = "r-1", **fields: Any) -> ModelCall:
    data = json.dumps({"do": do, **fields}).encode()
    return ModelCall(kind="predict", request_id=request_id, x=Payload(data=data, size=len(data), filename="X.csv"))
