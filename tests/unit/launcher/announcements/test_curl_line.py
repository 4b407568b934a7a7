"""The command of the start message; the shell itself says what it would ask, through a stand-in for ``curl``."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from drum_litestar.http.openapi.request_examples import CHAT
from drum_litestar.launcher.announcements.curl_line import Target, curl_line, has_body
from drum_litestar.predictors.protocol import ModelCard, TargetType
from drum_litestar.server.sockets import bind_sockets
from drum_litestar.settings.groups.edge import AccessSettings, TlsSettings

LOCAL = Target("http://127.0.0.1:80/m", "http://127.0.0.1:80/m")
ODD = (("it's", "a, b"), ("50%", 'say "x\\n"'), ("$HOME", "two\nlines"))
CURL = """\
#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word"; done
for word in "$@"; do case "$word" in @-) cat ;; esac; done
"""


Ask = Callable[[str], tuple[list[str], str]]


@pytest.fixture
def asked(tmp_path: Path) -> Ask:
    """Run a command line; returns the arguments of curl, and its standard input where it reads that."""
    curl = tmp_path / "curl"
    curl.write_text(CURL)
    curl.chmod(0o755)

    def run(line: str) -> tuple[list[str], str]:
        environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "DRUM_API_TOKEN": "of the shell"}
        done = subprocess.run(["sh", "-c", line], env=environ, capture_output=True, text=True, check=True)
        *words, body = done.stdout.split("\0")
        return words, body

    return run


def line(card: ModelCard, target: Target = LOCAL, *, token: str | None = None, tls: TlsSettings | None = None) -> str:
    return curl_line(card, target, AccessSettings(api_token=token), tls or TlsSettings())


@pytest.mark.parametrize("target_type", [each for each in TargetType if each is not TargetType.UNSTRUCTURED])
def test_structured_rows_are_csv(target_type: TargetType) -> None:
    card = ModelCard(target_type=target_type, example=(("a", "1"), ("b", "x")))
    route = "transform" if target_type is TargetType.TRANSFORM else "predict"
    assert line(card) == (
        rf"printf 'a,b\n1,x\n' | curl -H 'Content-Type: text/csv' --data-binary @- http://127.0.0.1:80/m/{route}/"
    )
    assert "\n" not in line(card)


def test_any_row_survives_the_shell(asked: Ask) -> None:
    words, body = asked(line(ModelCard(target_type=TargetType.REGRESSION, example=ODD)))
    assert words == ["-H", "Content-Type: text/csv", "--data-binary", "@-", "http://127.0.0.1:80/m/predict/"]
    assert body == 'it\'s,50%,$HOME\n"a, b","say ""x\\n""","two\nlines"\n'


def test_a_model_that_tells_no_columns_is_asked_with_a_file() -> None:
    card = ModelCard(target_type=TargetType.BINARY)
    assert line(card) == "curl -F X=@data.csv http://127.0.0.1:80/m/predict/"
    assert not has_body(card)


def test_a_chat_is_json(asked: Ask) -> None:
    card = ModelCard(target_type=TargetType.TEXT_GENERATION, chat=True, example=(("promptText", "Hello"),))
    words, _ = asked(line(card))
    assert words[:3] == ["-H", "Content-Type: application/json", "-d"]
    assert (json.loads(words[3]), words[4]) == (CHAT, "http://127.0.0.1:80/m/chat/completions")


def test_completions_and_embeddings_alone(asked: Ask) -> None:
    for hook, path in (("completion", "completions"), ("embed", "embeddings")):
        completes = hook == "completion"
        card = ModelCard(
            target_type=TargetType.REGRESSION, hooks=(hook,), completions=completes, embeddings=not completes
        )
        assert asked(line(card))[0][-1] == f"http://127.0.0.1:80/m/v1/{path}"


def test_unstructured_is_any_text() -> None:
    assert line(ModelCard(target_type=TargetType.UNSTRUCTURED)) == (
        "curl -H 'Content-Type: text/plain' --data-binary 'some text' http://127.0.0.1:80/m/predictUnstructured/"
    )


def test_the_token_is_the_shells(asked: Ask) -> None:
    text = line(ModelCard(target_type=TargetType.UNSTRUCTURED), token="s3cret")
    assert "s3cret" not in text
    words, _ = asked(text)
    assert words[:2] == ["-H", "Authorization: Bearer of the shell"]


def test_tls_and_client_certificates() -> None:
    tls = TlsSettings(certfile="/a b/c.pem", cert_reqs="required")
    assert line(ModelCard(target_type=TargetType.BINARY), tls=tls) == (
        "curl --cacert '/a b/c.pem' --cert CLIENT.pem --key CLIENT.key -F X=@data.csv http://127.0.0.1:80/m/predict/"
    )


@pytest.mark.parametrize(
    ("host", "listens", "reachable"),
    [
        ("127.0.0.1", "http://127.0.0.1:{}", "http://127.0.0.1:{}"),
        ("0.0.0.0", "http://0.0.0.0:{}", "http://127.0.0.1:{}"),
        ("::1", "http://[::1]:{}", "http://[::1]:{}"),
        ("localhost", "http://localhost:{}", "http://localhost:{}"),
    ],
)
def test_the_url_is_that_of_the_socket(host: str, listens: str, reachable: str) -> None:
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("needs IPv6")
    sockets = bind_sockets(host, 0)
    try:
        target = Target.of(sockets, host=host, tls=False, url_prefix="")
        port = sockets[0].getsockname()[1]
    finally:
        for sock in sockets:
            sock.close()
    assert port != 0
    assert target == Target(listens.format(port), reachable.format(port))
    assert str(target) == (target.url if listens == reachable else f"{target.url} (here {target.reachable})")


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "the socket")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        target = Target.of([sock], host="127.0.0.1", tls=True, url_prefix="/m")
    assert str(target) == f"https://localhost/m (UNIX socket {path})"
    assert line(ModelCard(target_type=TargetType.BINARY), target) == (
        f"curl --unix-socket '{path}' -F X=@data.csv https://localhost/m/predict/"
    )
