"""What the other tests rely on: a page that leaves its server, fails or breaks its policy fails the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.conftest import Visit
from drum_litestar.http.packaged_files import file_routes
from http_serving import StateExecutor, card, options, serving

FAULTS = {
    "foreign": ("<img src='http://192.0.2.1/x.png'>", "a request to http://192.0.2.1/x.png"),
    "error": ("<script src=fault.js></script>", "a fault"),
    "policy": ("<script>1</script>", "Content Security Policy"),
    "none": ("<p>", ""),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_noticed(visit: Visit, problems: list[str], tmp_path: Path, name: str) -> None:
    html, problem = FAULTS[name]
    (tmp_path / "index.html").write_text(html)
    (tmp_path / "fault.js").write_text("throw new Error('a fault')")
    routes = file_routes(tmp_path, at="/page", policy="default-src 'self' http:")
    with serving(StateExecutor("ready", card()), options(protocol_routes=routes)) as server:
        visit(f"{server.url}/page/").wait_for_load_state("networkidle")
    assert problem in " ".join(problems)
    assert bool(problems) == bool(problem)
    problems.clear()
