"""The pages as a web site: they build without a warning, need nothing from the internet, and nothing in them is
untested without a reason."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from drum_litestar import errors
from drum_litestar.http.routes import ROUTES
from drum_litestar.predictors.native.hooks.custom_module import import_custom
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.route_table import REST
from support.pages import LANGUAGES, PAGES, ROOT, blocks

ASSETS = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "use": "href"}
NO_ASSETS = ("canonical", "next", "prev")
"""Links that a browser does not load."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


class _Assets(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        target = values.get(ASSETS.get(tag, ""))
        if target is not None and values.get("rel") not in NO_ASSETS:
            self.found.append(target)


def assets(html: str) -> list[str]:
    parser = _Assets()
    parser.feed(html)
    return parser.found


def test_assets_are_found() -> None:
    """Otherwise the next test would prove nothing."""
    html = '<link rel="stylesheet" href="a.css"><script src="//b/c.js"></script><img src="d.png"><a href="http://e">'
    assert assets(html) == ["a.css", "//b/c.js", "d.png"]


def test_every_page_is_built(site: Path) -> None:
    assert {page.stem for page in PAGES} <= {page.stem for page in site.glob("*.html")}


def test_no_asset_is_on_another_host(site: Path) -> None:
    found = [
        f"{page.relative_to(site)}: {target}"
        for page in site.rglob("*.html")
        for target in assets(page.read_text())
        if re.match(r"(?:[a-z]+:)?//", target)
    ]
    found += [
        f"{sheet.relative_to(site)}: {target}"
        for sheet in site.rglob("*.css")
        for target in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^)\"']+)", sheet.read_text())
    ]
    assert not found


def test_every_asset_is_there(site: Path) -> None:
    missing = [
        f"{page.name}: {target}"
        for page in site.glob("*.html")
        if page.name != "404.html"  # is shown at any address, so its links begin at the site's root
        for target in assets(page.read_text())
        if not (site / target.partition("#")[0].partition("?")[0]).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_untested_without_a_reason(page: Path) -> None:
    assert not [
        f"{block} ({block.language})" for block in blocks(page) if block.language in LANGUAGES and not block.directive
    ]
    for block in blocks(page):
        if block.directive == "tested by":
            assert (ROOT / block.argument).exists(), str(block)
        if block.directive == "not run":
            assert len(block.argument) > 10, f"{block}: no reason"


# --- what pages must be complete about --------------------------------------------------------------------------------


def section(page: Path, title: str) -> str:
    """The text below a heading of the second level, up to the next one."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page.name} has no section {title!r}"
    return found[1]


HOOKS = ROOT / "docs" / "hooks.md"
ANY_HOOK = """\
def __getattr__(name):
    if name.startswith("_") or name == "CustomTask":
        raise AttributeError(name)
    return lambda *args, **kwargs: None
"""
"""A ``custom.py`` that defines whatever is looked for."""


def test_the_page_has_every_hook(tmp_path: Path) -> None:
    """With its signature, and an example that is served."""
    (tmp_path / "custom.py").write_text(ANY_HOOK)
    hooks, _ = import_custom(tmp_path, TargetType.TEXT_GENERATION)
    assert {"init", "score", "chat"} <= set(hooks.names)
    examples = "\n".join(block.text for block in blocks(HOOKS) if block.directive == "file")
    for name in hooks.names:
        assert f"`{name}(" in section(HOOKS, name)
        assert re.search(rf"^(?:async )?def {name}\(", examples, re.MULTILINE), name


def test_the_page_has_every_route() -> None:
    page = (ROOT / "docs" / "http-api.md").read_text()
    paths = [path.removesuffix(REST) for route in ROUTES if route.summary for path in route.paths]
    assert not [path for path in paths if not re.search(rf"{re.escape(path)}(?![a-z])", page)]


def test_the_page_has_every_answer_of_errors() -> None:
    statuses = {value.status for value in vars(errors).values() if isinstance(value, type) and hasattr(value, "status")}
    page = section(ROOT / "docs" / "http-api.md", "For all routes")
    table = {int(number) for line in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE) for number in line.split(",")}
    assert statuses <= table


def names(requirements: str | list[str]) -> set[str]:
    """The distributions of some requirements, without their versions and extras."""
    each = requirements.split() if isinstance(requirements, str) else requirements
    return {re.split(r"[\[<>=]", requirement)[0] for requirement in each}


def test_packages_of_the_page_are_those_of_the_extras() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    extras = re.search(r"^\[project\.optional-dependencies\]\n(.*?)^\[", text, re.MULTILINE | re.DOTALL)
    assert extras is not None
    wanted: set[str] = set()
    for name, value in re.findall(r"^([\w-]+) = \[(.*?)\]$", extras[1], re.MULTILINE | re.DOTALL):
        if name not in ("all", "dev", "docs"):
            found = names(re.findall(r'"([^"]+)"', value))
            wanted |= {"redis"} if name == "redis" else found
    table = section(ROOT / "docs" / "install.md", "What else you may need")
    shown = {name for cell in re.findall(r"\| `([^`]+)` \|$", table, re.MULTILINE) for name in names(cell)}
    assert shown == wanted


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_no_page_installs_what_is_not_published(page: Path) -> None:
    """``pip install drum-litestar`` works with an address or a path only."""
    command = r"""pip install (?:-\S+ )*['"]?drum-litestar(?![\w-])(?!(?:\[[^\]]*\])? @)"""
    assert not re.findall(command, page.read_text())
