"""The viewer alone in a real Chromium, from its own files on a port of this machine."""

import base64
import io
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

from tests.viewer.payloads import FACTS, Payload, colours

ROOT = Path(__file__).parents[2]
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
DESKTOP = (1320, 900)
PHONE: dict[str, Any] = {"size": (360, 740), "is_mobile": True, "has_touch": True}
SECONDS = 10
SHOW = "async ([result, facts]) => await table.show(result, facts)"
COLUMNS = ("baseline", "jpegdl", "difference")

OpenViewer = Callable[..., Page]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The page that holds nothing but the viewer."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(ROOT))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/tests/viewer/page.html"
        server.shutdown()


@pytest.fixture(scope="module")  # playwright keeps an event loop running, which other test files do not expect
def browser(chromium: str) -> Iterator[Browser]:
    expect.set_options(timeout=1000 * SECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def window(address: str, browser: Browser) -> Iterator[Callable[[dict[str, Any]], Page]]:
    """One window for all tests with the same settings; a complaint in the console fails the test that hears of it."""
    windows: dict[str, Page] = {}
    complaints: list[str] = []

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def window(settings: dict[str, Any]) -> Page:
        key = repr(sorted(settings.items()))
        if key not in windows:
            context = browser.new_context(**settings)
            context.set_default_timeout(1000 * SECONDS)
            page = windows[key] = context.new_page()
            page.on("console", console)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(address)
            page.wait_for_function("window.ready")
        return windows[key]

    yield window
    for page in windows.values():
        page.context.close()
    assert complaints == []


@pytest.fixture
def open_viewer(window: Callable[[dict[str, Any]], Page]) -> OpenViewer:
    """The viewer, new, in a window of this size with these settings, showing `result` unless that is None."""

    def open_viewer(
        result: Payload | None, *, style: str = "", size=DESKTOP, colours_of_system="light", moves=True, **settings: Any
    ) -> Page:
        page = window(settings)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=colours_of_system, reduced_motion="no-preference" if moves else "reduce")
        page.evaluate("([colours, style]) => fresh({ colours }, style)", [colours(), style])
        if result is not None:
            assert page.evaluate(SHOW, [result, FACTS])
        drawn(page)
        return page

    return open_viewer


def drawn(page: Page) -> None:
    """Wait until what was asked for is painted: the viewer draws in the next frame."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def view(page: Page, row: str, column: str) -> Locator:
    return page.locator(f'.jxv-table .jxv-view[data-row="{row}"][data-column="{column}"]')


def pixels(canvas: Locator) -> NDArray[np.uint8]:
    """What a canvas holds, (height, width, 3)."""
    url = canvas.evaluate("canvas => canvas.toDataURL('image/png')")
    with Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as picture:
        return np.asarray(picture.convert("RGB"))


def options(page: Page) -> dict[str, Any]:
    return page.evaluate("table.options()")


def becomes(page: Page, **wanted: Any) -> None:
    """Wait until the options are these and painted: a tap is a click only when the browser has recognised it."""
    page.wait_for_function(
        "w => Object.entries(w).every(([name, value]) => table.options()[name] === value)", arg=wanted
    )
    drawn(page)


def set_options(page: Page, **changes: Any) -> None:
    page.evaluate("changes => table.set(changes)", changes)
    drawn(page)
