"""Pictures of every screen, made from the running app: python docs/screenshot.py http://127.0.0.1:7860 [CHROMIUM].

Writes docs/screens/*.webp and the README's assets/screenshot.png.
"""

import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

SCREENS = ("compare", "file", "tables", "evidence", "about")
WINDOWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1320, "height": 900}},
    "dark": {"viewport": {"width": 1320, "height": 900}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 360, "height": 740},
        "is_mobile": True,
        "has_touch": True,
        "device_scale_factor": 2,
    },
    "projector": {"viewport": {"width": 1920, "height": 1080}},
}


def main(address: str, chromium: str) -> None:
    (ROOT / "docs" / "screens").mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for name, window in WINDOWS.items():
            for screen in SCREENS:
                with opened(browser, f"{address}/#screen={screen}", **window) as page:
                    if screen != "compare":
                        page.locator(f"#jx-{screen} h2").first.wait_for()
                    save_webp(page, f"{screen}-{name}")
        with opened(browser, f"{address}/#view.row=looks&view.mode=slide", **WINDOWS["projector"]) as page:
            save_webp(page, "large-projector")
        with opened(browser, address, viewport={"width": 1240, "height": 860}) as page:
            picture(page).quantize(200).save(ROOT / "assets" / "screenshot.png", optimize=True)
        browser.close()


@contextmanager
def opened(browser: Browser, address: str, **window: Any) -> Iterator[Page]:
    """The page with its first result."""
    context = browser.new_context(**window)
    page = context.new_page()
    page.goto(address, wait_until="domcontentloaded")
    page.locator("body[data-number]").wait_for(state="attached")
    page.wait_for_timeout(600)  # fonts and pictures of the trays
    yield page
    context.close()


def picture(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def save_webp(page: Page, name: str) -> None:
    picture(page).save(ROOT / "docs" / "screens" / f"{name}.webp", quality=80, method=6)


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), sys.argv[2] if len(sys.argv) > 2 else shutil.which("chromium") or "chromium")
