"""Requests from JSONL and from folders, and the errors for invalid ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drum_litestar.errors import UsageError
from drum_litestar.tools.compare.corpus import encode_line, read_corpus
from drum_litestar.tools.compare.messages import Request


@pytest.mark.parametrize("body", [b"", b"a,b\n1,2\n", "é\u2028".encode(), b"\xff\x00\x01"])
def test_recorded_lines_read_back(tmp_path: Path, body: bytes) -> None:
    request = Request("id-1", "POST", "/predict/?a=%2F", (("Content-Type", "text/csv"), ("X", "1"), ("X", "2")), body)
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(encode_line(request) * 2)
    assert read_corpus(path) == [request, request]
    assert len(path.read_bytes().splitlines()) == 2


def test_short_lines(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"target":"/info/"}\n\n{"target":"/predict/","body":"a"}\n')
    get, post = read_corpus(path)
    assert (get.method, get.id, post.method, post.id) == ("GET", "line-1", "POST", "line-3")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{oops", "not a recorded request"),
        ("[]", "Expected `object`"),
        ('{"method":"GET"}', "missing required field `target`"),
        ('{"target":"predict"}', "does not start with a slash"),
        ('{"target":"/a","body":"a","body_base64":"YQ=="}', "both 'body' and 'body_base64'"),
        ('{"target":"/a","body_base64":"%"}', "base64"),
        ('{"target":"/a","nonsense":1}', "nonsense"),
        ('{"target":"/a","body":"\xff"}', "not a recorded request"),
    ],
)
def test_malformed_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(b'{"target":"/info/"}\n' + line.encode("latin-1") + b"\n")
    with pytest.raises(UsageError, match=r"--corpus .*corpus\.jsonl, line 2: ") as caught:
        read_corpus(path)
    assert said in str(caught.value)
    assert "record the corpus again" in str(caught.value)
    assert caught.value.exit_code == 2


def test_nothing_there_and_nothing_in_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        read_corpus(tmp_path / "absent.jsonl")
    with pytest.raises(UsageError, match="holds no request"):
        read_corpus(tmp_path)


def put(root: Path, name: str, content: str = "x") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_folder_layout(tmp_path: Path) -> None:
    put(tmp_path, "top.csv")
    put(tmp_path, "predictUnstructured/a.json")
    put(tmp_path, "v1/chat/completions/hello.json")
    put(tmp_path, "invocations/a.mtx")
    put(tmp_path, "transform/form.bin")
    put(tmp_path, "transform/form.bin.request.json", json.dumps({"headers": {"content-type": "multipart/x"}}))
    put(tmp_path, "info.request.json", json.dumps({"method": "GET", "target": "/info/?a=1"}))
    put(tmp_path, "models.request.json", "{}")
    put(tmp_path, ".hidden/a.csv")
    found = {request.id: (request.method, request.target, dict(request.headers)) for request in read_corpus(tmp_path)}
    assert found == {
        "top.csv": ("POST", "/predict/", {"Content-Type": "text/csv"}),
        "predictUnstructured/a.json": ("POST", "/predictUnstructured/", {"Content-Type": "application/json"}),
        "v1/chat/completions/hello.json": ("POST", "/v1/chat/completions", {"Content-Type": "application/json"}),
        "invocations/a.mtx": ("POST", "/invocations", {"Content-Type": "text/mtx"}),
        "transform/form.bin": ("POST", "/transform/", {"content-type": "multipart/x"}),
        "info": ("GET", "/info/?a=1", {}),
        "models": ("GET", "/models", {}),
    }


@pytest.mark.parametrize("content", ["[", '{"verb":"GET"}', '{"target":"info"}'])
def test_bad_sidecar_is_named(tmp_path: Path, content: str) -> None:
    put(tmp_path, "a.csv")
    put(tmp_path, "a.csv.request.json", content)
    with pytest.raises(UsageError, match=r"a\.csv\.request\.json"):
        read_corpus(tmp_path)
