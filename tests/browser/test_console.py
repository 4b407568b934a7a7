"""The console in a real browser, over one server: all its views, bad input, and a server that goes away."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from browser.axe import serious_faults
from browser.conftest import Visit
from browser.console_server import HOSTILE, console_server, make_folder
from support.servers.process import ServerProcess, free_port
from support.wire import csv as csv_request

if TYPE_CHECKING:
    from playwright.sync_api import Page

PASTE = """([selector, text]) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
    document.querySelector(selector).dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("console") / "model"
    make_folder(path)
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    with console_server(folder, folder.parent / "server.log", arguments=["--show-stacktrace"]) as server:
        yield server


@pytest.fixture
def open_view(server: ServerProcess, visit: Visit) -> Visit:
    def open_view(name: str, **options: object) -> Page:
        page = visit(f"http://127.0.0.1:{server.port}/console/#{name}", **options)
        page.locator("#state", has_text="ready").wait_for()
        return page

    return open_view


def fill(page: Page, **values: str) -> None:
    for name, value in values.items():
        page.get_by_label(f"{name}, row 1", exact=True).fill(value)


def send(page: Page) -> None:
    page.locator("#view-try button.main:visible").click()


def alert(page: Page) -> str:
    found = page.locator("#view-try [role=alert]:not(:empty)")
    found.wait_for()
    return found.inner_text()


def test_model(open_view: Visit, server: ServerProcess) -> None:
    page = open_view("model")
    assert page.locator("#columns tbody tr").all_inner_texts()[2].startswith(HOSTILE)
    assert f"{HOSTILE}, no" in page.locator("#view-model dl").inner_text()
    assert "ready" in page.locator("#workers tbody").inner_text()
    assert "ready on http://127.0.0.1" in page.locator("#history").inner_text()
    shown = page.locator("#settings tbody")
    assert "environment variable DRUM_CONSOLE" in shown.inner_text()
    assert "DRUM_TRACE_STEPS" not in shown.inner_text()
    page.get_by_label("Only those that are set").uncheck()
    assert "DRUM_TRACE_STEPS" in shown.inner_text()
    assert page.evaluate("window.hacked") is None


def test_rows(open_view: Visit, server: ServerProcess, tmp_path: Path) -> None:
    """Typed, pasted, answered with bars, saved, and sent again by the line for a shell."""
    page = open_view("try")
    page.get_by_label("Rows", exact=True).check()
    fill(page, amount="0.25", do="x")
    page.evaluate(PASTE, ["#rows tbody tr:last-child input", "amount\tdo\n0.25\tx\n1\ty"])
    assert page.locator("#rows tbody tr").count() == 2
    send(page)
    rows = page.locator("#result tbody tr")
    rows.first.wait_for()
    assert [row.split() for row in rows.all_inner_texts()] == [
        ["1", "no", "0.2500", "0.7500"],
        ["2", *HOSTILE.split(), "1.0000", "0.0000"],
    ]
    assert rows.nth(0).locator("meter").first.get_attribute("value") == "0.25"
    steps = page.locator("#times tbody tr td:first-child").all_inner_texts()
    assert [*steps[:2], *steps[-2:]] == ["queue", "parse", "rest of the call", "server and network"]
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download as CSV").click()
    saved.value.save_as(tmp_path / "saved.csv")
    found = list(csv.reader(io.StringIO((tmp_path / "saved.csv").read_text())))
    assert found == [[HOSTILE, "no"], ["0.25", "0.75"], ["1", "0"]]
    page.get_by_text("As code").click()
    command = page.get_by_role("region", name="curl").inner_text()
    again = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
    assert '"no":0.75' in again
    assert page.evaluate("window.hacked") is None


def test_ten_thousand_rows(open_view: Visit) -> None:
    """They are edited as text, and only a hundred of them are in the page at a time."""
    page = open_view("try")
    page.get_by_label("Rows", exact=True).check()
    text = "amount,do\n" + "".join(f"{number / 10_000},x\n" for number in range(10_000))
    page.evaluate(PASTE, ["#rows input", text])
    assert page.get_by_label("CSV text").is_checked()
    send(page)
    page.get_by_text("Rows 1 to 100 of 10000").wait_for()
    page.get_by_role("button", name="Next rows").click()
    page.get_by_text("Rows 101 to 200 of 10000").wait_for()
    assert page.locator("#result tbody tr td").nth(0).inner_text() == "101"
    assert page.evaluate("document.querySelectorAll('*').length") < 4000


