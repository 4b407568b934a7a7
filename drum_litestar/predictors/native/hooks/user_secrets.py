"""Secrets of custom tasks: reading them, and masking their values in the output (contract, 4.12)."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from drum_litestar.settings.masking import mask_values
from drum_litestar.tracebacks import format_exception

_INTERFACES = "datarobot_drum.custom_task_interfaces"
_CLASSES = {
    "basic": "BasicSecret",
    "oauth": "OauthSecret",
    "gcp": "GCPSecret",
    "s3": "S3Secret",
    "azure": "AzureSecret",
    "azure_service_principal": "AzureServicePrincipalSecret",
    "snowflake_oauth_user_account": "SnowflakeOauthUserAccountSecret",
    "snowflake_key_pair_user_account": "SnowflakeKeyPairUserAccountSecret",
    "adls_gen2_oauth": "AdlsGen2OauthSecret",
    "tableau_access_token": "TableauAccessTokenSecret",
    "databricks_access_token_account": "DatabricksAccessTokenAccountSecret",
    "api_token": "ApiTokenSecret",
}


class UnsupportedSecretError(Exception):
    """A credential of an unknown type. The start-up error text contains the name of this class."""


def load_secrets(mount_path: str | None, prefix: str | None) -> dict[str, Any]:
    """Secrets by name, from variables ``<prefix>_<NAME>`` and the plain files of ``mount_path``, which win.

    Each is an instance of the class that user code imports from ``datarobot_drum.custom_task_interfaces``, be it the
    real package or the stand-in; so the custom task must have been imported before. A missing directory is no error.
    Raises UnsupportedSecretError, ValueError for text that is not JSON, KeyError and TypeError for missing keys.
    """
    texts: dict[str, str] = {}
    if prefix:
        start = f"{prefix}_"
        texts.update({name[len(start) :]: value for name, value in os.environ.items() if name.startswith(start)})
    if mount_path and Path(mount_path).is_dir():
        texts.update({file.name: file.read_text("utf-8") for file in Path(mount_path).iterdir() if file.is_file()})
    return {name: _secret(json.loads(text)) for name, text in texts.items()}


def _secret(values: dict[str, Any]) -> Any:
    kind = values["credential_type"]
    class_name = _CLASSES.get(kind.lower())
    if class_name is None:
        raise UnsupportedSecretError(f"Unsupported secret type: {kind!r}")
    return getattr(sys.modules[_INTERFACES], class_name).from_dict(values)


def sensitive_values(secrets: Iterable[Any]) -> list[str]:
    """All non-empty texts in ``secrets``, longest first: a value that contains another one is masked whole."""
    found = {text for secret in secrets for text in _texts(dataclasses.asdict(secret))}
    return sorted(found, key=lambda text: (-len(text), text))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


class OutputMask:
    """Replaces values by ``*****`` in stdout, stderr and in log records, from :meth:`install` to :meth:`remove`."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values = tuple(values)
        self._streams: tuple[Any, Any] | None = None
        self._factory = logging.getLogRecordFactory()

    def mask(self, text: str) -> str:
        return mask_values(text, self._values)

    def install(self) -> None:
        """Start masking. Covers loggers that are created later too, which DRUM's does not."""
        self._streams = (sys.stdout, sys.stderr)
        self._factory = logging.getLogRecordFactory()
        sys.stdout, sys.stderr = (_MaskedStream(stream, self) for stream in self._streams)
        logging.setLogRecordFactory(self._record)

    def remove(self) -> None:
        """Restore the streams and the record factory. Idempotent."""
        if self._streams is not None:
            sys.stdout, sys.stderr = self._streams
            logging.setLogRecordFactory(self._factory)
            self._streams = None

    def _record(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._factory(*args, **kwargs)
        try:
            record.msg, record.args = self.mask(record.getMessage()), None
        except Exception:
            return record  # arguments do not match the format: logging reports that itself, on the masked stderr
        if record.exc_info and record.exc_info[1] is not None:
            # Formatters print this text instead of the exception.
            record.exc_text = self.mask(format_exception(record.exc_info[1]))
        return record


class _MaskedStream:
    def __init__(self, stream: TextIO, mask: OutputMask) -> None:
        self._stream = stream
        self._mask = mask

    def write(self, text: str) -> int:
        self._stream.write(self._mask.mask(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
