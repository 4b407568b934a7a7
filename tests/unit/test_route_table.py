"""A route is a row of one table: added there, it is found by every part."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.execution.queue_limits import Place
from drum_litestar.http.app import build_app
from drum_litestar.http.app_options import normalize_prefix
from drum_litestar.http.openapi.operation import Operation, answers
from drum_litestar.http.payloads import collect_raw
from drum_litestar.http.replies import json_response
from drum_litestar.http.routes import ROUTES, CallOfModel
from drum_litestar.middleware.asgi import ASGIApp
from drum_litestar.middleware.stack import StackOptions, build_stack
from drum_litestar.request_state import request_state
from drum_litestar.route_table import OTHER, REST, Access, Route, RouteTable
from drum_litestar.settings.groups.edge import AccessSettings, RateLimitSettings
from http_serving import Mirror, card, options
from support.options import executor_options


def find(path: str, prefix: str = "") -> str | None:
    return RouteTable(ROUTES, normalize_prefix(prefix)).find(path).route.summary


@pytest.mark.parametrize("prefix", ["", "/p", "/p/", "//p//q"])
def test_every_spelling_finds_the_row(prefix: str) -> None:
    bare = prefix.replace("//", "/").rstrip("/")
    table = RouteTable(ROUTES, normalize_prefix(prefix))
    for route in ROUTES:
        for path in route.paths:
            if path.endswith(REST):
                assert table.find(bare + path.replace(REST, "a/b")) == (route, None, ())
                assert table.find(bare + path.replace(REST, "")).route is OTHER
                continue
            for spelling in (bare + path, bare + path.rstrip("/") + "/", (bare + path).replace("/", "//")):
                assert table.find(spelling) == (route, (bare + path).rstrip("/") or "/", ()), spelling


@pytest.mark.parametrize("path", ["", "*", "/predict/x", "/PREDICT", "/pre", "/nimble", "/nim", "x/ping"])
def test_other_paths_are_in_no_row(path: str) -> None:
    assert RouteTable(ROUTES).find(path) == (OTHER, None, ())


def test_nothing_is_found_without_the_prefix() -> None:
    assert find("/p/ping", "/p") == "The model has loaded"
    assert find("/p", "/p") == "The model has loaded"
    assert find("/ping", "/p") is None


def test_no_path_is_in_two_rows() -> None:
    paths = [path for route in ROUTES for path in route.paths]
    assert len(paths) == len(set(paths))


def stacked(executor: InlineExecutor, settings: Any, routes: tuple[Route, ...]) -> ASGIApp:
    stack = StackOptions(
        drum_version="1",
        server_version="1",
        rate_limit=RateLimitSettings(enabled=True, burst=1, key_header="x-client"),
        access=AccessSettings(api_token="t"),
    )
    app = build_app(executor, settings)
    return build_stack(app, stack, routes=RouteTable(routes), new_place=lambda: Place(executor.admit))


@pytest.mark.parametrize(
    ("access", "without_token", "second"), [("probe", 200, 200), ("operator", 401, 200), ("client", 401, 429)]
)
def test_a_new_row_is_found_everywhere(
    monkeypatch: pytest.MonkeyPatch, access: Access, without_token: int, second: int
) -> None:
    seen: list[tuple[Any, ...]] = []

    async def answer(_: Any, request: Any) -> Any:
        state = request_state(request.scope)
        seen.append((state.route.span, state.deadline is not None))
        return json_response({"message": "new"})

    row = Route(
        paths=("/new", "/v1/new"),
        answer=answer,
        access=access,
        operation=Operation(answer=answers({})),
        span="drum.new",
        summary="A new route",
        tag="new",
    )
    call = Route(
        paths=("/score",),
        answer=CallOfModel("unstructured", lambda _: None, collect_raw),
        methods=("POST",),
        access=access,
        calls_model=True,
    )
    routes = (*ROUTES, row, call)
    monkeypatch.setattr("drum_litestar.http.app.ROUTES", routes)
    templates: list[str] = []

    async def main() -> None:
        executor = InlineExecutor(lambda: Mirror(card()), executor_options(queue_depth=0))
        app = stacked(executor, options(enable_docs=True, on_routes=templates.extend), routes)
        await executor.start()
        await executor.wait_started()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

            async def ask(method: str, path: str, who: str) -> httpx.Response:
                return await client.request(method, path, headers={"x-client": who})

            assert (await ask("GET", "/new", "a")).status_code == without_token
            client.headers["x-api-key"] = "t"
            assert [(await ask("GET", path, "b")).status_code for path in ("/v1/new/", "/new")] == [200, second]
            assert (await ask("POST", "/new", "c")).status_code == 405
            assert (await ask("OPTIONS", "/new", "d")).headers["allow"] == "GET, HEAD, OPTIONS"
            paths = (await ask("GET", "/docs/openapi.json", "e")).json()["paths"]
            assert paths["/new"]["get"]["summary"] == "A new route"
            assert paths["/v1/new"]["get"]["tags"] == ["new"]
            assert (await ask("POST", "/score", "f")).status_code == 200
            ticket = executor.admit()  # the only slot
            assert (await ask("POST", "/score", "g")).status_code == 503
            ticket.release()
        await executor.shutdown(0)

    asyncio.run(main())
    assert {"/new", "/v1/new", "/score"} <= set(templates)
    assert set(seen) == {("drum.new", access == "client")}
