"""The viewer alone, in a real Chromium: what it draws, against Python's colours and numbers, and how it is used."""

from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from jpegdl.analysis.figures import colour_at
from tests.payloads import FACTS, Payload, payload

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[1]
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
DESKTOP = {"viewport": {"width": 1320, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
SECONDS = 10
COLUMNS = ("baseline", "jpegdl", "difference")
SHOW = "async ([result, facts]) => await table.show(result, facts)"

OpenViewer = Callable[..., Page]


def colours() -> dict[str, list[str]]:
    """The tables that the page sends once."""
    sizes = {"heat": 256, "difference": 511, "jet": 256}
    names = {"heat": "heat", "difference": "difference", "jet": "heat"}
    return {
        name: ["#{:02x}{:02x}{:02x}".format(*colour_at(names[name], i / (size - 1))) for i in range(size)]
        for name, size in sizes.items()
    }


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The repository's files on a port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(ROOT))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/tests/viewer/page.html"
        server.shutdown()


@pytest.fixture(scope="module")  # playwright keeps an event loop running, which other test files do not expect
def browser(chromium) -> Iterator[Browser]:
    expect.set_options(timeout=1000 * SECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_viewer(address, browser) -> Iterator[OpenViewer]:
    """The viewer in a new window, showing `result` unless that is None; a complaint in the console fails the test."""
    complaints: list[str] = []

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def open_viewer(result: Payload | None, **settings: Any) -> Page:
        context = browser.new_context(**{**DESKTOP, **settings})
        context.set_default_timeout(1000 * SECONDS)
        page = context.new_page()
        page.on("console", console)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.wait_for_function("window.ready")
        page.evaluate("colours => void mount({ colours })", colours())
        if result is not None:
            assert page.evaluate(SHOW, [result, FACTS])
        drawn(page)
        return page

    yield open_viewer
    for context in browser.contexts:
        context.close()
    assert complaints == []


def drawn(page: Page) -> None:
    """Wait until what was asked for is painted: the viewer draws in the next frame."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def view(page: Page, row: str, column: str) -> Any:
    return page.locator(f'.jxv-table .jxv-view[data-row="{row}"][data-column="{column}"]')


def test_a_result_fills_the_nine_cells(open_viewer):
    page = open_viewer(payload())
    for row in ("given", "looks"):
        for column in COLUMNS:
            canvas = view(page, row, column).locator("canvas")
            different = "c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"
            assert canvas.evaluate(different) > 5
    for column in COLUMNS:
        bars = page.get_by_role("radiogroup", name={"jpegdl": "JPEG-DL"}.get(column, column.title()))
        assert bars.get_by_role("radio").count() == 6
