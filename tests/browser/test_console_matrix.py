"""The console on every target type, and behind a token, a prefix and TLS: long runs."""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from browser.conftest import Visit
from browser.console_server import console_server, make_folder
from conftest import Start
from support.data import csv_of, table
from support.files import replace_text
from support.servers.certificates import make_pair

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

ON = {"DRUM_CONSOLE": "true"}

TARGETS = {
    "regression": "prediction",
    "binary": "Most probable",
    "multiclass": "Most probable",
    "multilabel": "Most probable",
    "anomaly": "prediction",
    "geopoint": "prediction",
    "text": "prediction",
    "vectordatabase": "prediction",
    "agenticworkflow": "prediction",
    "transform_sklearn": "",
}
"""Model folders, and a column of the answer."""


def ask_rows(page: Page, text: str) -> None:
    if page.get_by_label("Rows", exact=True).is_visible():
        page.get_by_label("Rows", exact=True).check()
    page.get_by_label("CSV text").check()
    page.get_by_label("CSV, with a header line").fill(text)
    page.locator("#view-try button.main:visible").click()


def opened(visit: Visit, url: str, **options: object) -> Page:
    page = visit(f"{url}/console/#try", **options)
    page.locator("#state", has_text="ready").wait_for()
    return page


@pytest.mark.parametrize("name", TARGETS)
def test_rows_of_every_target_type(serve: Start, visit: Visit, name: str) -> None:
    server = serve(name, executor="inline", env=ON)
    page = opened(visit, f"http://127.0.0.1:{server.port}")
    page.locator("#view-try button.main:visible").wait_for()
    if page.get_by_label("Table", exact=True).is_enabled():
        page.get_by_role("button", name="Example row").click()
        page.locator("#view-try button.main:visible").click()
    else:
        ask_rows(page, csv_of(table(2)).decode())
    page.locator("#result tbody tr").nth(1).wait_for()
    assert TARGETS[name] in page.locator("#result thead").inner_text()
    page.get_by_role("link", name="Model").click()
    page.locator("#view-model dl").wait_for()


def test_unstructured(serve: Start, visit: Visit, tmp_path: Path) -> None:
    server = serve("unstructured", executor="inline", env=ON)
    page = opened(visit, f"http://127.0.0.1:{server.port}")
    page.get_by_label("Body").fill("some <b>text</b>")
    page.locator("#view-try button.main:visible").click()
    assert "some <b>text</b>" in page.locator("#answer").inner_text()
    page.get_by_text("As code").click()
    assert "--data-raw 'some <b>text</b>'" in page.get_by_role("region", name="curl").inner_text()
    (tmp_path / "data.bin").write_bytes(b"\x00\x01\x02")
    page.get_by_label("Or a file").set_input_files(tmp_path / "data.bin")
    page.locator("#view-try button.main:visible").click()
    page.locator("#answer", has_text="x02").wait_for()


@pytest.mark.parametrize("name", ["chat_text", "chat_agent"])
def test_chats_of_hooks_with_openai(serve: Start, visit: Visit, name: str) -> None:
    server = serve(name, executor="inline", env=ON)
    page = opened(visit, f"http://127.0.0.1:{server.port}")
    for stream in (True, False):
        page.get_by_label("Stream the answer").set_checked(stream)
        page.get_by_label("Message").fill("hello")
        page.locator("#view-try button.main:visible").click()
        page.locator("#times").wait_for()
        page.locator(".message.assistant .said").last.filter(has_text=re.compile(".")).wait_for()
        page.get_by_role("button", name="New chat").click()


def test_behind_token_prefix_and_tls(visit: Visit, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl command")
    pair = make_pair(tmp_path, "server")
    make_folder(tmp_path / "model")
    env = {
        "DRUM_API_TOKEN": "right-token",
        "URL_PREFIX": "/a/b",
        "DRUM_SSL_CERTFILE": pair.cert,
        "DRUM_SSL_KEYFILE": pair.key,
        "DRUM_PROBE_ADDRESS": "127.0.0.1:0",
    }
    with console_server(tmp_path / "model", tmp_path / "log", env=env, until="ready on https") as server:
        page = visit(f"https://127.0.0.1:{server.port}/a/b/console", ignore_https_errors=True)
        page.get_by_label("API token").fill("right-token")
        page.keyboard.press("Enter")
        page.locator("#state", has_text="ready").wait_for()
        page.get_by_role("link", name="Try").click()
        ask_rows(page, "amount,do\n0.5,x\n")
        page.locator("#result tbody tr").first.wait_for()
        page.get_by_text("As code").click()
        url = f"https://127.0.0.1:{server.port}/a/b/predict/"
        assert url in page.get_by_role("region", name="curl").inner_text()
        page.get_by_label("Chat", exact=True).check()
        page.get_by_label("Message").fill("hello")
        page.keyboard.press("Enter")
        page.get_by_text("first word").wait_for()
        page.get_by_role("link", name="Live").click()
        page.get_by_role("img", name=re.compile("Memory by process: now server")).wait_for()
        page.reload()
        page.locator("#state", has_text="ready").wait_for()


def test_a_reload_is_seen(visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    make_folder(folder)
    with console_server(folder, tmp_path / "log") as server:
        page = visit(f"http://127.0.0.1:{server.port}/console/#model")
        page.locator("#columns", has_text="amount").wait_for()
        replace_text(folder / "custom.py", (folder / "custom.py").read_text().replace("amount", "quantity"))
        server.process.send_signal(signal.SIGHUP)
        page.locator("#columns", has_text="quantity").wait_for()
        page.locator("#history", has_text="The model is reloaded").wait_for()
        replace_text(folder / "custom.py", "raise ValueError('no such thing')")
        server.process.send_signal(signal.SIGHUP)
        page.locator("#view-model .alert", has_text="could not be loaded again").wait_for()
        page.get_by_role("link", name=re.compile("Faults")).click()
        page.locator(".faults li", has_text="Reloading the model failed").wait_for()


def test_a_model_that_cannot_be_loaded(visit: Visit, tmp_path: Path) -> None:
    """The error server shows the reason."""
    folder = tmp_path / "model"
    make_folder(folder)
    (folder / "custom.py").write_text("raise ValueError('<img src=x onerror=window.hacked=1>')")
    with console_server(folder, tmp_path / "log", arguments=["--with-error-server"], until="onerror") as server:
        page = visit(f"http://127.0.0.1:{server.port}/console/#try")
        page.locator("#state", has_text="failed").wait_for()
        page.locator("#view-try", has_text="The model cannot be loaded").wait_for()
        assert page.evaluate("window.hacked") is None
