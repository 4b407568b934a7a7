"""The pictures of the console in docs/images: ``python scripts/console_screenshots.py`` takes them anew.

Needs the examples' models (``python examples/build.py``), the packages of the tests and Debian's Chromium.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "multiclass"
IMAGES = ROOT / "docs" / "images"
SECONDS = 75
"""Of requests before the view Live is taken: its charts begin with a minute."""


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "drum_litestar", "server", "--code-dir", str(EXAMPLE), "--address", url[7:]]
    command += [*(EXAMPLE / "serve.args").read_text().split(), "--max-workers", "2"]
    server = subprocess.Popen(command, env={**os.environ, "DRUM_CONSOLE": "true"}, stdout=subprocess.DEVNULL)
    try:
        while not answers(f"{url}/readyz"):
            time.sleep(0.1)
        take(url)
    finally:
        server.terminate()
        server.wait()


def answers(url: str, body: bytes | None = None) -> bool:
    request = urllib.request.Request(url, body, {"Content-Type": "text/csv"} if body else {})
    try:
        with urllib.request.urlopen(request, timeout=10):
            return True
    except OSError:
        return False


def ask(url: str, stop: threading.Event) -> None:
    """Requests, more and more of them, and some that fail."""
    header, *rows = (EXAMPLE / "data.csv").read_text().splitlines(keepends=True)
    count = 0
    while not stop.is_set():
        count += 1
        body = "no,such\n1,2\n" if count % 40 == 0 else header + rows[count % len(rows)]
        answers(f"{url}/predict/", body.encode())
        stop.wait(0.02 + 0.1 * (count % 300 < 100))


def take(url: str) -> None:
    stop = threading.Event()
    clients = [threading.Thread(target=ask, args=(url, stop)) for _ in range(3)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        light, dark, narrow = (
            opened(browser, url, **options)
            for options in (
                {"viewport": {"width": 1180, "height": 760}},
                {"viewport": {"width": 1180, "height": 960}, "color_scheme": "dark"},
                {"viewport": {"width": 390, "height": 760}, "device_scale_factor": 1.5},
            )
        )
        light.goto(f"{url}/console/#try")
        light.get_by_label("CSV text").check()
        light.get_by_label("CSV, with a header line").fill((EXAMPLE / "data.csv").read_text())
        light.get_by_role("button", name="Send").click()
        light.locator("#result").wait_for()
        light.screenshot(path=IMAGES / "console-light.png")
        narrow.locator("#columns").wait_for()
        narrow.screenshot(path=IMAGES / "console-narrow.png")
        dark.goto(f"{url}/console/#live")
        for client in clients:
            client.start()
        dark.wait_for_timeout(SECONDS * 1000)
        dark.screenshot(path=IMAGES / "console-dark.png")
        stop.set()
        for client in clients:
            client.join()
        browser.close()


def opened(browser: Any, url: str, **options: Any) -> Any:
    page = browser.new_context(**options).new_page()
    page.goto(f"{url}/console/")
    page.locator("#state", has_text="ready").wait_for()
    return page


if __name__ == "__main__":
    main()
