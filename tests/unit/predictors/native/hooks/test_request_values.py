"""Header and query mappings behave as in DRUM."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from drum_litestar.predictors.native.calls.error_replies import error_reply
from drum_litestar.predictors.native.hooks.multi_dict import ImmutableMultiDict, MultiDict
from drum_litestar.predictors.native.hooks.request_values import (
    MissingKeyError,
    RequestHeaders,
    header_dict,
)

QUERY = ImmutableMultiDict([("a", "1"), ("b", "x"), ("a", "2")])
HEADERS = RequestHeaders([("content-type", "text/csv"), ("X-FOO", "bar"), ("x_under", "no"), ("x-foo", "baz")])


def test_query_parameters() -> None:
    assert QUERY["a"] == "1"
    assert QUERY.getlist("a") == ["1", "2"]
    assert QUERY.getlist("a", type=int) == [1, 2]
    assert QUERY.getlist("b", type=int) == []
    assert QUERY.get("b", 5, type=int) == 5
    assert QUERY.get("zz") is None
    assert QUERY.get("a", type=int) == 1
    assert dict(QUERY) == {"a": "1", "b": "x"} == QUERY.to_dict()
    assert QUERY.to_dict(flat=False) == {"a": ["1", "2"], "b": ["x"]} == dict(QUERY.lists())
    assert list(QUERY.items(multi=True)) == [("a", "1"), ("a", "2"), ("b", "x")]
    assert list(QUERY.values()) == ["1", "x"]
    assert list(QUERY.listvalues()) == [["1", "2"], ["x"]]
    assert "a" in QUERY
    assert len(QUERY) == 2
    assert list(QUERY) == ["a", "b"] == list(QUERY.keys())
    same = ImmutableMultiDict([("a", "1"), ("a", "2"), ("b", "x")])
    assert same == QUERY
    assert hash(same) == hash(QUERY)
    assert QUERY != {"a": "1"}
    assert isinstance(QUERY, dict)
    assert dict(QUERY) == {**QUERY}
    assert json.dumps(QUERY) == '{"a": "1", "b": "x"}'
    assert json.dumps(QUERY, indent=0).split() == ["{", '"a":', '"1",', '"b":', '"x"', "}"]
    assert json.dumps(ImmutableMultiDict()) == "{}"
    assert pickle.loads(pickle.dumps(QUERY)) == QUERY
    assert repr(QUERY) == "ImmutableMultiDict([('a', '1'), ('a', '2'), ('b', 'x')])"
    assert not ImmutableMultiDict()


def test_a_query_cannot_be_changed_but_its_copy_can() -> None:
    changes: list[Callable[[Any], object]] = [
        lambda query: query.__setitem__("a", "3"),
        lambda query: query.__delitem__("a"),
        lambda query: query.pop("a"),
        lambda query: query.popitem(),
        lambda query: query.clear(),
        lambda query: query.update(c="1"),
        lambda query: query.setdefault("c", "1"),
        lambda query: query.add("a", "3"),
        lambda query: query.setlist("a", ["3"]),
        lambda query: query.__ior__({"c": "1"}),
    ]
    for change in changes:
        with pytest.raises(TypeError, match="'ImmutableMultiDict' objects are immutable"):
            change(QUERY)
    for mutable in (QUERY.copy(), copy.copy(QUERY), copy.deepcopy(QUERY)):
        assert type(mutable) is MultiDict
        assert mutable == QUERY
        mutable["b"] = "y"
        mutable.add("b", "z")
        mutable.update({"c": "1"}, d="2")
        mutable.update([("c", "3")])
        mutable.update(QUERY)
        assert mutable.to_dict(flat=False) == {
            "a": ["1", "2", "1", "2"],
            "b": ["y", "z", "x"],
            "c": ["1", "3"],
            "d": ["2"],
        }
        assert (mutable.pop("a"), mutable.pop("a", None), mutable.setdefault("e", "5")) == ("1", None, "5")
        assert mutable.popitem() == ("e", "5")
        with pytest.raises(KeyError):
            mutable.pop("a")
    assert QUERY["b"] == "x"


@pytest.mark.parametrize("mapping", [QUERY, HEADERS])
def test_a_missing_key_is_a_key_error_and_a_bad_request(mapping: ImmutableMultiDict | RequestHeaders) -> None:
    with pytest.raises(KeyError) as caught:
        mapping["nope"]
    assert isinstance(caught.value, MissingKeyError)
    reply = error_reply(caught.value)
    assert reply.status == 400
    assert b'{"error":"The browser (or proxy) sent a request that this server could not understand."}' in reply.body


def test_request_headers() -> None:
    assert HEADERS["CONTENT-type"] == "text/csv"
    assert HEADERS.get("x-foo") == "bar,baz"
    assert HEADERS.get("nope", "d") == "d"
    assert HEADERS.getlist("X-Foo") == ["bar,baz"] == HEADERS.get_all("x-foo")
    assert dict(HEADERS) == {"Content-Type": "text/csv", "X-Foo": "bar,baz"}
    assert list(HEADERS) == list(HEADERS.items())
    assert next(iter(HEADERS.items(lower=True))) == ("content-type", "text/csv")
    assert list(HEADERS.keys()) == ["Content-Type", "X-Foo"]
    assert list(HEADERS.values()) == ["text/csv", "bar,baz"]
    assert "x-FOO" in HEADERS
    assert 5 not in HEADERS
    assert len(HEADERS) == 2
    same = RequestHeaders([("Content-Type", "text/csv"), ("X-Foo", "bar,baz")])
    assert same == HEADERS
    assert hash(same) == hash(HEADERS)
    assert HEADERS != {"Content-Type": "text/csv"}
    assert repr(RequestHeaders([("a", "b")])) == "RequestHeaders([('A', 'b')])"


def test_header_dict_of_unstructured_hooks() -> None:
    pairs = [("foo-bar", "1"), ("under_score", "2"), ("content-type", ""), ("FOO2", "é")]
    assert header_dict(pairs) == {"Foo-Bar": "1", "Foo2": "é"}
