"""Routes, methods, headers, probes and descriptions (contract, 3.1, 3.2, 3.11 to 3.15, section 8)."""

from __future__ import annotations

import re
from pathlib import Path

from support.cases import Case, Check, any_json, drum_json, error, message
from support.data import csv_of, table
from support.wire import Answer, Request, csv, get, post, post_json

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
DATA = csv_of(table(3, seed=11))
OK = message("OK")
JSON = "application/json"
HTML = "text/html; charset=utf-8"
SLASH = "Trailing slash"
PAGES = "404, 405"
OURS = "our own routes"


def request_id(sent: str) -> Request:
    return csv(DATA).with_headers(("X-Request-ID", sent))


def info(**fields: object) -> Check:
    """``/info/`` of a folder; ``codeDir`` is the path, versions are looked at by form only."""

    def check(answer: Answer, path: Path) -> None:
        found = answer.json()
        assert answer.body == drum_json(found)
        assert re.fullmatch(r"\d+\.\d+\.\d+.*", found.pop("drumVersion"))
        assert found.pop("drumServer") in ("litestar", "flask")
        assert found == {"codeDir": str(path), "language": "python", "modelMetadata": None, **fields}

    return check


def stats(answer: Answer, path: Path) -> None:
    found = answer.json()
    assert {"drum_info", "mem_info", "time_info"} <= set(found)
    assert {"avail", "container_limit", "container_max_used", "container_used", "drum_rss", "free", "total"} <= set(
        found["mem_info"]
    )
    assert {"cmdline", "cpu_percent", "mem", "pid"} <= set(found["drum_info"][0])
    assert set(found["time_info"]["run_predictor_total"]) == {"avg", "max", "min", "total"}


def allows(*methods: str) -> re.Pattern[str]:
    """``Allow`` in any order."""
    return re.compile("".join(f"(?=.*\\b{method}\\b)" for method in methods) + "[A-Z]+(, [A-Z]+)*")


def drum_server(answer: Answer, path: Path) -> None:
    assert answer.json()["drumServer"] == "litestar"


def empty(answer: Answer, path: Path) -> None:
    assert answer.body == b""


NO_CHAT = error("This model's chat interface was called, but chat is not supported.")
NO_MODELS = error("get_supported_llm_models is supported only for TextGen models")
NO_LLM = message("This endpoint is only supported by OpenAI based predictors")
UNSTRUCTURED_HERE = error(
    "This model has target type TargetType.REGRESSION, use either /predict/ or /predictions/ endpoint."
)


def capabilities(*, chat: bool) -> Check:
    """DRUM's object; ours may also have the formats that pyarrow reads."""

    def check(answer: Answer, path: Path) -> None:
        found = answer.json()
        formats = found["supported_payload_formats"]
        assert formats.pop("arrow", None) == formats.pop("parquet", None)
        assert found == {"supported_methods": {"chat": chat}, "supported_payload_formats": {"csv": None, "mtx": None}}

    return check


CAPABILITIES = capabilities(chat=False)
SK = {"predictor": "scikit-learn"}