def test_bad_rows(open_view: Visit, tmp_path: Path) -> None:
    page = open_view("try")
    page.get_by_label("Rows", exact=True).check()
    fill(page, do="fail")
    send(page)
    assert HOSTILE in alert(page)
    page.get_by_label("CSV text").check()
    page.get_by_label("CSV, with a header line").fill('amount,do\n1,2,3,4,"5\n')
    send(page)
    page.locator("#view-try [role=alert]", has_text="500: ERROR: ").wait_for()
    page.get_by_label("CSV, with a header line").fill("")
    send(page)
    page.locator("#view-try [role=alert]", has_text="422: ERROR: Samples should be provided").wait_for()
    page.get_by_label("File", exact=True).check()
    send(page)
    page.locator("#view-try [role=alert]", has_text="choose a file first").wait_for()
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    page.get_by_label("Drop a file here").set_input_files(tmp_path / "picture.png")
    send(page)
    page.locator("#view-try [role=alert]", has_text=re.compile("[45][0-9][0-9]: ")).wait_for()
    assert page.evaluate("window.hacked") is None


def test_an_upload_is_cancelled(open_view: Visit, tmp_path: Path) -> None:
    page = open_view("try")
    page.get_by_label("Rows", exact=True).check()
    page.get_by_label("File", exact=True).check()
    (tmp_path / "rows.csv").write_text("amount,do\n" + "1,x\n" * 500_000)
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 100_000}
    network.send("Network.emulateNetworkConditions", slow)
    page.get_by_label("Drop a file here").set_input_files(tmp_path / "rows.csv")
    send(page)
    page.locator("#view-try progress:visible").wait_for()
    page.get_by_role("button", name="Cancel").click()
    assert alert(page) == "Cancelled."
    network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    (tmp_path / "rows.csv").write_text("amount,do\n1,x\n")
    page.get_by_label("Drop a file here").set_input_files(tmp_path / "rows.csv")
    send(page)
    page.get_by_text("Rows 1 to 1 of 1").wait_for()


def test_chat(open_view: Visit) -> None:
    page = open_view("try")
    page.get_by_label("Chat", exact=True).check()
    page.get_by_label("Message").fill("hello")
    page.keyboard.press("Enter")
    page.get_by_text("first word").wait_for()
    assert page.locator(".message.assistant .said").inner_text() == f"Hello {HOSTILE}"
    page.get_by_text("As code").click()
    assert "client.chat.completions.create" in page.get_by_role("region", name="openai").inner_text()
    page.get_by_label("Message").fill("forever")
    send(page)
    page.locator(".message.assistant .said", has_text="on on on").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator(".message.assistant .said", has_text="[stopped]").wait_for()
    page.get_by_label("Message").fill("hello again")
    send(page)
    page.locator(".message.assistant .said").nth(2).filter(has_text=HOSTILE).wait_for()
    assert page.evaluate("window.hacked") is None


def test_live_and_faults(open_view: Visit, server: ServerProcess) -> None:
    """What goes on, a worker that dies, and the errors with their tracebacks."""
    page = open_view("try")
    page.get_by_label("Rows", exact=True).check()
    fill(page, do="fail")
    send(page)
    assert HOSTILE in alert(page)
    page.get_by_role("link", name="Live").click()
    row = page.locator("#requests tbody tr").first
    row.filter(has_text="POST /predict").filter(has_text="500").wait_for()
    page.get_by_role("link", name="Try").click()
    fill(page, do="die")
    send(page)
    page.locator("#view-try [role=alert]", has_text="terminated unexpectedly").wait_for()
    page.get_by_role("link", name="Live").click()
    page.get_by_role("img", name=re.compile("Replaced workers, by cause: now died [1-9]")).wait_for()
    page.get_by_role("img", name=re.compile("Memory by process: now server [0-9.]+ MB")).wait_for()
    page.get_by_role("img", name=re.compile("Latency: now p50")).wait_for()
    chart = page.locator("figure", has_text="Memory by process")
    chart.get_by_text("As a table").click()
    chart.locator("td", has_text="MB").first.wait_for()
    page.get_by_role("link", name=re.compile("Faults \\([0-9]+\\)")).click()
    page.locator(".faults li", has_text="500 /predict").filter(has_text=HOSTILE).first.wait_for()
    page.locator(".faults li", has_text=re.compile("died: exit code 3")).wait_for()
    page.locator(".faults li", has_text=HOSTILE).get_by_text("Traceback").first.click()
    page.locator("pre:visible", has_text="raise ValueError").wait_for()
    assert page.evaluate("window.hacked") is None
    page.get_by_role("link", name="Model").click()
    page.locator("#history tbody tr", has_text="a model worker is replaced: died").first.wait_for()
    page.locator("#workers tbody tr", has_text="ready").wait_for()


