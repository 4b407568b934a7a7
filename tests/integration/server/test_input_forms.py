"""One table in all forms, through worker processes, batches, spool files and deadlines: the same predictions."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from drum_litestar.media_types import ARROW_FILE, ARROW_STREAM, PARQUET
from raw_serving import RawClient
from support.columnar import arrow_file, arrow_stream, parquet
from support.data import csv_of, table
from support.servers.process import ServerProcess
from support.wire import Request, csv, get, post, post_json, upload

Start = Callable[..., ServerProcess]
FRAME = table(40, seed=71)
DATA = csv_of(FRAME)
SMALL = {"DRUM_SPOOL_THRESHOLD": "1000", "DRUM_COMPRESS_ABOVE": "200"}


def forms() -> list[Request]:
    """Each holds the same rows."""
    packed = ("Content-Encoding", "gzip")
    rows = FRAME.to_dict("records")
    return [
        csv(DATA),
        upload(DATA),
        post_json("/predict/", rows),
        post_json("/predict/", {"columns": list(FRAME), "data": FRAME.to_numpy().tolist()}),
        post_json("/predict/", FRAME.to_dict("list")),
        post("/predict/", arrow_stream(FRAME), ARROW_STREAM),
        post("/predict/", parquet(FRAME), PARQUET),
        upload(arrow_file(FRAME), "x.arrow"),
        upload(parquet(FRAME), "x.parquet"),
        csv(gzip.compress(DATA)).with_headers(packed),
        post("/predict/", gzip.compress(json.dumps(rows).encode()), "application/json").with_headers(packed),
        Request("POST", "/predict/", upload(DATA).headers, gzip.compress(upload(DATA).body)).with_headers(packed),
    ]


@pytest.mark.parametrize("batch", ["auto", "100"])
def test_all_forms_at_once(serve: Start, batch: str) -> None:
    server = serve("regression", executor="pool", env={**SMALL, "DRUM_BATCH_MAX_ROWS": batch})
    expected = server.send(csv(DATA)).body
    requests = forms() * 6
    as_file = csv(DATA).with_headers(("Accept", "text/csv"))
    as_arrow = server.send(csv(DATA).with_headers(("Accept", ARROW_STREAM)))
    assert (as_arrow.status, as_arrow.header("content-type")) == (200, ARROW_STREAM)
    damaged = server.send(post("/predict/", parquet(FRAME)[:-1], PARQUET))
    assert (damaged.status, "cannot be read" in damaged.json()["message"]) == (422, True)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(server.send, [*requests, *[as_file] * 6]))
    assert {answer.status for answer in answers} == {200}
    assert {answer.body for answer in answers[: len(requests)]} == {expected}
    numbers = expected[16:-2].decode().split(",")
    assert {answer.body.decode() for answer in answers[len(requests) :]} == {"\n".join(["Predictions", *numbers, ""])}


def test_a_large_compressed_body_is_spooled(serve: Start) -> None:
    server = serve("regression", executor="pool")
    rows = 150_000  # more than the 10 MiB that are kept in memory
    data = DATA + b"".join(DATA.splitlines(keepends=True)[1:]) * (rows // len(FRAME) - 1)
    assert len(data) > 10 << 20
    answer = server.send(csv(gzip.compress(data, 1)).with_headers(("Content-Encoding", "gzip")))
    assert answer.status == 200
    assert len(answer.json()["predictions"]) == rows
    assert answer.json()["predictions"][-40:] == server.send(csv(DATA)).json()["predictions"]


def test_answers_are_compressed_for_ordinary_clients(serve: Start) -> None:
    server = serve("regression", executor="pool", env=SMALL)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        plain = client.post("/predict/", content=DATA, headers={"Accept-Encoding": "identity"})
        packed = client.post("/predict/", content=DATA, headers={"Accept-Encoding": "gzip, deflate"})
    assert (plain.headers.get("content-encoding"), packed.headers["content-encoding"]) == (None, "gzip")
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    assert plain.content == packed.content == server.send(csv(DATA)).body
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])


def test_a_compressed_upload_that_stalls_ends_at_the_deadline(serve: Start) -> None:
    server = serve("regression", executor="pool", env={"DRUM_CLIENT_REQUEST_TIMEOUT": "2"})
    body = gzip.compress(DATA)
    head = b"POST /predict/ HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    with RawClient(server.port) as client:
        client.send(head + body[:-5])
        assert client.response().status == 504
    assert server.send(csv(DATA)).status == 200


def test_a_worker_without_pyarrow(serve: Start, tmp_path: Path) -> None:
    """Its interpreter cannot import it: Arrow and Parquet are refused with what helps, CSV is as always."""
    (tmp_path / "pyarrow.py").write_text("raise ModuleNotFoundError('No module named pyarrow', name='pyarrow')\n")
    server = serve("regression", executor="pool", env={"PYTHONPATH": str(tmp_path)})
    bodies = ((arrow_stream(FRAME), ARROW_STREAM), (arrow_file(FRAME), ARROW_FILE), (parquet(FRAME), PARQUET))
    refused = [server.send(post("/predict/", body, mimetype)) for body, mimetype in bodies]
    assert [answer.status for answer in refused] == [415] * 3
    assert len({answer.body for answer in refused}) == 1
    message = refused[0].json()["message"]
    assert "needs the package 'pyarrow', which is not installed. Install it with: " in message
    assert message.endswith(" -m pip install pyarrow")
    assert {"arrow", "parquet"}.isdisjoint(server.send(get("/capabilities/")).json()["supported_payload_formats"])
    expected = server.send(csv(DATA))
    assert (expected.status, len(expected.json()["predictions"])) == (200, len(FRAME))
    preferring = server.send(csv(DATA).with_headers(("Accept", ARROW_STREAM)))
    assert (preferring.status, preferring.body) == (200, expected.body)
