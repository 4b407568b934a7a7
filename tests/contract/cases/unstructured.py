"""Unstructured models (contract, 3.9; section 8, Q-9)."""

from __future__ import annotations

from support.cases import Case, asked, error, error_like, message
from support.wire import csv, get, post

TEXT = {"content-type": "text/plain; charset=utf-8"}
OCTETS = {"content-type": "application/octet-stream"}
ROUTE = "/predictUnstructured/"


def gives(name: str, expression: str, body: bytes, content_type: str) -> Case:
    return Case(name, asked(expression), body=body, headers={"content-type": content_type})


def receives(name: str, body: bytes, content_type: str | None, kind: str, data: object, **kwargs: str) -> Case:
    """What ``data`` and the keyword arguments look like inside the hook."""
    expression = "repr((type(data).__name__, data, dict(sorted(kwargs.items()))))"
    shown = repr((kind, data, dict(sorted(kwargs.items()))))
    return Case(name, asked(expression, body, content_type), body=shown.encode(), headers=TEXT)


PLAIN = {"mimetype": "text/plain", "charset": "utf-8"}
WRONG_SINGLE = "In unstructured mode single return value can be of type str/bytes, but received "

CASES = {
    "unstructured": [
        receives("no content type", "é".encode(), None, "str", "é", **PLAIN),
        receives("plain text", "é".encode(), "text/plain", "str", "é", **PLAIN),
        receives("charset", "é".encode("latin-1"), "text/plain; charset=latin-1", "str", "é",
                 mimetype="text/plain", charset="latin-1"),
        receives("last charset", "é".encode(), "text/plain;charset=latin-1; CHARSET=utf-8;charset=", "str", "é",
                 mimetype="text/plain", charset="utf-8"),
        receives("json", b'{"a":1}', "application/json", "str", '{"a":1}', mimetype="application/json",
                 charset="utf-8"),
        receives("any text", b"<a/>", "text/x-own", "str", "<a/>", mimetype="text/x-own", charset="utf-8"),
        receives("octets", b"\x00\xff", "application/octet-stream", "bytes", b"\x00\xff",
                 mimetype="application/octet-stream"),
        receives("octets with charset", b"\x00", "application/x-own; charset=utf-16", "bytes", b"\x00",
                 mimetype="application/x-own", charset="utf-16"),
        receives("upper case is not text", b"x", "TEXT/plain", "bytes", b"x", mimetype="TEXT/plain"),
        receives("empty body", b"", "text/plain", "str", "", **PLAIN),
        receives("multipart is not parsed", b"--b\r\n\r\n--b--", "multipart/form-data; boundary=b", "bytes",
                 b"--b\r\n\r\n--b--", mimetype="multipart/form-data"),
        Case("other path", post("/predictionsUnstructured/?do=data", b"x", "text/plain"), body=b"x", headers=TEXT),
        Case("without slash", post("/predictUnstructured?do=data", b"x", "text/plain"), body=b"x", headers=TEXT,
             differs="Trailing slash"),
        Case("query values", post(ROUTE + "?do=query['a']&a=1&a=2", b""), body=b"1"),
        Case("query decoded", post(ROUTE + "?do=query['a']&a=%C3%A9+%2B", b""), body="é +".encode()),
        Case("query not decodable", post(ROUTE + "?do=query['a']&a=%C3%A4%ff%fe", b""), body="ä%FF%FE".encode()),
        Case("query as a dict", asked("repr(isinstance(query, dict))"), body=b"True"),
        Case("query as text", asked("str(query)"), body=b"ImmutableMultiDict([('do', 'str(query)')])"),
        Case("query as JSON", post(ROUTE + "?do=__import__('json').dumps(query)&a=1&a=2", b""),
             body=b"""{"do": "__import__('json').dumps(query)", "a": "1"}"""),
        Case("query merged", post(ROUTE + "?do=str({**query,**dict(query)})&a=1&a=2", b""),
             body=b"{'do': 'str({**query,**dict(query)})', 'a': '1'}"),
        Case("query is not to be changed", asked("query.pop('do')"), 500,
             error("'ImmutableMultiDict' objects are immutable")),
        Case("query copied", asked("[copy := query.copy(), copy.add('a', '1'), copy.add('a', '2'), copy.pop('do'), "
                                   "str((copy, copy['a'], copy.getlist('a')))][-1]"),
             body=b"(MultiDict([('a', '1'), ('a', '2')]), '1', ['1', '2'])"),
        Case("headers in title case", asked("headers['X-Own-Header']").with_headers(("x-own-header", "v")), body=b"v"),
        Case("headers are a plain dict", asked("type(headers).__name__"), body=b"dict"),
        gives("text", "'é'", "é".encode(), "text/plain; charset=utf-8"),
        gives("bytes", "b'\\x00\\xff'", b"\x00\xff", "application/octet-stream"),
        gives("nothing", "None", b"", "text/plain; charset=utf-8"),
        gives("text and a type", "('{}', {'mimetype': 'application/json'})", b"{}", "application/json; charset=utf-8"),
        gives("text and a charset", "('é', {'charset': 'latin-1'})", b"\xe9", "text/plain; charset=latin-1"),
        gives("text and nothing", "('é', None)", "é".encode(), "text/plain; charset=utf-8"),
        gives("text and an empty dict", "('é', {})", "é".encode(), "text/plain; charset=utf-8"),
        gives("nothing and a type", "(None, {'mimetype': 'text/x'})", b"", "text/x; charset=utf-8"),
        gives("bytes and a type", "(b'x', {'mimetype': 'image/png'})", b"x", "image/png"),
        gives("bytes and a charset", "(b'x', {'mimetype': 'text/x', 'charset': 'odd'})", b"x", "text/x; charset=odd"),
        gives("bytes and nothing", "(b'x', None)", b"x", "application/octet-stream"),
        gives("other keys are ignored", "('x', {'status': 404})", b"x", "text/plain; charset=utf-8"),
        gives("no media type", "('x', {'mimetype': None})", b"x", "text/html; charset=utf-8"),
        gives("a megabyte", "'x' * 1000000", b"x" * 1_000_000, "text/plain; charset=utf-8"),
        Case("not decodable", post(ROUTE, b"abcd\xe9fg", "text/plain"), 500,
             error("'utf-8' codec can't decode byte 0xe9 in position 4: invalid continuation byte")),
        Case("unknown charset", post(ROUTE, b"x", "text/plain; charset=nope"), 500, error("unknown encoding: nope")),
        Case("returns a number", asked("3"), 500, error(WRONG_SINGLE + "<class 'int'>")),
        Case("returns a dict", asked("{}"), 500, error(WRONG_SINGLE + "<class 'dict'>")),
        Case("wrong tuple types", asked("(3, {})"), 500, error(
            "In unstructured mode tuple return value must be of type (str/bytes, dict) but received "
            "(<class 'int'>, <class 'dict'>)")),
        Case("tuple of three", asked("('a', {}, 1)"), 500, error(
            "In unstructured mode predictions of type tuple must have length = 2, but received length = 3")),
        Case("no charset for text", asked("('x', {'charset': None})"), 500,
             error_like(r"ERROR: .*encode\(\) argument 'encoding' must be str, not None")),
        Case("raises", asked("fail(ValueError('plain words'))"), 500, error("plain words")),
        Case("raises a user error", asked("http_error('no', 403)"), 403, message("no"),
             {"x-drum-user-http-error": "true"}),
        Case("raises a user error of no known status", asked("http_error('no', 600)"), 600, message("no"),
             {"x-drum-user-http-error": "true"}),
        Case("exits", asked("sys.exit(4)"), 500, error_like(".*"), differs="Q-11", fatal=True),
        Case("structured route", csv(b"a\n1\n"), 422, error(
            "This model has target type 'unstructured', use the /predictUnstructured/ or /predictionsUnstructured/ "
            "endpoint.")),
        Case("structured route without data", csv(b"", "/invocations"), 422, error(
            "This model has target type 'unstructured', use the /predictUnstructured/ or /predictionsUnstructured/ "
            "endpoint.")),
        Case("transform route", csv(b"a\n1\n", "/transform/"), 422, error(
            "This model has target type TargetType.UNSTRUCTURED, use the /predictUnstructured/ endpoint.")),
        Case("chat", post("/v1/chat/completions", b"{}", "application/json"), 404,
             error("This model's chat interface was called, but chat is not supported.")),
        Case("ping", get("/ping/"), body=message("OK")),
    ],
    "text_unstructured": [
        Case("text model with the hook", post(ROUTE, b"hey", "text/plain"), body=b"the model hey", headers=TEXT,
             differs="Q-9"),
    ],
    "text": [
        Case("text model without the hook", post(ROUTE, b"hey", "text/plain"), 422, error_like(".*"), differs="Q-9"),
    ],
    "async_unstructured": [
        Case("coroutine", post(ROUTE, b"hey", "text/plain"), body=b"the model: hey", headers=TEXT),
    ],
}  # fmt: skip
