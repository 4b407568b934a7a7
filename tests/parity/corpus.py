"""The corpus: for a model folder, every request that both servers must answer alike."""

from __future__ import annotations

from collections.abc import Iterator

from contract.cases import all_cases
from support.data import csv_of, matrix_market, table
from support.wire import Part, Request, csv, form, get, post, post_json, upload
from support.zoo import ModelFolder

GET_ROUTES = ("/", "/ping", "/ping/", "/health/", "/health", "/info/", "/stats/", "/capabilities/", "/models",
              "/v1/models", "/models/", "/nope", "/directAccess/x", "/nim/", "/static/x")  # fmt: skip
POST_ROUTES = ("/predict/", "/predictions/", "/invocations", "/transform/", "/predictUnstructured/",
               "/predictionsUnstructured/", "/chat/completions", "/v1/chat/completions")  # fmt: skip
TEN = table(6, seed=41)
TWO = table(3, ("a", "b"), seed=43)


def routes() -> Iterator[Request]:
    """Every route with every method."""
    for path in GET_ROUTES:
        yield get(path)
        yield Request("HEAD", path)
        yield Request("OPTIONS", path)
        yield post(path, b"a\n1\n", "text/csv")
        yield Request("DELETE", path)
    for path in POST_ROUTES:
        yield get(path)
        yield Request("OPTIONS", path)
        yield Request("PUT", path, (("Content-Type", "text/csv"),), b"a\n1\n")


def payloads(path: str) -> Iterator[Request]:
    """One route with every payload form, good and bad."""
    data = csv_of(TEN)
    for content_type in (None, "", "text/csv", "text/plain", "text/csv; charset=utf-8", "TEXT/CSV", "text/mtx",
                         "application/json", "application/octet-stream", "application/x-www-form-urlencoded",
                         "multipart/form-data", "multipart/form-data; boundary=zz", "nonsense"):  # fmt: skip
        yield csv(data, path, content_type)
    yield csv(b"", path)
    yield csv(b"\n", path)
    yield csv(b"\xff\xfe\x00", path)
    yield csv(b"a,b\n1,2\n1,2,3\n", path)
    yield csv(csv_of(TWO), path)
    yield csv("é,☃\n1,2\n".encode(), path)
    yield csv(f"x0\n{10**40}\n", path)
    yield csv(data.replace(b"0.", b"NaN.", 1), path)
    yield upload(data, target=path)
    yield upload(data, "x.mtx", path)
    yield upload(matrix_market(TEN), "x.mtx", path)
    yield upload(matrix_market(TEN), "x.mtx", path, colnames="\n".join(TEN.columns).encode())
    yield upload(matrix_market(TEN), "x.mtx", path, colnames=b"a\nb")
    yield upload(matrix_market(TWO), "x.mtx", path, y=b"t\n1\n")
    yield upload(b"", target=path)
    yield form([Part("X", data, None)], path)
    yield form([Part("Z", data, "x.csv")], path)
    yield form([Part("X", data, "x.csv"), Part("y", b"t\n1\n2\n", "y.csv")], path)
    yield form([Part("X", data, "x.csv")], path, closed=False)


def chats() -> Iterator[Request]:
    """Bodies that a chat route meets."""
    for path in ("/v1/chat/completions", "/chat/completions"):
        yield post_json(path, {"messages": [], "datarobot_association_id": "A"})
        yield post_json(path, {})
        yield post_json(path, [])
        yield post_json(path, {"messages": 3})
        for content_type in (None, "text/plain", "application/json"):
            yield post(path, b"{", content_type)
            yield post(path, b"", content_type)


STRUCTURED = {"regression", "binary", "multiclass", "multilabel", "anomaly", "geopoint", "textgeneration",
              "vectordatabase", "agenticworkflow"}  # fmt: skip


def corpus(folder: ModelFolder) -> Iterator[Request]:
    """All requests for ``folder``: its contract cases, then the generated ones of its target type."""
    for case in all_cases().get(folder.name, ()):
        if not case.fatal:
            yield case.request
    paths = {"transform": ("/transform/", "/predict/"), "unstructured": ("/predictUnstructured/", "/predict/")}
    for path in paths.get(folder.target_type, ("/predict/",)):
        yield from payloads(path)
    yield from chats()
    if folder.target_type in STRUCTURED and folder.needs:
        yield csv(csv_of(table(10_000, seed=47)))
    if folder.name in FULL_ROUTES:
        yield from routes()
        for path in ("/predictions/", "/invocations"):
            yield from payloads(path)


FULL_ROUTES = {"regression", "hooks_binary", "text", "chat_text", "unstructured", "transform"}
"""Folders that also meet every route with every method; routing does not depend on more than these."""
