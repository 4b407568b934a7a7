"""``/static/<path>``, a default route of DRUM's web framework: no files, but OPTIONS and 405 (contract, 3.1)."""

from __future__ import annotations

from litestar.exceptions import NotFoundException

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.service import ModelService


async def no_file(_: ModelService, __: AnyRequest) -> AnyResponse:
    """There is none."""
    raise NotFoundException
