"""Importing ``custom.py`` and calling its hooks, ``async def`` ones included (contract, 4.1 and 4.2)."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.hooks.custom_module import Hooks, import_custom
from drum_litestar.predictors.protocol import TargetType

MakeFolder = Callable[..., Path]
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


def test_paths_name_and_init(make_folder: MakeFolder) -> None:
    code = (
        "import sys\nseen = (__name__, list(sys.path))\ndef init(**kwargs): seen_init.append(kwargs)\nseen_init = []\n"
    )
    folder = make_folder({"sub/custom.py": code})
    hooks, module = import_custom(folder, TargetType.REGRESSION)
    assert module is not None
    assert hooks.path == folder / "sub" / "custom.py"
    name, path = module.seen
    assert name == "custom"
    assert path[0] == str(folder / "sub")
    assert path[-1] == str(folder)
    assert module.seen_init == [{"code_dir": str(folder)}]
    assert hooks.names == ("init",)


def test_no_file(make_folder: MakeFolder) -> None:
    hooks, module = import_custom(make_folder({}), TargetType.REGRESSION)
    assert module is None
    assert hooks.names == ()
    assert hooks.get("score") is None


def test_several_files(make_folder: MakeFolder) -> None:
    folder = make_folder({"custom.py": "", "sub/custom.py": ""})
    found = [folder / "custom.py", folder / "sub" / "custom.py"]
    with pytest.raises(ModelLoadError) as caught:
        import_custom(folder, TargetType.REGRESSION)
    assert str(caught.value) == f"Found too many custom hook files: {found}"


@pytest.mark.parametrize("code", ["import nosuchmod\n", "def init(code_dir):\n    import nosuchmod\n"])
def test_import_error(make_folder: MakeFolder, code: str) -> None:
    folder = make_folder({"custom.py": code})
    with pytest.raises(ModelLoadError) as caught:
        import_custom(folder, TargetType.REGRESSION)
    assert caught.value.reason == (
        "\n\nRunning environment language: Python.\n"
        f"Failed loading hooks from [{folder / 'custom.py'}] : No module named 'nosuchmod'"
    )


def test_unstructured_models_have_only_their_hooks(make_folder: MakeFolder) -> None:
    code = "def score(*a): pass\ndef transform(*a): pass\ndef score_unstructured(*a, **k): pass\n"
    folder = make_folder({"custom.py": code})
    assert import_custom(folder, TargetType.UNSTRUCTURED)[0].names == ("score_unstructured",)
    assert import_custom(folder, TargetType.REGRESSION)[0].names == ("transform", "score", "score_unstructured")


def test_sync_hooks_run_in_the_calling_thread() -> None:
    hooks = Hooks(None, {"score": threading.current_thread})
    assert hooks.call("score") is threading.current_thread()
    assert "drum-litestar-async-hooks" not in {thread.name for thread in threading.enumerate()}


def test_async_hooks_share_one_loop_and_see_the_callers_context() -> None:
    async def hook(value: int) -> tuple[int, str, Any]:
        await asyncio.sleep(0)
        return value, request_id.get(), asyncio.get_running_loop()

    hooks = Hooks(None, {"score": hook})
    try:
        request_id.set("r-1")
        first, second = hooks.call("score", 1), hooks.call("score", value=2)
    finally:
        hooks.close()
    assert first[:2] == (1, "r-1")
    assert second[0] == 2
    assert first[2] is second[2]


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3), KeyboardInterrupt(), StopIteration()])
def test_errors_of_async_hooks_reach_the_caller_and_do_not_stop_the_loop(error: BaseException) -> None:
    async def hook(fail: bool) -> str:
        if fail:
            raise error
        return "alive"

    hooks = Hooks(None, {"score": hook})
    try:
        expected = RuntimeError if isinstance(error, StopIteration) else type(error)
        with pytest.raises(expected):
            hooks.call("score", True)
        assert hooks.call("score", False) == "alive"
    finally:
        hooks.close()


def test_close_cancels_running_tasks_and_ends_the_thread() -> None:
    started, cancelled = threading.Event(), threading.Event()

    async def hook() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    hooks = Hooks(None, {"score": hook})
    outcome: list[BaseException] = []

    def call() -> None:
        try:
            hooks.call("score")
        except BaseException as error:
            outcome.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert started.wait(60)
    hooks.close()
    caller.join(60)
    assert cancelled.is_set()
    assert len(outcome) == 1
    assert "drum-litestar-async-hooks" not in {thread.name for thread in threading.enumerate()}
    hooks.close()
    with pytest.raises(RuntimeError, match="closed"):
        hooks.call("score")


def test_modules_of_earlier_folders_are_forgotten(make_folder: MakeFolder) -> None:
    folder = make_folder({"a/custom.py": "which = 'a'\n", "b/custom.py": "which = 'b'\n"})
    for name in ("a", "b"):
        _, module = import_custom(folder / name, TargetType.REGRESSION)
        assert module is not None
        assert module.which == name
    assert sys.modules["custom"].which == "b"
