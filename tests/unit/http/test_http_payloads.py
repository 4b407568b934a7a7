"""Requests to calls: the data that reaches the predictor, and the answers to unusable data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from drum_litestar.media_types import is_json, parameter, split_content_type
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.rules import NO_DATA
from http_serving import CSV, FORM, Serving, X, card, form, mirror, post

NO_DATA_BODY = b'{"message":"ERROR: ' + NO_DATA.encode() + b'"}\n'


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with mirror() as (server, _):
        yield server


def send(server: Serving, body: bytes, *headers: str, path: str = "/predict/") -> tuple[int, bytes]:
    """Return status and body of a raw POST."""
    answer = server.exchange(post(path, body, *headers))
    head, _, content = answer.partition(b"\r\n\r\n")
    assert b"\r\ncontent-type: application/json\r\n" in head + b"\r\n"
    return int(head.split()[1]), content


def predicted(server: Serving, body: bytes, *headers: str, path: str = "/predict/") -> Any:
    status, content = send(server, body, *headers, path=path)
    assert status == 200, content
    return msgspec.json.decode(content)


RAW_CSV = {
    "no content type": (),
    "empty": ("Content-Type:",),
    "csv": ("Content-Type: text/csv",),
    "plain": ("Content-Type: text/plain; charset=latin-1",),
    "space before parameters": ("Content-Type: text/csv ; charset=utf-8",),
    "only parameters": ("Content-Type: ; charset=utf-8",),
    "broken quoting": ('Content-Type: text/csv; charset="utf',),
    "matrix market": ("Content-Type: text/mtx",),
    "json": ("Content-Type: application/json",),
    "json in another spelling": ("Content-Type: Application/JSON; charset=utf-8",),
    "last one wins": ("Content-Type: application/xml", "Content-Type: text/csv"),
}


@pytest.mark.parametrize("headers", RAW_CSV.values(), ids=list(RAW_CSV))
def test_raw_bodies(server: Serving, headers: tuple[str, ...]) -> None:
    x = predicted(server, CSV, *headers)["x"]
    assert (x["data"], x["size"], x["filename"], x["spooled"]) == (CSV.decode(), len(CSV), None, False)
    expected = headers[-1].removeprefix("Content-Type:").partition(";")[0].strip() if headers else ""
    assert x["mimetype"] == (expected or None)


@pytest.mark.parametrize(
    "mimetype",
    [
        "application/xml",
        "TEXT/CSV",
        "application/octet-stream",
        "text/csv, text/plain",
        "multipart/mixed; boundary=b",
    ],
)
def test_unsupported_formats(server: Serving, mimetype: str) -> None:
    status, body = send(server, CSV, f"Content-Type: {mimetype}")
    named = mimetype.partition(";")[0].encode()
    assert (status, body) == (
        422,
        b'{"accepted":["text/csv","text/plain","application/json","text/mtx","multipart/form-data"],'
        b'"message":"ERROR: payload format `' + named + b"` is not supported by predictor/transformer. Make DRUM "
        b'support the format or implement `read_input_data` hook to read the data. "}\n',
    )


NO_DATA_REQUESTS = {
    "empty body": (b"", ()),
    "empty body of an unsupported type": (b"", ("Content-Type: application/json",)),
    "urlencoded": (CSV, ("Content-Type: application/x-www-form-urlencoded",)),
    "urlencoded, upper case": (CSV, ("Content-Type: Application/X-WWW-form-urlencoded; charset=x",)),
    "wrong part name": (form(('name="x"; filename="x.csv"', CSV)), (FORM,)),
    "field instead of file": (form(('name="X"', CSV)), (FORM,)),
    "empty form": (b"--b1--\r\n", (FORM,)),
    "no form at all": (b"hello world", (FORM,)),
    "nothing": (b"", (FORM,)),
    "no boundary, nothing": (b"", ("Content-Type: multipart/form-data",)),
    "cut off before the end": (form((X, CSV), end=False), (FORM,)),
    "cut off in a part": (form((X, CSV))[:-14], (FORM,)),
    "another boundary": (form((X, CSV)), ("Content-Type: multipart/form-data; boundary=zz",)),
    "part without name": (form(('filename="x.csv"', CSV)), (FORM,)),
    "part without disposition": (b"--b1\r\n\r\n" + CSV + b"\r\n--b1--\r\n", (FORM,)),
    "headers that are not UTF-8": (form((X, CSV)).replace(b"x.csv", b"\xe9.csv"), (FORM,)),
}


@pytest.mark.parametrize(("body", "headers"), NO_DATA_REQUESTS.values(), ids=list(NO_DATA_REQUESTS))
def test_no_data(server: Serving, body: bytes, headers: tuple[str, ...]) -> None:
    assert send(server, body, *headers) == (422, NO_DATA_BODY)


@pytest.mark.parametrize("boundary", ["", "boundary=", "boundary=; charset=x"])
def test_form_without_boundary_is_a_format_of_its_own(server: Serving, boundary: str) -> None:
    status, body = send(server, form((X, CSV)), f"Content-Type: multipart/form-data; {boundary}")
    assert status == 422
    assert b'"message":"ERROR: payload format `multipart/form-data` is not supported' in body


FILES = {
    "plain": (X, "x.csv"),
    "empty file name": ('name="X"; filename=""', ""),
    "unquoted": ("name=X; filename=x.mtx", "x.mtx"),
    "extended": ("name=\"X\"; filename*=UTF-8''%c3%a9.mtx", "é.mtx"),
    "extended wins": ('name="X"; filename="a.csv"; filename*=UTF-8\'\'x.mtx', "x.mtx"),
    "extended in an unknown charset": ('name="X"; filename="a.csv"; filename*=nope\'\'%41.mtx', "a.csv"),
    "folded": ('\r\n name="X"; filename="x.csv"', "x.csv"),
}


@pytest.mark.parametrize(("disposition", "filename"), FILES.values(), ids=list(FILES))
def test_file_parts(server: Serving, disposition: str, filename: str) -> None:
    x = predicted(server, form((disposition, CSV)), FORM)["x"]
    assert (x["data"], x["filename"], x["mimetype"]) == (CSV.decode(), filename, None)


@pytest.mark.parametrize(
    "content_type", ['multipart/form-data; boundary="b1"', "Multipart/Form-Data; charset=x; Boundary=b1"]
)
def test_content_types_of_forms(server: Serving, content_type: str) -> None:
    assert predicted(server, form((X, CSV)), f"Content-Type: {content_type}")["x"]["size"] == len(CSV)


def test_first_file_of_a_name_wins_and_the_rest_is_dropped(server: Serving) -> None:
    call = predicted(
        server,
        form(
            ('name="X"', b"a field"),
            (X, CSV),
            ('name="X"; filename="later.csv"', b"z\n1\n"),
            ('name="y"; filename="y.csv"', b"t\n1\n"),
            ('name="X.colnames"; filename="X.colnames"', b"a\nb"),
            ('name="other"; filename="big.bin"', b"o" * 300_000),
        ),
        FORM,
    )
    assert call["x"]["data"] == CSV.decode()
    assert call["colnames"]["data"] == "a\nb"
    assert call["y"] is None  # predict ignores it
    assert call["kind"] == "predict"


def test_preamble_and_epilogue_are_skipped(server: Serving) -> None:
    body = b"preamble\r\n" + form((X, CSV)) + b"epilogue"
    assert predicted(server, body, FORM)["x"]["data"] == CSV.decode()


def test_an_empty_file_is_data(server: Serving) -> None:
    """The predictor refuses it (contract, 3.5: "No columns to parse from file")."""
    x = predicted(server, form((X, b"")), FORM)["x"]
    assert (x["data"], x["size"]) == ("", 0)


def test_transform_takes_y_but_not_an_empty_one() -> None:
    with mirror(card(TargetType.TRANSFORM)) as (server, _):
        call = predicted(server, form((X, CSV), ('name="y"; filename="y.mtx"', b"t")), FORM, path="/transform/")
        assert (call["kind"], call["y"]["data"], call["y"]["filename"]) == ("transform", "t", "y.mtx")
        call = predicted(server, form((X, CSV), ('name="y"; filename="y.csv"', b"")), FORM, path="/transform")
        assert call["y"] is None
        call = predicted(server, form((X, CSV), ('name="y"', b"t")), FORM, path="/transform")
        assert call["y"] is None
        assert predicted(server, CSV, path="/transform")["x"]["data"] == CSV.decode()
        assert send(server, b"", path="/transform") == (422, NO_DATA_BODY)


def test_a_model_that_reads_its_input_itself_takes_any_format() -> None:
    with mirror(card(any_format=True)) as (server, _):
        x = predicted(server, CSV, "Content-Type: application/vnd.x; charset=q")["x"]
        assert (x["mimetype"], x["charset"], x["data"]) == ("application/vnd.x", "q", CSV.decode())
        x = predicted(server, form((X, CSV)), "Content-Type: multipart/form-data")["x"]
        assert x["mimetype"] == "multipart/form-data"
        assert send(server, b"") == (422, NO_DATA_BODY)


def test_unstructured_takes_the_whole_body_with_query_and_headers() -> None:
    with mirror(card(TargetType.UNSTRUCTURED, unstructured=True)) as (server, _):
        call = predicted(
            server,
            b"\x00\xff",
            'Content-Type: Text/X; a=b; CHARSET="utf-16"',
            "X-Twice: 1",
            "X-Twice: 2",
            "traceparent: 00-1-2-01",
            path="/predictUnstructured/?a=1&a=2&b=%C3%A9&c=&d",
        )
        body = call["body"]
        assert (body["data"], body["mimetype"], body["charset"]) == ("\x00ÿ", "Text/X", "utf-16")
        assert call["query"] == [["a", "1"], ["a", "2"], ["b", "é"], ["c", ""], ["d", ""]]
        assert [value for name, value in call["headers"] if name.lower() == "x-twice"] == ["1", "2"]
        assert call["trace"] == {"traceparent": "00-1-2-01"}
        call = predicted(server, form((X, CSV)), FORM, path="/predictionsUnstructured")
        assert call["body"]["mimetype"] == "multipart/form-data"
        assert call["body"]["data"] == form((X, CSV)).decode()
        assert predicted(server, b"", path="/predictUnstructured")["body"]["size"] == 0


MEDIA_TYPES = {
    "application/json": 200,
    "APPLICATION/JSON": 200,
    "application/json; charset=x": 200,
    "application/x+json": 200,
    "text/x+json": 415,
    "text/plain": 415,
    "": 415,
}


@pytest.mark.parametrize(("media", "expected"), MEDIA_TYPES.items())
def test_chat_wants_json(media: str, expected: int) -> None:
    with mirror(card(chat=True)) as (server, _):
        for path in ("/chat/completions", "/v1/chat/completions/"):
            status, body = send(server, b"{", f"Content-Type: {media}", path=path)
            assert status == expected
            if expected == 415:
                assert body == (
                    b'{"message":"ERROR: 415 Unsupported Media Type: Did not attempt to load JSON data because the '
                    b"request Content-Type was not 'application/json'.\"}\n"
                )


def test_content_type_pieces() -> None:
    assert split_content_type("") == (None, "")
    assert split_content_type(" text/csv ;a=b;c") == ("text/csv", "a=b;c")
    assert parameter('a=b; Charset="x y" ', "charset") == "x y"
    assert parameter("charset=", "charset") is None
    assert parameter("", "charset") is None


@pytest.mark.parametrize(
    ("mimetype", "expected"),
    [
        ("application/json", True),
        (" Application/JSON ", True),
        ("application/problem+json", True),
        ("text/x+json", False),
        ("application/jsonl", False),
        ("", False),
        (None, False),
    ],
)
def test_what_is_json(mimetype: str | None, expected: bool) -> None:
    assert is_json(mimetype) is expected
