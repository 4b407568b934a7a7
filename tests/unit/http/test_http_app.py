"""Routes, methods, prefixes and states: answers that need no model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar import Request, Response, get
from litestar.exceptions import NotAuthorizedException, NotFoundException

from drum_litestar.errors import BadRequestError, StartupError
from drum_litestar.http.app import build_app
from drum_litestar.http.app_options import normalize_prefix
from drum_litestar.http.openapi.documentation_pages import documentation_pages
from drum_litestar.predictors.protocol import TargetType
from http_serving import CSV, Serving, StateExecutor, card, mirror, options, serving

GET_ROUTES = ["/", "/ping", "/health", "/livez", "/readyz", "/startupz", "/info", "/capabilities", "/stats"]
POST_ROUTES = ["/predict", "/predictions", "/invocations", "/predictionsStream"]
OTHER_POST_ROUTES = [
    "/transform",
    "/predictUnstructured",
    "/predictionsUnstructured",
    "/chat/completions",
    "/v1/chat/completions",
    "/completions",
    "/v1/completions",
    "/embeddings",
    "/v1/embeddings",
]


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with mirror() as (serving, _):
        yield serving


@pytest.fixture(scope="module")
def client(server: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", GET_ROUTES)
def test_get_and_head_answer_with_and_without_slash(client: httpx.Client, path: str, slash: str) -> None:
    answer = client.get(path + slash)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    head = client.head(path + slash)
    assert head.status_code == 200
    assert head.content == b""
    if path != "/stats":
        assert head.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", POST_ROUTES)
def test_structured_routes_answer_with_and_without_slash(client: httpx.Client, path: str, slash: str) -> None:
    answer = client.post(path + slash, content=CSV)
    assert answer.status_code == 200
    assert answer.json()["x"]["data"] == CSV.decode()


@pytest.mark.parametrize(("path", "merged"), [("//predict//", "predict"), ("/v1//chat///completions", "chat")])
def test_double_slashes_are_merged(client: httpx.Client, server: Serving, path: str, merged: str) -> None:
    answer = client.send(client.build_request("POST", f"{server.url}{path}", content=CSV))
    assert answer.status_code == (200 if merged == "predict" else 404)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", [*POST_ROUTES, *OTHER_POST_ROUTES])
def test_options_of_a_post_route(client: httpx.Client, path: str) -> None:
    answer = client.options(path)
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert set(answer.headers["allow"].split(", ")) == {"POST", "OPTIONS"}


def test_options_of_a_get_route_and_of_a_path_with_a_tail(client: httpx.Client) -> None:
    assert set(client.options("/ping/").headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    forward = client.options("/nim/v1/models")
    assert forward.status_code == 200
    assert set(forward.headers["allow"].split(", ")) == {"GET", "HEAD", "POST", "PUT", "OPTIONS"}


@pytest.mark.parametrize("path", ["/nope", "/static/app.js", "/nim", "/nim/", "/directAccess/", "/predict/x"])
def test_unknown_paths_are_404_json(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    more = "" if path.startswith("/static/") else f" There is no {path}; "
    assert answer.json()["message"].startswith(f"The requested URL was not found on the server.{more}")


@pytest.mark.parametrize(
    ("path", "meant"),
    [("/predct/", "/predict"), ("/Predict", "/predict"), ("/v1/chat/completion", "/v1/chat/completions"),
     ("/v1/embedding", "/v1/embeddings"), ("/v1/completion", "/v1/completions"),
     ("/healthz", "/health"), ("/ready", "/readyz")],
)  # fmt: skip
def test_a_404_names_the_nearest_route(client: httpx.Client, path: str, meant: str) -> None:
    assert client.get(path).json()["message"].endswith(f"There is no {path}; did you mean {meant}?")


def test_a_404_without_a_near_route_names_all(client: httpx.Client) -> None:
    message = client.get("/" + "x" * 500).json()["message"]
    assert (
        f"There is no /{'x' * 79}...; there are /, /capabilities, /chat/completions, /completions, /directAccess/"
        in message
    )
    assert message.endswith("/v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models.")
    assert "/static" not in message


def test_a_404_knows_the_prefix_and_extensions() -> None:
    @get("/hello")
    async def hello() -> str:
        raise NotFoundException

    extra = options(route_handlers=(hello,), url_prefix="/pfx")
    with serving(StateExecutor("ready", card()), extra) as server:
        assert server.client.get("/predict/").json()["message"].endswith("did you mean /pfx/predict?")
        assert server.client.get("/pfx/helo").json()["message"].endswith("did you mean /pfx/hello?")
        assert server.client.get("/pfx/hello").json() == {"message": "The requested URL was not found on the server."}
        assert "/static" not in server.client.get("/pfx/nothing-like-it").json()["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_wrong_methods_are_405_json_with_allow(client: httpx.Client, method: str) -> None:
    answer = client.request(method, "/predict/")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"POST", "OPTIONS"}
    assert answer.json() == {"message": "The method is not allowed for the requested URL. /predict/ takes POST."}


def test_a_405_names_all_methods(client: httpx.Client) -> None:
    assert client.post("/info").json()["message"].endswith(" /info takes GET, HEAD.")
    assert client.patch("/nim/x").json()["message"].endswith(" /nim/x takes GET, HEAD, POST, PUT.")


def test_no_response_names_the_server_software_twice(client: httpx.Client) -> None:
    """X-Drum-* and request-id headers belong to the middleware stack; the application must not add its own."""
    names = set(client.get("/ping/").headers)
    assert names <= {"content-type", "content-length", "date", "server"}


def test_info_and_capabilities() -> None:
    described = card(TargetType.BINARY, chat=True, info={"targetType": "binary", "codeDir": "/m", "drumServer": "x"})
    with serving(StateExecutor("ready", described)) as server:
        info = server.client.get("/info/")
        assert info.content == (
            b'{"codeDir":"/m","drumServer":"litestar","drumVersion":"1.18.1","targetType":"binary"}\n'
        )
        capabilities = server.client.get("/capabilities/")
        assert capabilities.content == (
            b'{"supported_methods":{"chat":true},"supported_payload_formats":{"csv":null,"mtx":null}}\n'
        )


def test_capabilities_name_what_drum_does_not_have_where_it_is() -> None:
    with serving(StateExecutor("ready", card(completions=True, embeddings=True))) as server:
        methods = {"chat": False, "completions": True, "embeddings": True}
        assert server.client.get("/capabilities/").json()["supported_methods"] == methods


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("route", ["nim", "directAccess"])
def test_direct_access_without_an_llm_server(client: httpx.Client, route: str, method: str) -> None:
    answer = client.request(method, f"/{route}/v1/x")
    assert answer.status_code == 400
    assert answer.content == b'{"message":"This endpoint is only supported by OpenAI based predictors"}\n'


def test_direct_access_is_handed_to_the_injected_proxy() -> None:
    described = card(TargetType.TEXT_GENERATION, direct_access="http://llm:9999")

    async def proxy(request: Request[Any, Any, Any], base_url: str) -> Response[Any]:
        return Response({"to": base_url, "path": request.scope["path"]})

    with serving(StateExecutor("ready", described), options(direct_access=proxy)) as server:
        assert server.client.get("/nim/v1/models").json() == {"to": "http://llm:9999", "path": "/nim/v1/models"}
    with serving(StateExecutor("ready", described)) as server:
        answer = server.client.get("/nim/v1/models")
        assert answer.status_code == 501
        assert "pip install httpx" in answer.json()["message"]


def test_stats_comes_from_the_injected_reporter() -> None:
    async def report() -> dict[str, object]:
        return {"b": 1, "a": float("nan")}

    with serving(StateExecutor("ready", card()), options(stats=report)) as server:
        assert server.client.get("/stats/").content == b'{"a":null,"b":1}\n'
    executor = StateExecutor("ready", card())
    with serving(executor) as server:
        assert server.client.get("/stats").json() == executor.stats()


def test_metrics_with_and_without_the_extra() -> None:
    with serving(StateExecutor("ready", card()), options(metrics=lambda: (b"up 1\n", "text/x; v=1"))) as server:
        answer = server.client.get("/metrics")
        assert (answer.content, answer.headers["content-type"]) == (b"up 1\n", "text/x; v=1")
    with serving(StateExecutor("ready", card())) as server:
        answer = server.client.get("/metrics")
        assert answer.status_code == 501
        assert "pip install prometheus-client" in answer.json()["message"]


@pytest.mark.parametrize("prefix", ["/pfx", "/pfx/", "/a/pfx", "//pfx"])
def test_url_prefix(prefix: str) -> None:
    base = prefix.rstrip("/").replace("//", "/")
    with mirror(settings=options(url_prefix=prefix)) as (server, _):
        for path in (f"{base}/ping", f"{base}/", base, f"{base}/info/"):
            assert server.client.get(path).status_code == 200, path
        assert server.client.post(f"{base}/predict/", content=CSV).status_code == 200
        assert server.client.options(f"{base}/predict/").status_code == 200
        assert server.client.get("/ping").status_code == 404


def test_url_prefix_without_leading_slash_is_refused_with_drums_text() -> None:
    for prefix in ("pfx", "pfx/"):
        with pytest.raises(StartupError, match=r"^URL rule 'pfx/ping/' must start with a slash\.$"):
            build_app(StateExecutor(), options(url_prefix=prefix))
    with pytest.raises(StartupError, match="braces"):
        normalize_prefix("/{x}")
    assert [normalize_prefix(prefix) for prefix in ("", "/", "//", "/a//b/")] == ["", "", "", "/a/b"]


STATES = {
    # state, card known: /livez, /ping, /readyz, /startupz, /info
    ("starting", False): (200, 503, 503, 503, 503),
    ("ready", True): (200, 200, 200, 200, 200),
    ("unready", True): (200, 200, 503, 200, 200),
    ("draining", True): (200, 200, 503, 200, 200),
    ("failed", False): (200, 503, 503, 503, 503),
}


@pytest.mark.parametrize(("state", "known"), list(STATES))
def test_probes_by_state(state: str, known: bool) -> None:
    with serving(StateExecutor(state, card() if known else None)) as server:
        paths = ("/livez", "/ping/", "/readyz", "/startupz", "/info")
        answers = [server.client.get(path) for path in paths]
        assert tuple(answer.status_code for answer in answers) == STATES[state, known]
        assert all(answer.json()["message"] for answer in answers[:4])
        assert {answer.headers.get("retry-after") for answer in answers if answer.status_code == 503} <= {"10"}
        assert server.client.get("/").status_code == answers[1].status_code
        assert server.client.get("/health").status_code == answers[2].status_code


def test_readiness_tells_why_it_is_not_ready() -> None:
    executor = StateExecutor("ready", card())
    announced: list[str] = []
    with serving(executor, options(leaving=lambda: bool(announced), ready_queue=0.5)) as server:

        def asked() -> tuple[int, str]:
            answers = [server.client.get(path) for path in ("/readyz", "/health/")]
            assert answers[0].content == answers[1].content
            return answers[0].status_code, answers[0].json()["message"]

        assert asked() == (200, "OK")
        executor.counters["executor_queue_depth"] = 4
        assert asked() == (200, "OK")
        executor.counters["executor_queue_depth"] = 5
        assert asked() == (503, "5 of 10 places in the queue are taken (DRUM_READY_QUEUE)")
        executor.state = "unready"
        assert asked() == (503, "No model worker is ready")
        executor.counters["executor_stuck"] = 1
        assert asked() == (503, "No model worker is ready: calls past their deadline hold 1 of 2 slots")
        announced.append("SIGTERM")
        assert asked() == (503, "Server is shutting down; requests are still answered")
        executor.state = "draining"
        assert asked() == (503, "Server is shutting down")
        assert [server.client.get(path).status_code for path in ("/livez", "/ping/")] == [200, 200]


def test_error_server_answers_513_but_for_livez_and_metrics() -> None:
    with serving(StateExecutor("failed", error_server=True), options(metrics=lambda: (b"", "text/plain"))) as server:
        for path in [p for p in GET_ROUTES if p != "/livez"] + ["/models", "/v1/models", "/nim/x"]:
            answer = server.client.get(path)
            assert answer.status_code == 513, path
            assert answer.content == b'{"message":"ERROR: no such artifact"}\n'
            assert answer.headers["content-type"] == "application/json"
        for path in [*POST_ROUTES, *OTHER_POST_ROUTES]:
            assert server.client.post(path, content=CSV).status_code == 513
        assert server.client.get("/livez").status_code == 200
        assert server.client.get("/metrics").status_code == 200
        assert server.client.get("/nope").status_code == 404


def test_routes_of_extensions_share_prefix_errors_and_failure() -> None:
    @get("/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    @get("/teapot")
    async def teapot() -> None:
        raise BadRequestError("no tea", headers=(("Retry-After", "1"),), code="tea")

    @get("/locked")
    async def locked() -> None:
        raise NotAuthorizedException("no key", headers={"WWW-Authenticate": "Bearer"})

    @get("/bug")
    async def bug() -> None:
        raise ValueError("secret")

    extra = options(route_handlers=(hello, teapot, locked, bug), url_prefix="/p")
    with serving(StateExecutor("ready", card()), extra) as server:
        assert server.client.get("/p/hello").json() == {"hello": "world"}
        answer = server.client.get("/p/teapot")
        assert (answer.status_code, answer.headers["retry-after"]) == (400, "1")
        assert answer.content == b'{"code":"tea","message":"no tea"}\n'
        answer = server.client.get("/p/locked")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.content == b'{"message":"no key"}\n'
        answer = server.client.get("/p/bug")
        assert (answer.status_code, answer.json()) == (500, {"message": "Internal server error", "request_id": None})
    with serving(StateExecutor("failed", error_server=True), extra) as server:
        assert server.client.get("/p/hello").status_code == 513


def test_docs_are_off_unless_asked_for(client: httpx.Client) -> None:
    assert client.get("/docs").status_code == 404
    settings = options(enable_docs=True, protocol_routes=documentation_pages())
    with serving(StateExecutor("ready", card(TargetType.TEXT_GENERATION, chat=True)), settings) as server:
        assert "text/html" in server.client.get("/docs/").headers["content-type"]
        document = json.loads(server.client.get("/docs/openapi.json").content)
        assert {"/ping", "/v1/chat/completions"} <= set(document["paths"])
        assert server.client.get("/docs/openapi.json/x").status_code == 404


def test_probes_are_forwarded_to_a_predictor_that_answers_them() -> None:
    with mirror(card(probes_model=True), queue_depth=0) as (server, predictor):
        assert server.client.get("/ping").json()["kind"] == "liveness"
        assert server.client.get("/health").json()["kind"] == "readiness"
        predictor.script[b"wait"] = predictor.wait
        busy = server.send(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nwait")
        assert predictor.entered.acquire(timeout=60)
        assert server.client.get("/ping").json() == {"message": "OK"}  # busy is not dead
        assert server.client.get("/health").status_code == 503
        predictor.go_on.set()
        busy.close()
