"""The pages of the OpenAPI document, in a browser that reaches nothing but the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from browser.conftest import Visit
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.execution.queue_limits import Place
from drum_litestar.http.openapi.documentation_pages import documentation_pages
from drum_litestar.http.routes import ROUTES
from drum_litestar.middleware.stack import StackOptions, build_stack
from drum_litestar.predictors.protocol import InferenceInfo, TensorInfo
from drum_litestar.protocols.all_routes import PROTOCOL_ROUTES
from drum_litestar.route_table import RouteTable
from drum_litestar.settings.groups.edge import AccessSettings
from http_serving import Mirror, Serving, card, options, serving
from support.options import executor_options

TOKEN = "a-token-of-the-tests"
HOSTILE = "<img src=x onerror=alert(1)>"
MODEL = card(
    example=(("amount", "1.5"), (HOSTILE, "red")),
    inference=InferenceInfo("x", (TensorInfo("amount", "FP64", (-1,)), TensorInfo(HOSTILE, "BYTES", (-1,)))),
)


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    """Behind a token, under a prefix."""
    settings = options(
        enable_docs=True, with_token=True, url_prefix="/p", protocol_routes=(*PROTOCOL_ROUTES, *documentation_pages())
    )
    executor = InlineExecutor(lambda: Mirror(MODEL), executor_options())

    def wrap(app: Any) -> Any:
        return build_stack(
            app,
            StackOptions(drum_version="1", server_version="1", access=AccessSettings(api_token=TOKEN)),
            routes=RouteTable((*ROUTES, *settings.protocol_routes), "/p"),
            new_place=lambda: Place(executor.admit),
        )

    with serving(executor, settings, wrap=wrap) as running:
        yield running


def test_swagger_asks_for_the_token_and_sends_a_row(server: Serving, visit: Visit) -> None:
    page = visit(f"{server.url}/p/docs")
    page.get_by_label("API token").fill("\u201cwrong\u201d")  # no bytes of a header
    page.get_by_role("button", name="Open").click()
    page.get_by_text("does not know this token").wait_for()
    page.get_by_label("API token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    page.get_by_role("button", name="post /predict", exact=True).click()
    page.get_by_role("button", name="Try it out").click()
    assert f"amount,{HOSTILE}\n1.5,red\n" in page.locator("textarea").first.input_value()
    with page.expect_response("**/p/predict") as sent:
        page.get_by_role("button", name="Execute").click()
    assert sent.value.status == 200
    assert sent.value.request.headers["authorization"] == f"Bearer {TOKEN}"
    assert sent.value.json()["x"]["data"] == f"amount,{HOSTILE}\n1.5,red\n"


def test_redoc_shows_the_document(server: Serving, visit: Visit) -> None:
    page = visit(f"{server.url}/p/docs/redoc/")
    page.get_by_label("API token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    page.get_by_role("heading", name="Predict rows", exact=False).first.wait_for()
    page.get_by_placeholder("Search...").fill("capabilities")
    page.locator("[data-role='search:results']").get_by_text("What the model can be asked").first.wait_for()
