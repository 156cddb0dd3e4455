"""The real app in a real Chromium: what a visitor does with mouse, keyboard, clipboard and telephone."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Route, expect, sync_playwright

from jpegdl.server.uploads import NOT_A_PICTURE
from tests.conftest import EXAMPLES
from tests.running import SECONDS, App, shared_app

pytestmark = pytest.mark.browser

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def app(pytestconfig, tmp_path_factory) -> App:
    return shared_app(pytestconfig, tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="module")  # playwright keeps an event loop running, which other test files do not expect
def browser(chromium) -> Iterator[Browser]:
    expect.set_options(timeout=1000 * SECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(app, browser) -> Iterator[OpenPage]:
    """Opens the app in a new window; a request to another machine or a complaint in the console fails the test."""
    foreign: list[str] = []
    complaints: list[str] = []

    def route(route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.hostname == "127.0.0.1" or url.scheme in ("data", "blob"):
            route.continue_()
        else:
            foreign.append(route.request.url)
            route.abort()

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text}")

    def page_error(error: Error) -> None:
        complaints.append(str(error))

    def open_page(address: str = "", **settings) -> Page:
        context = browser.new_context(**{**DESKTOP, **settings})
        context.set_default_timeout(1000 * SECONDS)
        context.route("**/*", route)
        page = context.new_page()
        page.on("console", console)
        page.on("pageerror", page_error)
        page.goto(app.url + address, wait_until="domcontentloaded")  # not "networkidle": Gradio's stream never ends
        wait_for_result(page)
        return page

    yield open_page
    for context in browser.contexts:
        context.close()
    assert foreign == []
    assert complaints == []


def wait_for_result(page: Page) -> None:
    """Until what is shown belongs to the state."""
    page.locator(".jx-strip:not(.jx-waits)").wait_for(state="attached")
    page.locator(".jx-table:not(.jxv-empty, .jxv-old)").wait_for(state="attached")


def choose_file(page: Page, file) -> None:
    page.locator(".jx-actions input[type=file]").first.set_input_files(file)


def test_the_page_opens_with_the_nine_cells_of_a_result(open_page):
    page = open_page()
    assert page.locator(".jxv-table canvas").count() == 6
    assert page.locator(".jxv-bars").count() == 3
    expect(page.locator(".jx-v-title")).not_to_be_empty()


def test_a_file_that_is_no_picture_is_refused_by_name_and_the_old_result_stays(open_page, tmp_path):
    page = open_page()
    before = page.locator(".jxv-table").inner_text()
    address = page.url
    (tmp_path / "holiday.jpg").write_text("This is not a picture.\n" * 40, encoding="utf-8")
    choose_file(page, tmp_path / "holiday.jpg")
    expect(page.locator(".jx-message")).to_contain_text("holiday.jpg was not accepted.")
    expect(page.locator(".jx-message")).to_contain_text(NOT_A_PICTURE)
    wait_for_result(page)
    assert page.locator(".jxv-table").inner_text() == before
    assert page.url == address


def test_an_upload_is_compared_without_another_click_and_keeps_no_label_of_the_example(open_page):
    page = open_page()
    choose_file(page, EXAMPLES / "cat.jpg")
    expect(page.locator(".jx-caption")).to_have_text("cat.jpg")
    wait_for_result(page)
    expect(page.locator(".jx-v-label")).to_contain_text("not known")
    assert "cat" not in page.url
