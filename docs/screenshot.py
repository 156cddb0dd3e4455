"""Makes assets/screenshot.png from the running app: python docs/screenshot.py http://127.0.0.1:7860 [CHROMIUM]."""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main(address: str, chromium: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1320, "height": 1180})
        page.goto(address, wait_until="domcontentloaded")
        page.set_input_files("#picture input[type=file]", ROOT / "assets" / "examples" / "dahlia.jpg")
        page.wait_for_selector("#bars table")
        page.wait_for_function("[...document.querySelectorAll('#results img')].slice(0, 5).every(i => i.naturalWidth)")
        page.screenshot(path=ROOT / "assets" / "screenshot.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else shutil.which("chromium") or "chromium")
