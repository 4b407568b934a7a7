"""Differences of two answers: status, header and body, exact or within a tolerance."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from drum_litestar.settings import masking
from drum_litestar.tools.compare.diff import KEPT, Comparison
from drum_litestar.tools.compare.messages import Answer, Request
from drum_litestar.tools.compare.outcomes import paired

JSON = "application/json"


def answer(body: str | bytes, content_type: str = JSON, status: int = 200, *headers: tuple[str, str]) -> Answer:
    data = body.encode() if isinstance(body, str) else body
    return Answer(status, (("Content-Type", content_type), *headers), data)


def places(left: Answer, right: Answer, **rules: Any) -> list[str]:
    return [each.where for each in Comparison(**rules).compare(left, right)]


def test_equal_answers_have_no_differences() -> None:
    assert not places(answer("{}"), answer("{}"))


def test_status_and_selected_headers() -> None:
    left = answer("{}", JSON, 200, ("X-A", "1"), ("X-B", "1"))
    right = answer("{}", "Application/JSON", 500, ("x-a", "2"), ("X-B", "2"))
    assert places(left, right, headers=("content-type", "x-a")) == ["status", "header x-a"]


def test_content_type_parameters_count_but_not_the_boundary() -> None:
    assert places(answer("", "text/plain; charset=utf-8"), answer("", "text/plain")) == ["header content-type"]
    assert not places(answer("", "multipart/form-data; boundary=a"), answer("", "multipart/form-data; boundary=b"))


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("1.0", "1.0000001", True),
        ("1.0", "1.00001", False),
        ("1", "1.0", True),
        ("NaN", "NaN", True),
        ("NaN", "null", False),
        ("NaN", "1.0", False),
        ("Infinity", "Infinity", True),
        ("Infinity", "-Infinity", False),
        ("Infinity", "1e308", False),
        ("true", "1", False),
        ("0.0", "-0.0", True),
        ('"1.0"', '"1.0000001"', False),
        ("1" + "0" * 400, "1" + "0" * 399 + "1", False),
        ('{"a":1,"b":2}', '{"b":2,"a":1}', True),
    ],
)
def test_json_within_a_relative_tolerance(left: str, right: str, equal: bool) -> None:
    body = '{{"predictions":[{}]}}'
    assert (not places(answer(body.format(left)), answer(body.format(right)), rtol=1e-6)) is equal
    assert (not places(answer(body.format(right)), answer(body.format(left)), rtol=1e-6)) is equal


def test_absolute_tolerance() -> None:
    assert not places(answer("[0.0]"), answer("[1e-9]"), atol=1e-8)
    assert places(answer("[0.0]"), answer("[1e-9]"), rtol=1e-8) == ["body 0"]


def test_drift_is_measured_even_when_tolerated() -> None:
    comparison = Comparison(rtol=0.1)
    assert not comparison.compare(answer("[100.0, 1.0]"), answer("[101.0, 1.0]"))
    assert comparison.largest_absolute == pytest.approx(1.0)
    assert comparison.largest_relative == pytest.approx(1 / 101)


def test_exact_comparison_names_the_place_or_the_byte() -> None:
    assert places(answer('{"a":[1,2]}'), answer('{"a":[1,3]}')) == ["body a.1"]
    assert places(answer('{"a": 1}'), answer('{"a":1}')) == ["body, same values but other bytes from 5"]


def test_missing_and_additional_keys_and_items() -> None:
    (missing, added) = Comparison().compare(answer('{"a":1}'), answer('{"b":1}'))
    assert str(missing) == "body a: 1 -> absent"
    assert str(added) == "body b: absent -> 1"
    assert places(answer("[1,2]"), answer("[1]"), rtol=0.0) == ["body"]


def test_ignored_parts() -> None:
    left, right = answer('{"id":"x","c":[{"id":1,"v":1}]}'), answer('{"id":"y","c":[{"id":2,"v":1}]}')
    assert places(left, right) == ["body id", "body c.0.id"]
    assert places(left, right, ignore=("id",)) == ["body c.0.id"]
    assert not places(left, right, ignore=("id", "*.id"))


def test_only_the_first_differences_are_kept() -> None:
    left, right = answer(str([0] * 50)), answer(str([1] * 50))
    found = Comparison().compare(left, right)
    assert len(found) == KEPT + 1
    assert str(found[-1]) == f"more: {50 - KEPT} further places -> differ"


def test_csv_and_other_text_by_its_numbers() -> None:
    left, right = answer("a,b\r\n1.0,x2\r\nnan,3", "text/csv"), answer("a,b\r\n1.0000001,x2\r\nnan,3.0", "text/csv")
    assert not places(left, right, rtol=1e-6)
    assert places(left, right, rtol=1e-9) == ["body, number 1"]
    assert places(answer("nan", "text/csv"), answer("1", "text/csv"), rtol=1.0) == ["body, from character 0"]


def test_bytes_that_are_no_text() -> None:
    kind = "application/octet-stream"
    assert places(answer(b"\xff\x00", kind), answer(b"\xff\x01", kind), rtol=1.0) == ["body"]


def test_json_that_is_none_is_compared_as_text() -> None:
    assert places(answer("{broken 1.0"), answer("{broken 2.0")) == ["body, number 1"]


def events(*data: str) -> Answer:
    return answer("".join(f"data: {each}\n\n" for each in data), "text/event-stream; charset=utf-8")


def test_event_streams() -> None:
    left = events('{"id":"a","v":1.0}', "[DONE]")
    assert not places(left, events('{"id":"b","v":1.0000001}', "[DONE]"), rtol=1e-6, ignore=("*.id",))
    assert places(left, events('{"id":"a","v":2}', "[DONE]"), rtol=1e-6) == ["body 0.data.v"]
    assert places(left, events('{"id":"a","v":1.0}')) == ["body"]


def test_event_streams_differ_by_framing_only_when_exact() -> None:
    left = events('{"v":1}')
    right = answer(': ping\r\ndata: {"v":\r\ndata: 1}\r\n\r\n', "text/event-stream; charset=utf-8")
    assert not places(left, right, rtol=0.0)
    assert places(left, right) == ["body, same values but other bytes from 0"]


def test_cut_event_stream_is_not_a_whole_one() -> None:
    kind = "text/event-stream"
    assert places(answer('data: {"v":1}\n\n', kind), answer('data: {"v":1}\n', kind), rtol=0.0)


def form(boundary: str, number: str) -> Answer:
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="X.format"\r\n\r\ncsv\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="X.transformed"; filename="X.transformed"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\na,b\r\n{number},2\r\n--{boundary}--\r\n"
    )
    return answer(body, f"multipart/form-data; boundary={boundary}")


def test_multipart_boundaries_are_not_compared() -> None:
    assert not places(form("aaa", "1.0"), form("bbb", "1.0"))
    assert not places(form("aaa", "1.0"), form("bbb", "1.0000001"), rtol=1e-6)
    assert places(form("aaa", "1.0"), form("bbb", "1.1")) == ["body 1.content, number 1"]


def test_content_encoding_is_undone() -> None:
    packed = answer(gzip.compress(b"[1.0]", mtime=1), JSON, 200, ("Content-Encoding", "gzip"))
    again = answer(gzip.compress(b"[1.0]", mtime=2), JSON, 200, ("Content-Encoding", "gzip"))
    assert packed.body != again.body
    assert not places(packed, again)
    broken = answer(b"not gzip", JSON, 200, ("Content-Encoding", "gzip"))
    assert places(packed, broken)


def test_failed_answers() -> None:
    (difference,) = Comparison().compare(answer("{}"), Answer(0, error="reset"))
    assert str(difference) == "answer: status 200 -> no answer (reset)"


@pytest.mark.parametrize(
    ("target", "skipped"),
    [("/stats/", True), ("/prefix/info?x=1", True), ("/metrics", True), ("/predict/", False), ("/information", False)],
)
def test_paths_that_are_not_compared(target: str, skipped: bool) -> None:
    assert Comparison().skips(Request("1", "GET", target)) is skipped
    assert not Comparison(skip=()).skips(Request("1", "GET", target))


def test_what_is_reported_holds_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_process_values", ("sesame-open",))
    request = Request("1", "GET", "/predict?api_key=k&a=b")
    assert request.name == "GET /predict?api_key=*****&a=b [1]"
    left, right = (Answer(200, (("content-type", "text/plain"),), text) for text in (b"sesame-open", b"shut"))
    assert "sesame" not in paired(request, left, right, Comparison().compare(left, right)).explain()
