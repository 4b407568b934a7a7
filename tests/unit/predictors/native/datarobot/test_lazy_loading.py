"""Downloads from a small server that speaks enough S3 for boto3."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.datarobot.lazy_loading import LAZY_LOADING_DATA, SECRET_PREFIX, download_files

pytest.importorskip("boto3")

OBJECTS = {"/bucket/a.bin": b"x" * 1000, "/bucket/dir/b.txt": b"hello"}
SECRET = {"credentialType": "s3", "awsAccessKeyId": "AK", "awsSecretAccessKey": "SK"}


class Bucket(BaseHTTPRequestHandler):
    requests: list[tuple[str, str]] = []  # noqa: RUF012 - shared on purpose

    def do_GET(self) -> None:
        self.answer(True)

    def do_HEAD(self) -> None:
        self.answer(False)

    def answer(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        self.requests.append((self.command, path))
        assert "AWS4-HMAC-SHA256 Credential=AK/" in self.headers["Authorization"]
        content = OBJECTS.get(path)
        self.send_response(404 if content is None else 200)
        if content is not None:
            self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
            self.send_header("Last-Modified", formatdate(1_000_000_000, usegmt=True))
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if with_body:
            self.wfile.write(content or b"")

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    Bucket.requests.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def content(url: str, *files: tuple[str, str], **repository: Any) -> dict[str, Any]:
    return {
        "files": [{"remotePath": remote, "localPath": local, "repositoryId": "r"} for remote, local in files],
        "repositories": [
            {"repositoryId": "r", "bucketName": "bucket", "credentialId": "c1", "endpointUrl": url, **repository}
        ],
    }


def environment(data: Any, secret: Any = SECRET) -> dict[str, str]:
    return {LAZY_LOADING_DATA: json.dumps(data), f"{SECRET_PREFIX}C1": json.dumps(secret)}


def test_without_the_variable_nothing_is_downloaded() -> None:
    download_files(environ={})


def test_files_are_downloaded_once(bucket: str, tmp_path: Path) -> None:
    data = content(bucket, ("a.bin", f"{tmp_path}/a.bin"), ("dir/b.txt", f"{tmp_path}/new/b"))
    download_files(environ=environment(data))
    assert (tmp_path / "a.bin").read_bytes() == OBJECTS["/bucket/a.bin"]
    assert (tmp_path / "new" / "b").read_bytes() == b"hello"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.bin", "b", "new"]
    Bucket.requests.clear()
    download_files(environ=environment(data))
    assert {method for method, _ in Bucket.requests} == {"HEAD"}


def test_relative_paths_and_snake_case(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = {
        "files": [{"remote_path": "a.bin", "local_path": "here", "repository_id": "r"}],
        "repositories": [
            {"repository_id": "r", "bucket_name": "bucket", "credential_id": "c1", "endpoint_url": bucket}
        ],
    }
    download_files(environ=environment(data))
    assert (tmp_path / "here").stat().st_size == 1000


def test_yaml_file_sets_the_variables(bucket: str, tmp_path: Path) -> None:
    data = {**content(bucket, ("a.bin", f"{tmp_path}/a.bin")), "credentials": [{"id": "c1", **SECRET}]}
    file = tmp_path / "lazy.yaml"
    file.write_text(json.dumps(data))  # JSON is YAML
    environ: dict[str, str] = {}
    download_files(str(file), environ)
    assert (tmp_path / "a.bin").exists()
    assert json.loads(environ[f"{SECRET_PREFIX}C1"]) == SECRET
    assert "credentials" not in json.loads(environ[LAZY_LOADING_DATA])


def test_missing_object(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"Failed to download nope: .*404"):
        download_files(environ=environment(content(bucket, ("nope", f"{tmp_path}/x"))))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({LAZY_LOADING_DATA: "{"}, "Invalid lazy loading content"),
        ({LAZY_LOADING_DATA: "[]"}, "Invalid lazy loading content"),
        ({LAZY_LOADING_DATA: '{"files": [], "repositories": []}'}, "must not be empty"),
        (
            {LAZY_LOADING_DATA: json.dumps(content("u", ("a", "b")))},
            "Missing credential for repository r, credential_id: c1",
        ),
        (environment(content("u", ("a", "b")), {"credentialType": "s3"}), "Invalid lazy loading credential c1"),
        (environment(content("u", ("a", "b")), {**SECRET, "credentialType": "gcp"}), "Unsupported credential type"),
        (environment({**content("u", ("a", "b")), "files": [
            {"remotePath": "a", "localPath": "b", "repositoryId": "other"}]}), "Unknown repository other"),
    ],
)  # fmt: skip
def test_bad_content(environ: dict[str, str], text: str) -> None:
    with pytest.raises(ModelLoadError, match=text) as caught:
        download_files(environ=environ)
    assert "SK" not in str(caught.value)


@pytest.mark.parametrize("text", [": :", "[1]", "credentials: 5", "credentials: [{}]"])
def test_bad_yaml(tmp_path: Path, text: str) -> None:
    (tmp_path / "lazy.yaml").write_text(text)
    with pytest.raises(ModelLoadError, match="Invalid lazy loading YAML file content"):
        download_files(str(tmp_path / "lazy.yaml"), {})


def test_before_custom_py(bucket: str, tmp_path: Path, serve_folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "weights"
    for name, value in environment(content(bucket, ("dir/b.txt", str(target)))).items():
        monkeypatch.setenv(name, value)
    code = f"from pathlib import Path\nTEXT = Path({str(target)!r}).read_text()\n"
    code += "def load_model(d): return TEXT\ndef score(data, model, **kw): ...\n"
    serve_folder({"custom.py": code})
