"""Settings of the network edge: rate limit, CORS, TLS, access token, logs, traces, event loop."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from drum_litestar.settings.declaration import Option


class RateLimitSettings(msgspec.Struct, frozen=True):
    """Rate limit: a token bucket per client."""

    enabled: Annotated[bool, Option("DRUM_RATE_LIMIT_ENABLED", "limit requests per client; 429 above the limit")] = (
        False
    )
    rpm: Annotated[float, Option("DRUM_RATE_LIMIT_RPM", "requests a minute", low=1)] = 60.0
    burst: Annotated[int, Option("DRUM_RATE_LIMIT_BURST", "requests that a client may send at once", low=1)] = 10
    key_header: Annotated[
        str | None,
        Option(
            "DRUM_RATE_LIMIT_KEY_HEADER",
            "header that names the client, instead of its address",
            default="the peer's address",
        ),
    ] = None
    store: Annotated[
        str | None,
        Option("DRUM_RATE_LIMIT_STORE", "URL of a Redis store that replicas share", secret=True, default="memory"),
    ] = None


class CorsSettings(msgspec.Struct, frozen=True):
    """Cross-origin requests of browsers. Credentials are allowed for named origins only."""

    enabled: Annotated[bool, Option("DRUM_CORS_ENABLED", "answer CORS preflights and add CORS headers")] = False
    origins: Annotated[tuple[str, ...], Option("DRUM_CORS_ORIGINS", "allowed origins; * for all")] = ("*",)


class TlsSettings(msgspec.Struct, frozen=True):
    """HTTPS. TLS 1.2 is the oldest version in any case."""

    certfile: Annotated[str | None, Option("DRUM_SSL_CERTFILE", "certificate chain (PEM)", file=True)] = None
    keyfile: Annotated[str | None, Option("DRUM_SSL_KEYFILE", "private key (PEM)", file=True)] = None
    keyfile_password: Annotated[
        str | None, Option("DRUM_SSL_KEYFILE_PASSWORD", "password of the private key", secret=True)
    ] = None
    version: Annotated[
        Literal["1.2", "1.3"],
        Option(
            "DRUM_SSL_VERSION",
            "oldest TLS version that is accepted",
            synonyms=(
                ("tlsv1.2", "1.2"),
                ("tls1.2", "1.2"),
                ("tlsv1_2", "1.2"),
                ("tlsv1.3", "1.3"),
                ("tls1.3", "1.3"),
                ("tlsv1_3", "1.3"),
            ),
        ),
    ] = "1.2"
    cert_reqs: Annotated[
        Literal["none", "optional", "required"],
        Option(
            "DRUM_SSL_CERT_REQS",
            "whether clients must send a certificate",
            synonyms=(
                ("0", "none"),
                ("1", "optional"),
                ("2", "required"),
                ("cert_none", "none"),
                ("cert_optional", "optional"),
                ("cert_required", "required"),
            ),
        ),
    ] = "none"
    ca_certs: Annotated[
        str | None,
        Option("DRUM_SSL_CA_CERTS", "CA certificates that client certificates are verified with (PEM)", file=True),
    ] = None
    ciphers: Annotated[
        str | None, Option("DRUM_SSL_CIPHERS", "TLS 1.2 ciphers (OpenSSL's syntax)", default="forward-secret AEAD")
    ] = None


class AccessSettings(msgspec.Struct, frozen=True):
    """Access to the API."""

    api_token: Annotated[
        str | None,
        Option(
            "DRUM_API_TOKEN",
            "token that requests must carry, as bearer token or X-API-Key; probes are exempt",
            secret=True,
            never_empty="token",
        ),
    ] = None


class LogSettings(msgspec.Struct, frozen=True):
    """Level and format of logs."""

    level: Annotated[
        Literal["trace", "debug", "info", "warning", "error", "critical"],
        Option(
            "DRUM_UVICORN_LOG_LEVEL",
            "level of the web server's own log",
            old=("DRUM_GUNICORN_LOG_LEVEL",),
            synonyms=(("warn", "warning"), ("fatal", "critical")),
        ),
    ] = "warning"
    json: Annotated[bool, Option("DRUM_JSON_LOGGING", "log one JSON object a line")] = False
    probes: Annotated[
        bool,
        Option(
            "DRUM_ACCESS_LOG_PROBES", "requests to probes and /metrics are in the access log; false leaves them out"
        ),
    ] = True


class TraceSettings(msgspec.Struct, frozen=True):
    """OpenTelemetry's traces; what is exported, and where to, the ``OTEL_*`` variables say."""

    steps: Annotated[
        bool, Option("DRUM_TRACE_STEPS", "spans queue, parse, model and serialize under the span of each request")
    ] = False


class LoopSettings(msgspec.Struct, frozen=True):
    """The event loop."""

    kind: Annotated[
        Literal["auto", "asyncio", "uvloop"], Option("DRUM_UVICORN_LOOP", "event loop; auto is uvloop where it works")
    ] = "auto"