def test_the_page_works_while_the_model_is_busy(open_view: Visit, folder: Path) -> None:
    page = open_view("try")
    page.get_by_label("Rows", exact=True).check()
    fill(page, do="wait")
    send(page)
    page.get_by_role("link", name="Live").click()
    page.get_by_text("1 of 1 slots busy").wait_for()
    other = open_view("live")
    other.get_by_text("1 of 1 slots busy").wait_for()
    (folder / "go").touch()
    page.get_by_text("0 of 1 slots busy").wait_for()
    page.get_by_role("link", name="Try").click()
    page.locator("#result").wait_for()
    (folder / "go").unlink()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(open_view: Visit, scheme: str) -> None:
    page = open_view("try", color_scheme=scheme, bypass_csp=True)
    page.get_by_label("Rows", exact=True).check()
    fill(page, amount="0.25", do="x")
    send(page)
    page.locator("#result").wait_for()
    page.get_by_text("As code").click()
    found = {"try": serious_faults(page)}
    for name in ("Model", "Live", "Faults"):
        page.get_by_role("link", name=name).click()
        page.locator(f"#view-{name.lower()}").wait_for()
        if name == "Live":
            page.get_by_role("img", name=re.compile("Memory by process: now server")).wait_for()
        found[name] = serious_faults(page)
    assert not any(found.values()), found


def test_narrow_screens_do_not_scroll_sideways(open_view: Visit, server: ServerProcess) -> None:
    server.send(csv_request("amount,do\n1,fail\n"))
    page = open_view("model", viewport={"width": 320, "height": 640})
    for name in ("model", "try", "live", "faults"):
        page.evaluate("name => { location.hash = name }", name)
        page.locator(f"#view-{name}").wait_for()
        if name == "faults":
            page.locator(".faults li").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, name


def test_the_server_goes_away_and_asks_for_a_token_when_it_is_back(folder: Path, visit: Visit) -> None:
    """The page says so each time, and goes on where it was."""
    port = free_port()
    log = folder.parent / "away.log"
    with contextlib.ExitStack() as stack:
        stack.enter_context(console_server(folder, log, port=port))
        page = visit(f"http://127.0.0.1:{port}/console/#try")
        page.get_by_label("Rows", exact=True).check()
        fill(page, amount="0.5")
    page.get_by_text("The server does not answer.").wait_for()
    send(page)
    assert "it is away" in alert(page)
    with console_server(folder, log, port=port, env={"DRUM_API_TOKEN": "right-token"}):
        page.get_by_label("API token").fill("\u201cwrong\u201d")  # no bytes of a header
        page.keyboard.press("Enter")
        page.get_by_text("The server does not accept this token.").wait_for()
        page.get_by_label("API token").fill("right-token")
        page.get_by_role("button", name="Open the console").click()
        page.locator("#state", has_text="ready").wait_for()
        assert page.get_by_label("amount, row 1", exact=True).input_value() == "0.5"
        send(page)
        page.locator("#result").wait_for()
        page.get_by_text("As code").click()
        assert "right-token" not in page.content()
        assert "$DRUM_API_TOKEN" in page.get_by_role("region", name="curl").inner_text()
        page.get_by_role("link", name="Model").click()
        page.locator("#settings tr", has_text="DRUM_API_TOKEN").filter(has_text="*****").wait_for()
