"""Statuses and headers that a hook may send, and those that it may not."""

from __future__ import annotations

import pytest

from drum_litestar.predictors.protocol import Reply
from http_serving import (
    CSV,
    mirror,
    post,
)

UNUSABLE = {
    "status below 200": Reply(status=99),
    "informational": Reply(status=101),
    "status above 599": Reply(status=1000),
    "line break in a value": Reply(headers=(("A", "b\r\nSet-Cookie: c"),)),
    "line break in a name": Reply(headers=(("A\nB", "b"),)),
    "empty name": Reply(headers=(("", "b"),)),
    "not latin-1": Reply(headers=(("A", "€"),)),
    "control character": Reply(headers=(("A", "\x00"),)),
    "content type": Reply(content_type="text/plain\r\nX: y"),
}


@pytest.mark.parametrize("reply", UNUSABLE.values(), ids=list(UNUSABLE))
def test_unusable_replies_are_contained(reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    with mirror() as (server, predictor):
        predictor.script[CSV] = reply
        answer = server.exchange(post("/predict", CSV))
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"\r\n\r\n" + b'{"message":"ERROR: unusable response ' in answer
        assert b"Set-Cookie" not in answer.partition(b"\r\n\r\n")[0]
        assert server.client.post("/predict", content=b"a\n2\n").status_code == 200
    assert "cannot be sent" in caplog.text


def test_replies_pass_untouched() -> None:
    with mirror() as (server, predictor):
        predictor.script[CSV] = Reply(
            status=418,
            body=b"\x00\xff",
            content_type="text/plain",
            headers=(
                ("Set-Cookie", "a"),
                ("set-cookie", "b"),
                ("X-L", "é"),
                ("Content-Length", "9"),
                ("Connection", "x"),
            ),
        )
        answer = server.client.post("/predict", content=CSV)
        assert (answer.status_code, answer.content) == (418, b"\x00\xff")
        assert answer.headers["content-type"] == "text/plain"  # no charset of ours
        assert answer.headers.get_list("set-cookie") == ["a", "b"]
        assert answer.headers["x-l"] == "é"
        assert answer.headers["content-length"] == "2"
        predictor.script[CSV] = Reply(body=b"x", content_type=None)
        assert "content-type" not in server.client.post("/predict", content=CSV).headers
        predictor.script[CSV] = Reply(status=204, body=b"dropped")
        answer = server.client.post("/predict", content=CSV)
        assert (answer.status_code, answer.content) == (204, b"")
