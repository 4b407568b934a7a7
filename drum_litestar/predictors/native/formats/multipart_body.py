"""Encoding of ``multipart/form-data`` bodies as DRUM's clients read them (contract, 3.8)."""

from __future__ import annotations

import uuid


class MultipartBody:
    """Parts in order, CRLF framing, a random boundary of 32 hex digits."""

    def __init__(self) -> None:
        self._boundary = uuid.uuid4().hex
        self._pieces: list[bytes] = []

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self._boundary}"

    def field(self, name: str, value: str) -> None:
        """Add a form field."""
        self._add(f'Content-Disposition: form-data; name="{name}"', value.encode("utf-8"))

    def file(self, name: str, content: bytes) -> None:
        """Add a file part; its file name is the field's name."""
        self._add(
            f'Content-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream",
            content,
        )

    def to_bytes(self) -> bytes:
        return b"".join([*self._pieces, f"--{self._boundary}--\r\n".encode("ascii")])

    def _add(self, head: str, content: bytes) -> None:
        self._pieces += [f"--{self._boundary}\r\n{head}\r\n\r\n".encode("ascii"), content, b"\r\n"]
