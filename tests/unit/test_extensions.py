from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Request, get

from drum_litestar.documentation import MIGRATING
from drum_litestar.errors import ModelLoadError
from drum_litestar.extensions import Extension, load_extension
from drum_litestar.launcher.preparation import extended_app, with_extension
from http_serving import mirror, options


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("custom_litestar", None)


def extension(folder: Path, code: str, name: str = "custom_litestar.py") -> Extension | None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    return load_extension(folder)


def refusal(folder: Path, code: str) -> ModelLoadError:
    with pytest.raises(ModelLoadError) as caught:
        extension(folder, code)
    assert caught.value.exit_code == 1
    return caught.value


def test_no_file(tmp_path: Path) -> None:
    assert load_extension(tmp_path) is None


def test_found_below_the_folder_with_its_directory_first_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "extension_helper.py").write_text("NAME = 'helper'\n")
    found = extension(
        tmp_path, "import extension_helper\ndef init_app(app_builder):\n    pass\n", "sub/custom_litestar.py"
    )
    assert found is not None
    assert found.path == tmp_path / "sub" / "custom_litestar.py"
    assert sys.path[0] == str(tmp_path / "sub")


def test_two_files(tmp_path: Path) -> None:
    extension(tmp_path, "def init_app(app_builder): pass\n", "a/custom_litestar.py")
    with pytest.raises(ModelLoadError, match=r"^Found too many custom hook files: \[.*/a/.*/b/.*\]$"):
        extension(tmp_path, "def init_app(app_builder): pass\n", "b/custom_litestar.py")


def test_import_error_names_the_file(tmp_path: Path) -> None:
    error = refusal(tmp_path, "import nosuchmodule_17\n")
    path = tmp_path / "custom_litestar.py"
    assert str(error) == f"Failed to extend the application from [{path}] : No module named 'nosuchmodule_17'"
    assert "Traceback" in error.detail


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("def init_app(app_builder):\n    raise ValueError('no key')\n", "ValueError: no key"),
        ("x = = 1\n", "SyntaxError"),
        ("x = 1\n", r"must define a function init_app\(app_builder\)"),
        ("async def init_app(app_builder): pass\n", "must be a plain function"),
        ("def init_app(): pass\n", "TypeError"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, code: str, text: str) -> None:
    error = refusal(tmp_path, code)
    assert str(tmp_path / "custom_litestar.py") in str(error)
    with pytest.raises(ModelLoadError, match=text):
        raise error


def test_a_folder_that_needs_flask_is_refused(tmp_path: Path) -> None:
    (tmp_path / "custom_flask.py").write_text("def init_app(app): pass\n")
    with pytest.raises(ModelLoadError, match=r"only DRUM's own server .*docs/migrating-extensions\.md.*'drum server'"):
        load_extension(tmp_path)
    assert extension(tmp_path, "def init_app(app_builder): pass\n") is not None


def test_fastapi_file_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "custom_fastapi.py").write_text("raise SystemExit\n")
    with caplog.at_level(logging.WARNING, "drum"):
        assert load_extension(tmp_path) is None
    assert "custom_fastapi.py is not supported" in caplog.text
    assert MIGRATING in caplog.text


ORDERS = """
order = []

class Wrap:
    def __init__(self, name):
        self.name = name
    def __call__(self, app):
        async def wrapped(scope, receive, send):
            if scope["type"] == "http":
                order.append(self.name)
            await app(scope, receive, send)
        return wrapped

def init_app(b):
    b.wrap_app(Wrap("outer"))
    b.wrap_app(Wrap("inner"))
    @b.before_request
    def first(request): order.append("before 1")
    @b.before_request
    async def second(request): order.append("before 2")
    @b.after_request
    def early(response): order.append("after 1"); return response
    @b.after_request
    async def late(response): order.append("after 2"); return response
    @b.on_startup
    def start(context): order.append("start " + context.name)
    @b.on_startup
    async def start_too(context): order.append("start 2")
    @b.on_shutdown
    def stop(context): order.append("stop 1")
    @b.on_shutdown
    async def stop_too(context): order.append("stop 2")
    @b.on_app_init
    def configure(config): order.append("init"); return config
"""


