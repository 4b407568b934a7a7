"""Lazy loading: files that are downloaded before ``custom.py`` is imported (contract, 4.14)."""

from __future__ import annotations

import importlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, List, Optional, TypeVar

import msgspec

from drum_litestar.errors import MissingExtraError, ModelLoadError

LAZY_LOADING_DATA = "MLOPS_LAZY_LOADING_DATA"
SECRET_PREFIX = "MLOPS_REPOSITORY_SECRET_"
_PARALLEL = 8
T = TypeVar("T")

logger = logging.getLogger("drum")


class RemoteFile(msgspec.Struct, frozen=True, rename="camel"):
    remote_path: str
    local_path: str
    """Relative to the working directory, like DRUM's."""
    repository_id: str


class Repository(msgspec.Struct, frozen=True, rename="camel"):
    repository_id: str
    bucket_name: str
    credential_id: str
    endpoint_url: Optional[str] = None
    verify_certificate: bool = True


class Credential(msgspec.Struct, frozen=True, rename="camel"):
    credential_type: str
    aws_access_key_id: str
    aws_secret_access_key: str
    aws_session_token: Optional[str] = None


class Content(msgspec.Struct, frozen=True):
    files: List[RemoteFile]
    repositories: List[Repository]


def download_files(yaml_file: str | None = None, environ: MutableMapping[str, str] = os.environ) -> None:
    """Download the files that ``MLOPS_LAZY_LOADING_DATA`` names, in parallel; no-op without the variable.

    ``yaml_file`` (``--lazy-loading-file``) sets the variables first. A file is written under a temporary name and then
    renamed, so that several workers may download at the same time. A file of the same size that is not older than the
    remote one is kept. Raises ModelLoadError.
    """
    if yaml_file:
        export_variables(Path(yaml_file), environ)
    text = environ.get(LAZY_LOADING_DATA)
    if not text:
        return
    content = _content(text)
    repositories = {repository.repository_id: repository for repository in content.repositories}
    credentials = {item.credential_id: _credential(item, environ) for item in content.repositories}
    unknown = sorted({file.repository_id for file in content.files} - repositories.keys())
    if unknown:
        raise ModelLoadError(f"Invalid lazy loading content. Unknown repository {unknown[0]}")
    try:
        boto3 = importlib.import_module("boto3")
    except ModuleNotFoundError as error:
        raise ModelLoadError(str(MissingExtraError("Lazy loading", "lazy-loading", "boto3"))) from error
    clients = {
        name: _client(boto3, repository, credentials[repository.credential_id])
        for name, repository in repositories.items()
    }
    logger.info("Downloading %d file(s) before the model is loaded", len(content.files))
    with ThreadPoolExecutor(_PARALLEL, "lazy-loading") as pool:
        jobs = [
            (file, pool.submit(_download, clients[file.repository_id], repositories[file.repository_id], file))
            for file in content.files
        ]
        for file, job in jobs:
            failure = job.exception()
            if failure is not None:
                raise ModelLoadError(f"Failed to download {file.remote_path}: {failure}") from failure


def export_variables(path: Path, environ: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables from the YAML form: the same content, plus ``credentials`` with an ``id`` each.

    Raises ModelLoadError.
    """
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ModelLoadError(f"Invalid lazy loading YAML file content. {error}") from error
    if not isinstance(loaded, dict):
        raise ModelLoadError("Invalid lazy loading YAML file content. It must be a mapping")
    credentials = loaded.pop("credentials", None) or []
    if not isinstance(credentials, list):
        raise ModelLoadError("Invalid lazy loading YAML file content. 'credentials' must be a list")
    for credential in credentials:
        if not isinstance(credential, dict) or not credential.get("id"):
            raise ModelLoadError("Invalid lazy loading YAML file content. Every credential needs an id")
        fields = {name: value for name, value in credential.items() if name != "id"}
        environ[f"{SECRET_PREFIX}{str(credential['id']).upper()}"] = json.dumps(fields)
    environ[LAZY_LOADING_DATA] = json.dumps(loaded)


def _content(text: str) -> Content:
    try:
        content = msgspec.convert(_camel(json.loads(text)), Content)
    except (ValueError, msgspec.ValidationError) as error:
        raise ModelLoadError(f"Invalid lazy loading content. {error}") from error
    if not content.files or not content.repositories:
        raise ModelLoadError("Invalid lazy loading content. 'files' and 'repositories' must not be empty")
    return content


def _credential(repository: Repository, environ: Mapping[str, str]) -> Credential:
    text = environ.get(f"{SECRET_PREFIX}{repository.credential_id.upper()}")
    if not text:
        raise ModelLoadError(
            f"Missing credential for repository {repository.repository_id}, credential_id: {repository.credential_id}"
        )
    try:
        credential = msgspec.convert(_camel(json.loads(text)), Credential)
    except (ValueError, msgspec.ValidationError) as error:
        # Without the text itself, which is a secret.
        raise ModelLoadError(f"Invalid lazy loading credential {repository.credential_id}. {error}") from None
    if credential.credential_type.lower() != "s3":
        raise ModelLoadError(
            f"Invalid lazy loading credential {repository.credential_id}. "
            f"Unsupported credential type: {credential.credential_type}"
        )
    return credential


def _camel(value: Any) -> Any:
    """Convert keys from snake case, which is accepted too, to camel case."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {_camel_word(str(key)): _camel(item) for key, item in value.items()}


def _camel_word(word: str) -> str:
    first, *rest = word.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _client(boto3: Any, repository: Repository, credential: Credential) -> Any:
    return boto3.client(
        "s3",
        aws_access_key_id=credential.aws_access_key_id,
        aws_secret_access_key=credential.aws_secret_access_key,
        aws_session_token=credential.aws_session_token,
        endpoint_url=repository.endpoint_url,
        verify=repository.verify_certificate,
    )


def _download(client: Any, repository: Repository, file: RemoteFile) -> None:
    target = Path(file.local_path)
    remote = client.head_object(Bucket=repository.bucket_name, Key=file.remote_path)
    if target.is_file():
        existing = target.stat()
        if existing.st_size == remote["ContentLength"] and existing.st_mtime >= remote["LastModified"].timestamp():
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    try:
        client.download_file(repository.bucket_name, file.remote_path, name)
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)
