"""The TLS context: version 1.2 or later, forward-secret AEAD ciphers, client certificates when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from drum_litestar.errors import SettingsError

if TYPE_CHECKING:
    import ssl

    from drum_litestar.settings.groups.edge import TlsSettings

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; every suite of TLS 1.3 is forward-secret and AEAD."""


def build_context(tls: TlsSettings) -> ssl.SSLContext:
    """Build the server's context from ``tls``, which has a certificate.

    Raises SettingsError, one line, for files, passwords and ciphers that do not work.
    """
    import ssl

    if not tls.certfile:
        raise SettingsError("DRUM_SSL_CERTFILE is not set")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if tls.version == "1.3" else ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.set_ciphers(tls.ciphers or CIPHERS)
    except ssl.SSLError as error:
        raise SettingsError(f"DRUM_SSL_CIPHERS='{tls.ciphers}' selects no cipher") from error
    try:
        # Without a password function OpenSSL would ask on the terminal.
        context.load_cert_chain(tls.certfile, tls.keyfile, lambda: tls.keyfile_password or "")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise SettingsError(_pair_problem(tls, error)) from error
    context.verify_mode = {
        "none": ssl.CERT_NONE,
        "optional": ssl.CERT_OPTIONAL,
        "required": ssl.CERT_REQUIRED,
    }[tls.cert_reqs]
    if tls.ca_certs:
        try:
            context.load_verify_locations(tls.ca_certs)
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(f"DRUM_SSL_CA_CERTS='{tls.ca_certs}' holds no usable certificate: {error}") from error
    return context


def tls_arguments(tls: TlsSettings) -> dict[str, Any]:
    """Keyword arguments for ``uvicorn.Config``; none without a certificate.

    uvicorn takes a context factory in newer versions only. Older ones build the context themselves, from the same
    files and ciphers; Python's default floor, TLS 1.2, holds there.
    """
    if not tls.certfile:
        return {}
    context = build_context(tls)
    import inspect

    from uvicorn import Config

    if "ssl_context_factory" in inspect.signature(Config).parameters:
        return {"ssl_context_factory": lambda config, default: context}
    if tls.version == "1.3":
        raise SettingsError("DRUM_SSL_VERSION=1.3 needs a newer uvicorn: pip install --upgrade uvicorn")
    return {
        "ssl_certfile": tls.certfile,
        "ssl_keyfile": tls.keyfile,
        "ssl_keyfile_password": tls.keyfile_password,
        "ssl_cert_reqs": int(context.verify_mode),
        "ssl_ca_certs": tls.ca_certs,
        "ssl_ciphers": tls.ciphers or CIPHERS,
    }


def _pair_problem(tls: TlsSettings, error: OSError | ValueError) -> str:
    """The problem of the certificate or the key; OpenSSL's own reason is often only "PEM lib".

    Raises SettingsError for a file that cannot be read.
    """
    import ssl

    certificate, key = f"DRUM_SSL_CERTFILE='{tls.certfile}'", f"DRUM_SSL_KEYFILE='{tls.keyfile}'"
    _content(certificate, tls.certfile)
    key_content = _content(key, tls.keyfile)
    reason = getattr(error, "reason", None) or str(error)
    if reason.upper() == "KEY_VALUES_MISMATCH":
        return f"{certificate} and {key} do not belong together"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(tls.certfile)
    except ssl.SSLError:
        return f"{certificate} holds no usable certificate in PEM format"
    if b"ENCRYPTED" in key_content:
        fault = "does not open it" if tls.keyfile_password else "is not set"
        return f"{key} is encrypted, and DRUM_SSL_KEYFILE_PASSWORD {fault}"
    if b"PRIVATE KEY-----" not in key_content or "PEM LIB" in reason.upper().replace("_", " "):
        return f"{key} holds no usable private key in PEM format"
    return f"{certificate} and {key} cannot be used: {reason}"


def _content(name: str, path: str | None) -> bytes:
    try:
        return Path(path or "").read_bytes()
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror}") from error