def test_everything_runs_in_its_order(tmp_path: Path) -> None:
    found = extension(tmp_path, ORDERS)
    assert found is not None
    order: list[str] = sys.modules["custom_litestar"].order
    closed: list[str] = []
    settings = with_extension(options(on_shutdown=(lambda _: closed.append(order[-1]),)), found)
    with mirror(settings=settings, wrap=found.wrap) as (server, _):
        assert server.client.get("/models").status_code == 404
        order.clear()
        assert server.client.post("/predict/", content=b"a\n1\n", headers={"Content-Type": "text/csv"}).is_success
        assert order == ["outer", "inner", "before 1", "before 2", "after 2", "after 1"]
        order.clear()
        assert server.client.get("/nowhere").status_code == 404
        assert order == ["outer", "inner"]
        order.clear()
    assert order == ["stop 2", "stop 1"]
    assert closed == ["stop 1"]  # the server's own hooks end after the extension's


def test_start_hooks_get_the_context(tmp_path: Path) -> None:
    found = extension(tmp_path, ORDERS)
    assert found is not None
    with mirror(settings=with_extension(options(), found)):
        assert sys.modules["custom_litestar"].order == ["init", "start http", "start 2"]


def test_further_routes_answer_513_like_ours(tmp_path: Path) -> None:
    found = extension(
        tmp_path,
        "from litestar import get\n@get('/x')\nasync def x() -> str: return 'x'\ndef init_app(b): b.add_routes(x)\n",
    )
    assert found is not None
    from drum_litestar.execution.inline import InlineExecutor
    from http_serving import Broken, serving
    from support.options import executor_options

    with serving(
        InlineExecutor(Broken, executor_options(error_server=True)), with_extension(options(), found)
    ) as server:
        answer = server.client.get("/x")
        assert (answer.status_code, answer.json()) == (513, {"message": "ERROR: no such artifact"})


def test_additions_that_litestar_refuses_name_the_file(tmp_path: Path) -> None:
    found = extension(tmp_path, "def init_app(b): b.add_routes(lambda: 1)\n")
    assert found is not None
    from http_serving import StateExecutor

    with pytest.raises(ModelLoadError, match=r"Failed to extend the application from \[.*custom_litestar\.py\]"):
        extended_app(StateExecutor(), with_extension(options(), found), found)


def test_exception_handlers_and_guards(tmp_path: Path) -> None:
    code = """
from litestar import Response
from litestar.exceptions import PermissionDeniedException
def guard(connection, handler):
    if "x-bad" in connection.headers: raise PermissionDeniedException("go away")
    if "x-odd" in connection.headers: raise KeyError("odd")
def init_app(b):
    b.add_guard(guard)
    b.add_exception_handler(KeyError, lambda request, error: Response({"odd": str(error)}, status_code=418))
"""
    found = extension(tmp_path, code)
    assert found is not None
    with mirror(settings=with_extension(options(), found)) as (server, _):
        assert server.client.get("/info/", headers={"x-bad": "1"}).json() == {"message": "go away"}
        assert server.client.get("/info/", headers={"x-odd": "1"}).status_code == 418
        assert server.client.get("/info/").status_code == 200


def test_plain_litestar_handlers_see_the_context() -> None:
    @get("/context")
    async def show(request: Request[Any, Any, Any]) -> str:
        await asyncio.sleep(0)
        return str(request.app.state["worker_context"].name)

    with mirror(settings=options(route_handlers=(show,))) as (server, _):
        assert server.client.get("/context").text == "http"


ADDITIONS = """
from litestar.background_tasks import BackgroundTask
done = []

def init_app(b):
    @b.after_request
    def add(response):
        response.headers["x-added"] = "1"
        response.set_cookie("seen", "yes")
        response.background = BackgroundTask(done.append, response.status_code)
        return response
"""


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_a_hook_adds_to_an_answer_of_ours_is_sent_and_run(tmp_path: Path, streamed: bool) -> None:
    found = extension(tmp_path, ADDITIONS)
    assert found is not None
    done: list[int] = sys.modules["custom_litestar"].done
    with mirror(settings=with_extension(options(), found)) as (server, predictor):
        if streamed:
            predictor.script[b"a\n1\n"] = predictor.stream(b"one", b"two")
        answer = server.client.post("/predict/", content=b"a\n1\n", headers={"Content-Type": "text/csv"})
    assert answer.is_success
    assert (answer.headers["x-added"], answer.cookies["seen"]) == ("1", "yes")
    assert done == [200]
