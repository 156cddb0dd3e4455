"""What a visitor waits for: python -m benchmarks.visit [--rounds N] [--chromium PATH].

The app as it is started, and headless Chromium at 1280 x 900 on the same machine. Start: CPU time of the server until
its first page. First visit: an empty browser, until the first result is drawn, and the bytes that came. A tap on an
example until its result is drawn, by the browser's clock: of a picture that nobody asked for yet, and of one that the
server has answered before, in another window. Medians; the machine's load is printed with them.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
WINDOW: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
SHOWN = ".jx-table:not(.jxv-empty, .jxv-old)"
TAP = """(tile, shown) => new Promise((done) => {
    const started = performance.now();
    const look = () => {
        const ready = document.querySelector(".jx-strip:not(.jx-waits)") && document.querySelector(shown);
        if (ready && tile.getAttribute("aria-checked") === "true") done(performance.now() - started);
        else requestAnimationFrame(look);
    };
    tile.click();
    requestAnimationFrame(() => requestAnimationFrame(look));
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, headless=True, args=ARGUMENTS)
        starts, visits, sizes, fresh, known = [], [], [], [], []
        for _ in range(arguments.rounds):
            server, address, cpu = start()
            try:
                starts.append(cpu)
                seconds, size, page = visit(browser, address)
                visits.append(seconds)
                sizes.append(size)
                tiles = page.locator(".jx-tile[aria-checked=false]").count()
                fresh += [tap(page, number) for number in range(min(4, tiles))]
                _, _, other = visit(browser, address)
                known += [tap(other, number) for number in range(min(4, tiles))]
                for context in browser.contexts:
                    context.close()
            finally:
                server.terminate()
                server.wait(30)
        browser.close()
    print(f"{arguments.rounds} rounds, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; medians")
    print(f"start to the first page          {median(starts):7.1f} CPU-s")
    print(f"first visit, cold, to a result   {median(visits):7.2f} s, {median(sizes) / 1e6:.2f} MB")
    print(f"tap to result, not yet asked     {median(fresh):7.0f} ms")
    print(f"tap to result, answered before   {median(known):7.0f} ms")


def start() -> tuple[subprocess.Popen[bytes], str, float]:
    """The app on a free port, its address, and the CPU seconds that it took until its first page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port)}
    server = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}/"
    while server.poll() is None:
        try:
            with urllib.request.urlopen(address) as answer:
                answer.read()
        except urllib.error.URLError:
            time.sleep(0.05)
        else:
            fields = Path(f"/proc/{server.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            return server, address, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    raise SystemExit("the app ended before its first page; run `python app.py` to see why")


def visit(browser: Browser, address: str) -> tuple[float, int, Page]:
    """Seconds until the first result is drawn in an empty browser, bytes that came by then, and the page."""
    page = browser.new_context(**WINDOW).new_page()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    started = time.perf_counter()
    page.goto(address, wait_until="domcontentloaded")
    page.locator(SHOWN).wait_for(state="attached")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return time.perf_counter() - started, sum(sizes), page


def tap(page: Page, number: int) -> float:
    """Milliseconds from a click on the n-th example that is not shown until its result is."""
    tile = page.locator(".jx-tile").nth(number + 1)
    taken: float = tile.evaluate(TAP, SHOWN)
    page.wait_for_timeout(300)
    return taken


if __name__ == "__main__":
    main()
