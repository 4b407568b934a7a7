"""``/static/<path>``, a default route of DRUM's web framework: no files, but OPTIONS and 405 (contract, 3.1)."""

from __future__ import annotations

from litestar import route
from litestar.exceptions import NotFoundException

from drum_litestar.http.app_options import AnyResponse
from drum_litestar.http.base_controller import READ, DrumController


class StaticController(DrumController):
    include_in_schema = False

    @route("/static/{rest:path}", http_method=READ)
    async def nothing(self) -> AnyResponse:
        raise NotFoundException
