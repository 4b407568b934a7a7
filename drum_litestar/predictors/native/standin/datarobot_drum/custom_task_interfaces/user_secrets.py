"""Stand-in for the typed secrets of custom tasks. Their repr never shows a value."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

_MASK = "*****"
_Secret = TypeVar("_Secret", bound="AbstractSecret")


class _Masked:
    def __repr__(self) -> str:
        def shown(value: object) -> str:
            return repr(_MASK) if isinstance(value, str) else repr(value)

        inner = ", ".join(f"{item.name}={shown(getattr(self, item.name))}" for item in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({inner})"


def _known(cls: type, values: dict[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(cls)}
    return {name: value for name, value in values.items() if name in names}


@dataclass(repr=False)
class AbstractSecret(_Masked):
    """Base of the secrets."""

    @classmethod
    def from_dict(cls: type[_Secret], input_dict: dict[str, Any]) -> _Secret:
        """The secret in ``input_dict``; keys that it does not know are dropped."""
        return cls(**_known(cls, input_dict))

    def is_partial_secret(self) -> bool:
        """The secret refers to a shared configuration instead of holding all its values."""
        names = {item.name for item in fields(self)} & {"config_id", "oauth_config_id"}
        return any(getattr(self, name) for name in names)


@dataclass(repr=False)
class BasicSecret(AbstractSecret):
    username: str
    password: str
    snowflake_account_name: str | None = None


@dataclass(repr=False)
class OauthSecret(AbstractSecret):
    token: str
    refresh_token: str


@dataclass(repr=False)
class GCPKey(_Masked):
    type: str
    project_id: str | None = None
    private_key_id: str | None = None
    private_key: str | None = None
    client_email: str | None = None
    client_id: str | None = None
    auth_uri: str | None = None
    token_uri: str | None = None
    auth_provider_x509_cert_url: str | None = None
    client_x509_cert_url: str | None = None

    @classmethod
    def from_dict(cls, input_dict: dict[str, Any]) -> GCPKey:
        """The key in ``input_dict``; keys that it does not know are dropped."""
        return cls(**_known(cls, input_dict))


@dataclass(repr=False)
class GCPSecret(AbstractSecret):
    gcp_key: GCPKey | None = None
    config_id: str | None = None

    @classmethod
    def from_dict(cls, input_dict: dict[str, Any]) -> GCPSecret:
        values = _known(cls, input_dict)
        if values.get("gcp_key") is not None:
            values["gcp_key"] = GCPKey.from_dict(values["gcp_key"])
        return cls(**values)


@dataclass(repr=False)
class S3Secret(AbstractSecret):
    aws_access_key_id: str | None = None
    aws_secret_access_key: str | None = None
    aws_session_token: str | None = None
    config_id: str | None = None


@dataclass(repr=False)
class AzureSecret(AbstractSecret):
    azure_connection_string: str


@dataclass(repr=False)
class AzureServicePrincipalSecret(AbstractSecret):
    client_id: str
    client_secret: str
    azure_tenant_id: str


@dataclass(repr=False)
class SnowflakeOauthUserAccountSecret(AbstractSecret):
    client_id: str | None
    client_secret: str | None
    snowflake_account_name: str | None
    oauth_issuer_type: str | None = None
    oauth_issuer_url: str | None = None
    oauth_scopes: str | None = None
    oauth_config_id: str | None = None


@dataclass(repr=False)
class SnowflakeKeyPairUserAccountSecret(AbstractSecret):
    username: str | None
    private_key_str: str | None
    passphrase: str | None = None
    config_id: str | None = None


@dataclass(repr=False)
class AdlsGen2OauthSecret(AbstractSecret):
    client_id: str
    client_secret: str
    oauth_scopes: str


@dataclass(repr=False)
class TableauAccessTokenSecret(AbstractSecret):
    token_name: str
    personal_access_token: str


@dataclass(repr=False)
class DatabricksAccessTokenAccountSecret(AbstractSecret):
    databricks_access_token: str


@dataclass(repr=False)
class ApiTokenSecret(AbstractSecret):
    api_token: str


class UnsupportedSecretError(Exception):
    """A secret of a type that is not known."""
