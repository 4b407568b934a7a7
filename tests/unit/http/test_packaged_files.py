"""Files of the package over HTTP: types, tags, policy, and nothing beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.http.packaged_files import file_routes
from http_serving import Serving, StateExecutor, card, options, serving

POLICY = "default-src 'none'"
FILES = {"index.html": b"<p>", "a.js": b"1", "deep/index.html": b"<b>", "deep/b.css": b"b{}"}


@pytest.fixture(scope="module", params=["dispatcher", "litestar"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("outer") / "files"
    for name, body in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    (folder.parent / "secret.txt").write_text("secret")
    hooks: Any = (lambda config: config,) if request.param == "litestar" else ()
    routes = file_routes(folder, at="/pages", policy=POLICY)
    settings = options(protocol_routes=routes, url_prefix="/p", on_app_init=hooks)
    with serving(StateExecutor("ready", card()), settings) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        ("/pages/", "text/html; charset=utf-8", b"<p>"),
        ("/pages/a.js", "text/javascript; charset=utf-8", b"1"),
        ("/pages/deep/", "text/html; charset=utf-8", b"<b>"),
        ("/pages/deep/b.css", "text/css; charset=utf-8", b"b{}"),
    ],
)
def test_files(server: Serving, path: str, content_type: str, body: bytes) -> None:
    answer = server.client.get(f"/p{path}")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, content_type, body)
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-cache"
    head = server.client.head(f"/p{path}")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(body)))


def test_a_client_that_has_the_file_is_told_so(server: Serving) -> None:
    tag = server.client.get("/p/pages/a.js").headers["etag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = server.client.get("/p/pages/a.js", headers={"if-none-match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert server.client.get("/p/pages/a.js", headers={"if-none-match": '"x"'}).status_code == 200
    assert server.client.get("/p/pages/deep/b.css").headers["etag"] != tag


def test_an_index_has_a_slash_at_its_end(server: Serving) -> None:
    answer = server.client.get("/p/pages/deep")
    assert (answer.status_code, answer.headers["location"]) == (307, "deep/")
    assert server.client.get("/p/pages", follow_redirects=True).content == b"<p>"


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/deep/..%2fa.js", "/nothing", "/index.html"])
def test_there_is_nothing_else(server: Serving, path: str) -> None:
    answer = server.exchange(f"GET /p/pages{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404"), answer
    assert server.client.post("/p/pages/a.js").status_code == 405


def test_a_file_of_no_known_type_is_found_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.exe").touch()
    with pytest.raises(KeyError):
        file_routes(tmp_path, at="/x", policy=POLICY)
