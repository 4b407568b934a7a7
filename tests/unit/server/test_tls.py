"""Contexts are tried in real handshakes over a socket pair's worth of memory: no network, real OpenSSL."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import pytest

from drum_litestar.errors import SettingsError
from drum_litestar.server.tls import build_context
from drum_litestar.server.uvicorn_options import uvicorn_options
from drum_litestar.settings.groups.edge import TlsSettings
from drum_litestar.settings.server_settings import ServerSettings
from support.servers.certificates import Pair, make_pair

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("tls"), "server")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("tls"), "other")


def settings(pair: Pair, **more: str) -> TlsSettings:
    return TlsSettings(certfile=pair.cert, keyfile=pair.key, **more)  # type: ignore[arg-type]


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """Run both sides to the end of the handshake; returns the client's. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    front = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    back = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [front, back]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    return front


def client_context(trusted: str, *ciphers: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=trusted)
    if ciphers:
        context.set_ciphers(":".join(ciphers))
    return context


def test_modern_client_connects(pair: Pair) -> None:
    connection = handshake(build_context(settings(pair)), client_context(pair.cert))
    assert connection.version() == "TLSv1.3"


def test_tls12_is_forward_secret_and_aead(pair: Pair) -> None:
    server, client = build_context(settings(pair)), client_context(pair.cert)
    assert server.minimum_version is ssl.TLSVersion.TLSv1_2
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    connection = handshake(server, client)
    cipher = connection.cipher()
    assert connection.version() == "TLSv1.2"
    assert cipher is not None
    assert cipher[0].startswith("ECDHE-")
    assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]
    for entry in server.get_ciphers():
        assert entry["name"].startswith(("TLS_", "ECDHE-"))
        assert entry.get("aead", True)


@pytest.mark.parametrize("cipher", ["AES128-SHA256", "ECDHE-RSA-AES128-SHA256", "AES256-GCM-SHA384"])
def test_weak_ciphers_are_refused(pair: Pair, cipher: str) -> None:
    client = client_context(pair.cert, cipher)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(build_context(settings(pair)), client)


def test_floor_of_tls13(pair: Pair) -> None:
    client = client_context(pair.cert)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(build_context(settings(pair, version="1.3")), client)


def test_client_certificates(pair: Pair, other: Pair) -> None:
    server = build_context(settings(pair, cert_reqs="required", ca_certs=other.cert))
    with_certificate = client_context(pair.cert)
    with_certificate.load_cert_chain(other.cert, other.key)
    handshake(server, with_certificate)
    with pytest.raises(ssl.SSLError, match=r"peer did not return a certificate|PEER_DID_NOT_RETURN"):
        handshake(server, client_context(pair.cert))
    optional = build_context(settings(pair, cert_reqs="optional", ca_certs=other.cert))
    handshake(optional, client_context(pair.cert))


def test_encrypted_key(tmp_path: Path) -> None:
    locked = make_pair(tmp_path, "locked", password="open sesame")
    handshake(build_context(settings(locked, keyfile_password="open sesame")), client_context(locked.cert))
    key = f"DRUM_SSL_KEYFILE='{locked.key}' is encrypted, and DRUM_SSL_KEYFILE_PASSWORD"
    for password, fault in (({}, "is not set"), ({"keyfile_password": "wrong"}, "does not open it")):
        with pytest.raises(SettingsError) as caught:
            build_context(settings(locked, **password))
        assert str(caught.value) == f"{key} {fault}"


def test_unusable_files_are_one_line(pair: Pair, other: Pair, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    damaged = tmp_path / "damaged.key"
    damaged.write_text("".join(Path(pair.key).read_text().splitlines(keepends=True)[::2]))
    damaged.write_text(f"-----BEGIN PRIVATE KEY-----\n{damaged.read_text()}-----END PRIVATE KEY-----\n")
    locked = make_pair(tmp_path, "locked", password="open sesame")
    no_certificate = f"DRUM_SSL_CERTFILE='{junk}' holds no usable certificate"
    cases = [
        (
            TlsSettings(certfile=pair.cert, keyfile=other.key),
            f"DRUM_SSL_CERTFILE='{pair.cert}' and DRUM_SSL_KEYFILE='{other.key}' do not belong together",
        ),
        (TlsSettings(certfile=str(junk), keyfile=pair.key), no_certificate),
        (TlsSettings(certfile=str(junk), keyfile=locked.key), no_certificate),
        (TlsSettings(certfile=pair.key, keyfile=pair.cert), f"DRUM_SSL_CERTFILE='{pair.key}' holds no usable"),
        (TlsSettings(certfile=pair.cert, keyfile=str(junk)), f"DRUM_SSL_KEYFILE='{junk}' holds no usable private key"),
        (
            TlsSettings(certfile=pair.cert, keyfile=str(damaged)),
            f"DRUM_SSL_KEYFILE='{damaged}' holds no usable private key",
        ),
        (
            TlsSettings(certfile=pair.cert, keyfile=str(tmp_path / "none")),
            f"DRUM_SSL_KEYFILE='{tmp_path}/none' cannot be read: No such file or directory",
        ),
        (
            TlsSettings(certfile=str(tmp_path), keyfile=pair.key),
            f"DRUM_SSL_CERTFILE='{tmp_path}' cannot be read: Is a directory",
        ),
        (settings(pair, ca_certs=str(junk), cert_reqs="required"), "holds no usable certificate"),
        (settings(pair, ciphers="NONSENSE"), "selects no cipher"),
    ]
    for tls, text in cases:
        with pytest.raises(SettingsError) as caught:
            build_context(tls)
        assert text in str(caught.value)
        assert "\n" not in str(caught.value)


def test_uvicorn_serves_with_the_context(pair: Pair) -> None:
    from uvicorn import Config

    async def app(scope: object, receive: object, send: object) -> None: ...

    config = Config(app, **uvicorn_options(ServerSettings(tls=settings(pair))))
    config.load()
    assert config.is_ssl
    assert config.ssl is not None
    assert handshake(config.ssl, client_context(pair.cert)).version() == "TLSv1.3"


def test_older_uvicorn_gets_files(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    import uvicorn

    class OldConfig:
        def __init__(self, app: object, ssl_certfile: str | None = None) -> None: ...

    monkeypatch.setattr(uvicorn, "Config", OldConfig)
    arguments = uvicorn_options(ServerSettings(tls=settings(pair)))
    assert arguments["ssl_certfile"] == pair.cert
    assert arguments["ssl_ciphers"] == "ECDHE+AESGCM:ECDHE+CHACHA20"
    with pytest.raises(SettingsError, match="pip install --upgrade uvicorn"):
        uvicorn_options(ServerSettings(tls=settings(pair, version="1.3")))
