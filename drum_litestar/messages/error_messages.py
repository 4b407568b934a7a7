"""Bodies of errors."""

from __future__ import annotations

from typing import List, Optional, Union

import msgspec
from msgspec import UNSET, UnsetType


class ErrorMessage(msgspec.Struct, kw_only=True):
    """Why the request was refused, or failed."""

    message: str
    accepted: Union[List[str], UnsetType] = UNSET
    """Media types or codings that are accepted."""
    retry_after: Union[int, UnsetType] = UNSET
    """Seconds after which the request may be sent again."""
    request_id: Union[str, UnsetType, None] = UNSET
    is_schema_validation_error: Union[bool, UnsetType] = UNSET
    """What the model returned is not as its typeSchema says."""


class ErrorText(msgspec.Struct):
    """Why the request was refused, or failed."""

    error: str


class ParameterProblem(msgspec.Struct):
    """Why a parameter cannot be used."""

    message: str
    type: str
    param: Optional[str]
    code: Optional[str]


class ParameterError(msgspec.Struct):
    """OpenAI's form of an error."""

    error: ParameterProblem
