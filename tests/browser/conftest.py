"""A real browser: Debian's Chromium, which can reach nothing but the server of the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Route

Visit = Callable[..., "Page"]

LOCAL = ("127.0.0.1", "localhost")
REFUSED = "Content Security Policy"
"""Part of Chromium's message about what a page's policy forbids."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for a module: while it runs, its thread has a running event loop, so ``asyncio.run`` fails there."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs a browser (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def problems() -> Iterator[list[str]]:
    """What pages did that they must not: ask another host, raise an error, break their Content-Security-Policy. The
    test fails if any are left at its end."""
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def visit(browser: Browser, problems: list[str]) -> Iterator[Visit]:
    """``visit(url, **context)`` opens a page, in a browser context with these options (``color_scheme``, ``viewport``,
    ...)."""
    contexts: list[BrowserContext] = []

    def local_only(route: Route, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("data", "blob") or parts.hostname in LOCAL:
            route.continue_()
            return
        problems.append(f"a request to {request.url}")
        route.abort()

    def said(message: ConsoleMessage) -> None:
        if REFUSED in message.text:
            problems.append(message.text)

    def open_page(url: str, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(120_000)
        context.route("**/*", local_only)
        context.on("console", said)
        context.on("weberror", lambda error: problems.append(str(error.error)))
        page = context.new_page()
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