REGRESSION = [
    Case("root", get("/"), body=OK, headers={"content-type": JSON}),
    Case("ping", get("/ping/"), body=OK),
    Case("ping without slash", get("/ping"), body=OK),
    Case("health", get("/health/"), body=OK),
    Case("health without slash", get("/health"), body=OK, differs=SLASH),
    Case("info", get("/info/"), body=info(targetType="regression", **SK), headers={"content-type": JSON}),
    Case("info without slash", get("/info"), body=info(targetType="regression", **SK), differs=SLASH),
    Case("info names the server", get("/info/"), body=drum_server, differs="Q-24"),
    Case("capabilities", get("/capabilities/"), body=CAPABILITIES),
    Case("capabilities without slash", get("/capabilities"), body=CAPABILITIES, differs=SLASH),
    Case("stats", get("/stats/"), body=stats, headers={"content-type": JSON}),
    Case("livez", get("/livez"), differs=OURS),
    Case("readyz", get("/readyz"), differs=OURS),
    Case("startupz", get("/startupz"), differs=OURS),
    Case("head", Request("HEAD", "/ping/"), body=empty, headers={"content-length": str(len(OK))}),
    Case("head of info", Request("HEAD", "/info/"), body=empty, headers={"content-type": JSON}),
    Case(
        "options of a POST route",
        Request("OPTIONS", "/predict/"),
        body=empty,
        headers={"allow": allows("POST", "OPTIONS"), "content-type": HTML},
    ),
    Case(
        "options of a GET route",
        Request("OPTIONS", "/info/"),
        body=empty,
        headers={"allow": allows("GET", "HEAD", "OPTIONS"), "content-type": HTML},
    ),
    Case("unknown path", get("/nope"), 404, any_json, {"content-type": JSON}, differs=PAGES),
    Case("unknown path below a route", get("/predict/more"), 404, any_json, differs=PAGES),
    Case("unknown path, POST", post("/nope", b"x", "text/csv"), 404, any_json, differs=PAGES),
    Case("unknown static file", get("/static/x.css"), 404, any_json, differs=PAGES),
    Case("direct access to nothing", get("/nim/"), 404, any_json, differs=PAGES),
    Case(
        "get of predict", get("/predict/"), 405, any_json, {"allow": allows("POST", "OPTIONS")}, differs=PAGES
    ),
    Case("put of predict", Request("PUT", "/predict/"), 405, any_json, {"allow": allows("POST")}, differs=PAGES),
    Case("post of info", post("/info/", b""), 405, any_json, {"allow": allows("GET", "HEAD")}, differs=PAGES),
    Case("delete of chat", Request("DELETE", "/v1/chat/completions"), 405, any_json, {"allow": allows("POST")},
         differs=PAGES),
    Case("405 keeps the status for DRUM", get("/predict/"), 405, headers={"allow": allows("POST", "OPTIONS")}),
    Case("404 keeps the status for DRUM", get("/nope"), 404),
    Case("request id echoed", request_id("RID-1"), headers={"x_request_id": "RID-1"}),
    Case("request id echoed twice", request_id("a.b:c/d+e=F_9"), headers={
        "x_request_id": "a.b:c/d+e=F_9", "x-request-id": "a.b:c/d+e=F_9"}, differs="Request id"),
    Case("request id made", csv(DATA), headers={"x_request_id": UUID4}),
    Case("request id of 404", get("/nope").with_headers(("X-Request-ID", "R4")), 404, headers={"x_request_id": "R4"}),
    Case("request id with odd characters", request_id("a b<c>"), headers={"x_request_id": UUID4},
         differs="Request id"),
    Case("request id too long", request_id("x" * 129), headers={"x_request_id": UUID4}, differs="Request id"),
    Case("request id of 128", request_id("x" * 128), headers={"x_request_id": "x" * 128}),
    Case("version header", csv(DATA), headers={"x-drum-version": re.compile(r"\d+\.\d+\.\d+.*")}),
    Case("server header", csv(DATA), headers={"x-drum-server": re.compile("litestar/.+"), "server": None},
         differs="X-Drum-Version"),
    Case("chat is not supported", post_json("/v1/chat/completions", {"messages": []}), 404, NO_CHAT),
    Case("chat is not supported, short path", post_json("/chat/completions", {}), 404, NO_CHAT),
    Case("chat with slash", post_json("/chat/completions/", {}), 404, NO_CHAT, differs=SLASH),
    Case("chat, broken JSON", post("/v1/chat/completions", b"{", JSON), 404, NO_CHAT, differs="Q-23"),
    Case("models", get("/models"), 404, NO_MODELS),
    Case("models, v1", get("/v1/models"), 404, NO_MODELS),
    Case("models with slash", get("/models/"), 404, NO_MODELS, differs=SLASH),
    Case("direct access", get("/directAccess/v1/models"), 400, NO_LLM),
    Case("nim, POST", post_json("/nim/v1/x", {}), 400, NO_LLM),
    Case("nim, PUT", Request("PUT", "/nim/v1/x", (), b"x"), 400, NO_LLM),
    Case("unstructured", post("/predictUnstructured/", b"x", "text/plain"), 422, UNSTRUCTURED_HERE),
    Case("unstructured, other path", post("/predictionsUnstructured/", b"", None), 422, UNSTRUCTURED_HERE),
    Case("transform", csv(DATA, "/transform/"), 422,
         error("This model has target type TargetType.REGRESSION, use the /predict/ endpoint.")),
]  # fmt: skip

CASES = {
    "regression": REGRESSION,
    "binary": [
        Case("info", get("/info/"),
             body=info(targetType="binary", positiveClassLabel="yes", negativeClassLabel="no", **SK)),
    ],
    "multiclass": [Case("info", get("/info/"), body=info(targetType="multiclass", classLabels=["c", "a", "b"], **SK))],
    "multilabel": [
        Case("info", get("/info/"), body=info(targetType="multilabel", classLabels=["0", "1", "2"], **SK),
             differs="Q-24"),
    ],
    "xgb_pipeline": [Case("info", get("/info/"), body=info(targetType="regression", predictor="xgboost"))],
    "xgb_booster_regression": [Case("info", get("/info/"), body=info(targetType="regression", predictor="xgboost"))],
    "xgb_bare": [
        Case("info", get("/info/"),
             body=info(targetType="binary", positiveClassLabel="1", negativeClassLabel="0", **SK)),
    ],
    "torch_regression": [Case("info", get("/info/"), body=info(targetType="regression", predictor="torch"))],
    "onnx_regression": [Case("info", get("/info/"), body=info(targetType="regression", predictor="onnx"))],
    "keras_regression": [Case("info", get("/info/"), body=info(targetType="regression", predictor="keras"))],
    "hooks_regression": [Case("info", get("/info/"), body=info(targetType="regression", predictor=None))],
    "task_regression": [Case("info", get("/info/"), body=info(targetType="regression", predictor=None))],
    "unstructured": [Case("info", get("/info/"), body=info(targetType="unstructured", predictor=None))],
    "transform_sklearn": [Case("info", get("/info/"), body=info(targetType="transform", predictor=None))],
}  # fmt: skip
