"""What a browser needs to show a result: python -m benchmarks.drawing [--rounds N] [--chromium PATH].

CPU time of the page's main thread in headless Chromium without a GPU, at 1320 x 900 and 2 device pixels per CSS pixel:
decoding both pictures and computing the differences (once a result), and drawing the six pictures anew, as every step
of zoom, cursor or class does. The result is generated; sizes are those of the pairs.
"""

import argparse
import shutil
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.viewer.conftest import ARGUMENTS, Quiet
from tests.viewer.payloads import FACTS, colours, payload

ROOT = Path(__file__).parents[1]
CASES = ((32, 8), (128, 4), (224, 7), (224, 28))  # pixels along a side, cells along a side of its maps
WINDOW: dict[str, Any] = {"viewport": {"width": 1320, "height": 900}, "device_scale_factor": 2}
FRAME = "const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));"
SHOWN = FRAME + "await table.show(result, facts); await frame();"
# Arrows move the cursor back and forth, plus and minus the zoom: each draws all six pictures in the next frame.
DRAWN = (
    FRAME
    + """const view = document.querySelector(".jxv-table canvas");
    view.focus();
    for (const key of keys) {
        view.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        await frame();
    }"""
)
KEYS = ("ArrowRight", "+", "ArrowLeft", "-") * 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    arguments = parser.parse_args()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(ROOT))) as server, sync_playwright() as p:
        Thread(target=server.serve_forever, daemon=True).start()
        browser = p.chromium.launch(executable_path=arguments.chromium, headless=True, args=ARGUMENTS)
        page = browser.new_page(**WINDOW)
        page.goto(f"http://127.0.0.1:{server.server_port}/tests/viewer/page.html")
        page.wait_for_function("window.ready")
        page.evaluate("colours => fresh({ colours })", colours())
        clock = Clock(page)
        print(f"median of {arguments.rounds} rounds, CPU ms     show a result   draw six pictures")
        for size, cells in CASES:
            shown, drawn = measure(page, clock, size, cells, arguments.rounds)
            print(f"{size:4} px, maps of {cells:2} x {cells:<2} cells {shown:22.1f} {drawn:19.1f}")
        browser.close()
        server.shutdown()


class Clock:
    """CPU time of the page's main thread: scripts, layout and painting, but not waiting."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def _now(self) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    def milliseconds(self, script: str) -> float:
        started = self._now()
        self._page.evaluate(f"async () => {{ {script} }}")
        return 1000 * (self._now() - started)


def measure(page: Page, clock: Clock, size: int, cells: int, rounds: int) -> tuple[float, float]:
    """Median milliseconds to show a result and to draw the six pictures, after one round that does not count."""
    facts = {"result": payload(size=size, rows=cells, columns=cells), "facts": FACTS, "keys": KEYS}
    page.evaluate("facts => void Object.assign(window, facts)", facts)
    turns = [(clock.milliseconds(SHOWN), clock.milliseconds(DRAWN) / len(KEYS)) for _ in range(rounds + 1)][1:]
    return median(shown for shown, _ in turns), median(drawn for _, drawn in turns)


if __name__ == "__main__":
    main()
