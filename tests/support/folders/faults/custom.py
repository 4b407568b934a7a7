"""Hooks that fail as they are told: by the columns ``do`` and ``arg`` of a prediction, by fields of a chat.

Traces for the test are files in ``$FAULTS_DIR``: one byte is appended for each event.
"""

import asyncio
import ctypes
import os
import re
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

HERE = Path(os.environ["FAULTS_DIR"])


def note(name):
    with (HERE / name).open("ab") as file:
        file.write(b".")


def load_model(code_dir):
    note("loads")
    script = HERE / "on_load"
    while script.exists() and script.read_text() == "wait":
        time.sleep(0.01)
    if script.exists():
        ON_LOAD[script.read_text()]()
    version = HERE / "version"
    return SimpleNamespace(version=float(version.read_text()) if version.exists() else 1.0, ballast=[])


def refuse():
    raise ValueError("no such artifact")


ON_LOAD = {"": lambda: None, "raise": refuse, "die": lambda: os._exit(7), "kill": lambda: os.kill(os.getpid(), 9)}


def wait_for_go(arg, model):
    note("begins")
    while not (HERE / f"go{arg:g}").exists():
        time.sleep(0.005)


def stubborn(arg, model):
    note("begins")
    while True:
        with suppress(BaseException):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)


def hold_the_gil(arg, model):
    """Catastrophic backtracking: C code that looks at no signal and never lets other threads run."""
    note("begins")
    re.match(r"(a+)+$", "a" * 64 + "b")


def run_out_of_memory(arg, model):
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 * 1024**3, hard))
    try:
        bytearray(16 * 1024**3)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def cancelled(arg, model):
    raise asyncio.CancelledError(f"cancelled {arg:g}")


def unavailable(arg, model):
    from datarobot_drum import CustomHTTPError

    raise CustomHTTPError(f"not today {arg:g}", 503)


def record(arg, model):
    with (HERE / "record").open("a") as file:
        file.write(f"{arg:g} ")


def pause(arg, model):
    note("begins")
    time.sleep(arg)
    note("ends")


DO = {
    "echo": lambda arg, model: None,
    "sleep": pause,
    "wait": wait_for_go,
    "exit": lambda arg, model: os._exit(int(arg)),
    "sys_exit": lambda arg, model: sys.exit(int(arg)),
    "cancelled": cancelled,
    "record": record,
    "unavailable": unavailable,
    "kill": lambda arg, model: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda arg, model: ctypes.string_at(0),
    "memory": run_out_of_memory,
    "gil": hold_the_gil,
    "stubborn": stubborn,
    "grow": lambda arg, model: model.ballast.append(os.urandom(int(arg) * 1024 * 1024)),
    "print": lambda arg, model: print(f"printed {arg:g}"),
    "print_part": lambda arg, model: print(f"printed {arg:g}", end=""),
    "write_bytes": lambda arg, model: sys.stdout.buffer.write(b"bytes %d\n" % int(arg)),
}


def score(data, model, **kwargs):
    """Predicts ``arg``, or the model's version where the column is missing."""
    note("scores")
    if "do" not in data.columns:
        return pd.DataFrame({"Predictions": [model.version] * len(data)})
    arg = float(data["arg"].iloc[0])
    DO[data["do"].iloc[0]](arg, model)
    return pd.DataFrame({"Predictions": [arg] * len(data)})


def chat(params, model):
    """``count`` chunks of ``size`` characters, one every ``every`` seconds; ``die`` is the number of a fatal one."""
    note("chats")
    return chunks(params.get("count", 3), params.get("size", 5), params.get("every", 0.0), params.get("die"))


def chunks(count, size, every, die):
    try:
        for number in range(count):
            if number == die:
                os.kill(os.getpid(), signal.SIGKILL)
            note("chunks")
            delta = {"role": "assistant", "content": f"{number} ".ljust(size, "x")}
            choices = [{"index": 0, "delta": delta, "finish_reason": None}]
            yield SimpleNamespace(id="id1", object="chat.completion.chunk", created=1, model="mm", choices=choices)
            time.sleep(every)
    finally:
        note("finally")
