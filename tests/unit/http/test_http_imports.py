"""The HTTP process must work with pydantic present, absent or broken, and import no data library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = """
import asyncio, sys
import httpx
from http_serving import StateExecutor, card, options
from drum_litestar.http.app import build_app
from drum_litestar.http.openapi.documentation_pages import documentation_pages
from drum_litestar.protocols.all_routes import PROTOCOL_ROUTES

async def main(**settings):
    app = build_app(StateExecutor("ready", card()), options(**settings))
    async with app.lifespan():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.get("/ping/")).status_code == 200
            assert (await client.post("/transform/", content=b"a")).status_code == 422
            assert (await client.get("/nope")).status_code == 404
            if settings:
                assert (await client.get("/docs/openapi.json")).status_code == 200
                assert (await client.get("/docs/")).status_code == 200
                assert (await client.get("/docs/redoc/redoc.standalone.js")).status_code == 200

asyncio.run(main())
asyncio.run(main(enable_docs=True, protocol_routes=(*PROTOCOL_ROUTES, *documentation_pages())))
heavy = {"pandas", "numpy", "scipy", "sklearn", "flask", "pydantic", "pydantic_core", "attr", "attrs", "datarobot_drum"}
imported = sorted(heavy & set(sys.modules))
print(imported)
"""

STUBS = {
    "broken": "raise RuntimeError('a broken pydantic')",
    "absent": "raise ModuleNotFoundError('No module named pydantic', name='pydantic')",
    "present": "",
}


@pytest.mark.parametrize("kind", list(STUBS))
def test_the_http_process_does_not_touch_pydantic(tmp_path: Path, kind: str) -> None:
    package = tmp_path / "pydantic"
    package.mkdir()
    (package / "__init__.py").write_text(STUBS[kind])
    tests = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(tmp_path), str(tests), str(tests.parent)])
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHECK],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"
