"""The real app in a real Chromium: what a visitor does with mouse, keyboard, clipboard and telephone."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    Route,
    expect,
    sync_playwright,
)

from jpegdl.server.uploads import NOT_A_PICTURE
from tests.conftest import EXAMPLES
from tests.running import SECONDS, App, shared_app
from tests.tiny import smooth_picture
from tests.visitors import Visitor, fn_index

pytestmark = pytest.mark.browser

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
ARGUMENTS += ["--process-per-site"]  # the pages of a context share what is compiled of Gradio's scripts
ARGUMENTS += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # no request leaves this machine
DESKTOP = (1280, 900)
TOUCH: dict[str, Any] = {"is_mobile": True, "has_touch": True}
PHONE: dict[str, Any] = {"size": (360, 740), **TOUCH}

SCREENS = ["compare", "file", "tables", "evidence", "about"]
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")

# Of each picture of the table whether it is drawn: what is not has one colour.
DRAWN = """() => [...document.querySelectorAll(".jxv-table canvas")].map((canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const pixels = new Uint32Array(copy.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    return pixels.some((pixel) => pixel !== pixels[0]);
})"""

# As on a Space that lends its GPU, where the networks do not run before a visitor asks.
WITHOUT_A_RESULT = """Object.defineProperty(window, "gradio_config", {
    configurable: true,
    set(config) {
        config.components.find(({ props }) => props.elem_id === "page").props.props.first = null;
        Object.defineProperty(window, "gradio_config", { value: config, writable: true });
    },
});"""

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


@pytest.fixture(scope="module")
def context(app, browser) -> Callable[[dict[str, Any]], BrowserContext]:
    """One context for all tests with the same settings: a page opens in half the time where another one is open."""
    contexts: dict[str, BrowserContext] = {}

    def context(settings: dict[str, Any]) -> BrowserContext:
        key = repr(sorted(settings.items()))
        if key not in contexts:
            contexts[key] = browser.new_context(**settings)
            contexts[key].set_default_timeout(1000 * SECONDS)
            contexts[key].new_page().goto(app.url + "/robots.txt")  # stays open
        return contexts[key]

    return context


@pytest.fixture
def open_page(app, context) -> Iterator[OpenPage]:
    """Opens the app in a new window; a request to another machine or a complaint in the console fails the test."""
    used: list[BrowserContext] = []
    foreign: list[str] = []
    complaints: list[str] = []
    expected: list[str] = []

    def requested(request: Request) -> None:
        url = urlsplit(request.url)
        if url.hostname != "127.0.0.1" and url.scheme not in ("data", "blob"):
            foreign.append(request.url)

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(text in message.text for text in expected):
            complaints.append(f"{message.type}: {message.text}")

    def page_error(error: Error) -> None:
        complaints.append(str(error))

    def open_page(
        address: str = "", *, size=DESKTOP, colours="light", complains_of: str | None = None, before="", **settings
    ) -> Page:
        """`before`: a script that runs first; then the server's answers never come, and this does not wait for one."""
        expected.extend([complains_of] if complains_of else [])
        own = context(settings)
        if own not in used:
            used.append(own)
            own.on("request", requested)  # to route them all through this process costs a third of a second a page
        page = own.new_page()
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=colours)
        if before:
            page.add_init_script(before)
            page.route("**/gradio_api/**/glance", lambda route: None)
        page.on("console", console)
        page.on("pageerror", page_error)
        page.goto(app.url + address, wait_until="domcontentloaded")  # not "networkidle": Gradio's stream never ends
        if not before:
            wait_for_result(page)
        return page

    yield open_page
    for own in used:
        own.remove_listener("request", requested)
        for page in own.pages[1:]:
            page.close()
    assert foreign == []
    assert complaints == []


def wait_for_result(page: Page) -> None:
    """Until what is shown belongs to the state; looked at in every frame: a locator's waits grow to half a second."""
    page.wait_for_function(
        """[".jx-strip:not(.jx-waits)", ".jx-table:not(.jxv-empty, .jxv-old)"].every(
            (part) => document.querySelector(part))"""
    )


def choose_file(page: Page, file) -> None:
    page.locator(".jx-actions input[type=file]").first.set_input_files(file)


def shown(page: Page) -> dict[str, Any]:
    """Everything that the page says of its state and result."""
    chosen = page.locator("#jx-compare .jx-menu select").evaluate_all("menus => menus.map((menu) => menu.value)")
    texts = [page.locator(part).inner_text() for part in (".jx-verdict", ".jx-caption", ".jxv-table")]
    tile = page.locator(".jx-tile[aria-checked=true]").evaluate_all("tiles => tiles.map((tile) => tile.title)")
    return {"menus": chosen, "texts": texts, "tile": tile}


def facts(page: Page) -> list[dict[str, Any]]:
    """What the page was told of all pairs."""
    component = "window.gradio_config.components.find(({ props }) => props.elem_id === 'page')"
    found: list[dict[str, Any]] = page.evaluate(f"{component}.props.props.facts.pairs")
    return found


def go(page: Page, **state: Any) -> None:
    """Follow a link within the page."""
    address = "&".join(f"{name}={value}" for name, value in state.items())
    page.evaluate("address => { location.hash = address; }", address)
    wait_for_result(page)


def drop(page: Page, name: str, content: bytes, kind: str, way: str = "drop") -> None:
    """Drop or paste a file somewhere on the page."""
    page.evaluate(
        """([name, data, kind, way]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type: kind }));
            const settings = { bubbles: true, cancelable: true };
            const event = way === "drop"
                ? new DragEvent("drop", { ...settings, dataTransfer: transfer })
                : new ClipboardEvent("paste", { ...settings, clipboardData: transfer });
            document.body.dispatchEvent(event);
        }""",
        [name, base64.b64encode(content).decode(), kind, way],
    )


def menu(page: Page, label: str):
    return page.locator("#jx-compare .jx-menu", has_text=label).locator("select")


# Compare


def test_every_example_of_every_pair_has_its_nine_cells(open_page):
    page = open_page()
    for pair in facts(page):
        for example in [*pair["picked"], *pair["examples"]]:
            go(page, pair=pair["name"], picture=example["key"])
            expect(page.locator(".jx-caption")).to_contain_text(example["caption"])
            wait_for_result(page)
            drawn = page.evaluate(DRAWN)
            assert len(drawn) == 6, (pair["name"], example["key"])
            assert all(drawn[:3]), (pair["name"], example["key"], drawn)
            assert page.locator(".jxv-bars").count() == 3
            name = pair["title"]
            expect(page.locator(".jx-v-title")).to_have_text(name)


def test_the_first_view_is_a_result_that_was_sent_with_the_page(open_page):
    asked: list[str] = []
    page = open_page()
    page.on("request", lambda request: asked.append(request.url))
    page.reload(wait_until="domcontentloaded")
    wait_for_result(page)
    assert all(page.evaluate(DRAWN))
    assert [url for url in asked if "queue/join" in url or "/run/" in url] == []


def test_a_link_brings_the_state_back_in_another_browser_and_so_do_reload_and_back(open_page):
    page = open_page()
    other = facts(page)[1]["name"]
    menu(page, "Pair of networks").select_option(other)
    wait_for_result(page)
    before = shown(page)
    menu(page, "True label").select_option(index=3)
    menu(page, "Stage").select_option(index=0)
    wait_for_result(page)
    page.locator(".jxv-row-given").get_by_text("8 × 8 grid").click()
    last = shown(page)
    assert last != before
    address = page.url.replace(page.url.split("#")[0], "/")
    assert shown(open_page(address, locale="de-DE")) == last  # a browser with nothing of the first one's
    page.reload(wait_until="domcontentloaded")
    wait_for_result(page)
    assert shown(page) == last
    page.go_back()
    page.go_back()
    wait_for_result(page)
    assert shown(page)["menus"] == before["menus"]


def test_choosing_the_true_class_asks_the_server_nothing(open_page):
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    for index in (2, 3):
        menu(page, "True label").select_option(index=index)
        name = menu(page, "True label").locator("option").nth(index).inner_text()
        expect(page.locator(".jx-v-label")).to_contain_text(name)
        expect(page.locator(".jxv-row-says")).to_contain_text(re.compile("wrong|right"))
    assert asked == []


def test_choices_in_quick_succession_end_in_one_state_with_its_own_result(open_page):
    page = open_page()
    pairs = facts(page)
    page.evaluate("document.querySelectorAll('.jx-tile')[2].click()")
    choose_file(page, EXAMPLES / "cat.jpg")
    menu(page, "Pair of networks").select_option(pairs[1]["name"])
    menu(page, "Stage").select_option(index=0)
    menu(page, "True label").select_option(index=4)
    page.locator(".jx-tile").nth(3).click()
    menu(page, "Pair of networks").select_option(pairs[0]["name"])
    menu(page, "Stage").select_option(index=1)
    page.locator(".jx-tile").nth(7).click()
    menu(page, "True label").select_option(index=2)
    wait_for_result(page)
    page.wait_for_timeout(700)  # for whatever comes late
    wait_for_result(page)
    assert shown(page) == shown(open_page(page.url.replace(page.url.split("#")[0], "/")))


def test_a_second_tab_is_independent(open_page):
    page = open_page()
    before = shown(page)
    other = page.context.new_page()
    other.goto(page.url.split("#")[0], wait_until="domcontentloaded")
    wait_for_result(other)
    other.locator(".jx-tile").nth(4).click()
    wait_for_result(other)
    assert shown(other) != before
    assert shown(page) == before


# Pictures of one's own


def test_an_upload_is_compared_without_another_click_and_keeps_no_label_of_the_example(open_page):
    page = open_page()
    choose_file(page, EXAMPLES / "cat.jpg")
    expect(page.locator(".jx-caption")).to_have_text("cat.jpg")
    wait_for_result(page)
    expect(page.locator(".jx-v-label")).to_contain_text("not known")
    assert page.locator(".jx-tile[aria-checked=true]").count() == 0
    assert "cat" not in page.url


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_may_be_dropped_or_pasted_anywhere(open_page, way):
    page = open_page()
    drop(page, "own.jpg", (EXAMPLES / "nuthatch.jpg").read_bytes(), "image/jpeg", way)
    expect(page.locator(".jx-caption")).to_have_text("own.jpg")
    wait_for_result(page)


def test_the_dialog_offers_what_is_accepted_and_a_phone_its_camera(open_page):
    page = open_page(**PHONE)
    inputs = page.locator(".jx-actions input[type=file]")
    offered = inputs.first.get_attribute("accept")
    assert offered is not None
    assert {"image/jpeg", "image/png", "image/webp"} <= set(offered.split(","))
    assert inputs.nth(1).get_attribute("capture") == "environment"
    expect(page.locator(".jx-camera")).to_be_visible()


def test_a_file_that_is_no_picture_is_refused_by_name_and_the_old_result_stays(open_page, tmp_path):
    page = open_page()
    before, address = shown(page), page.url
    (tmp_path / "holiday.jpg").write_text("This is not a picture.\n" * 40, encoding="utf-8")
    choose_file(page, tmp_path / "holiday.jpg")
    expect(page.locator(".jx-field .jx-message")).to_contain_text("holiday.jpg was not accepted.")
    expect(page.locator(".jx-field .jx-message")).to_contain_text(NOT_A_PICTURE)
    wait_for_result(page)
    assert shown(page) == before
    assert page.url == address
    (tmp_path / "holiday.heic").write_bytes(b"x" * 99)
    choose_file(page, tmp_path / "holiday.heic")
    expect(page.locator(".jx-field .jx-message")).to_contain_text("holiday.heic was not accepted.")
    assert shown(page) == before


def test_a_reload_loses_an_upload_and_says_so(open_page):
    page = open_page()
    choose_file(page, EXAMPLES / "cat.jpg")
    expect(page.locator(".jx-caption")).to_have_text("cat.jpg")
    wait_for_result(page)
    page.reload(wait_until="domcontentloaded")
    wait_for_result(page)
    expect(page.locator(".jx-field .jx-message")).to_contain_text("choose it again")


def test_a_busy_and_a_lost_server_are_told_in_words_and_one_tap_tries_again(open_page, tmp_path):
    smooth_picture(90, 120).save(tmp_path / "waves.png")  # nobody has asked for it before
    page = open_page(complains_of="Failed to load resource")
    busy = json.dumps({"detail": "Many people ask now."})
    page.route("**/queue/join**", lambda route: route.fulfill(status=429, body=busy, content_type="application/json"))
    choose_file(page, tmp_path / "waves.png")
    expect(page.locator(".jx-field .jx-message")).to_contain_text("Many people ask now.")
    page.unroute("**/queue/join**")
    page.route("**/queue/join**", lambda route: route.abort())
    page.locator(".jx-field .jx-message button").click()
    expect(page.locator(".jx-field .jx-message")).to_contain_text("No answer from the server")
    expect(page.locator(".jx-strip")).to_contain_text("Old result")
    page.unroute("**/queue/join**")
    page.locator(".jx-field .jx-message button").click()
    wait_for_result(page)
    expect(page.locator(".jx-field .jx-message")).to_be_hidden()
    expect(page.locator(".jx-caption")).to_have_text("waves.png")


def test_a_place_in_the_queue_is_told_and_can_be_given_up(app, open_page):
    page = open_page()
    pair = facts(page)[0]  # of 224 pixels: eighteen runs take seconds
    keys, stages = [example["key"] for example in pair["examples"]], pair["stages"][:3]
    asked = {"pair": pair["name"], "true": None, "quantizer": "all levels", "file": None}
    with httpx.Client(base_url=app.url, timeout=SECONDS) as client, ThreadPoolExecutor(18) as pool:
        others = [Visitor(client, patience=SECONDS) for _ in range(18)]
        for number, visitor in enumerate(others):
            state = asked | {"number": number, "picture": keys[number % 6], "stage": stages[number // 6]}
            assert visitor.join(fn_index(client, "ask"), [state]).status_code == 200
        answers = [pool.submit(completed, visitor) for visitor in others]  # runs begin when somebody reads
        address = f"pair={pair['name']}&picture={keys[6]}&stage={stages[0]}&quantizer=all levels"
        page.evaluate("address => { location.hash = address; }", address)
        expect(page.locator(".jx-field .jx-message")).to_contain_text(re.compile("before yours|is next"))
        page.get_by_role("button", name="Stop waiting").click()
        expect(page.locator(".jx-field .jx-message")).to_contain_text("The picture is kept")
        expect(page.locator(".jx-strip")).to_contain_text("Old result")
        assert [answer.result() for answer in answers] == list(range(18))
    page.get_by_role("button", name="Try again").click()
    wait_for_result(page)
    expect(page.locator(".jx-field .jx-message")).to_be_hidden()


def completed(visitor: Visitor) -> int:
    """The number of the result that a visitor waits for."""
    message = next(message for message in visitor.messages() if message["msg"] == "process_completed")
    number: int = message["output"]["data"][0]["number"]
    return number


def test_a_question_given_up_while_its_answer_comes_asks_for_nothing_more(open_page):
    page = open_page()
    asked, outcome = page.evaluate(
        """async () => {
            const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
            const { connect } = await import(loaded.find((name) => name.endsWith("page/gradio.js")));
            const [fetched, asked, giver] = [window.fetch, [], new AbortController()];
            window.fetch = async (address) => {
                asked.push(String(address));
                const json = async () => {
                    giver.abort(new Error("given up"));
                    throw new Error("cut off");
                };
                return { ok: true, status: 200, json };
            };
            const place = { signal: giver.signal, onPlace() {} };
            const question = connect(new URL("/", location.href)).ask("ask", [{}], place);
            const outcome = await question.then(() => "answered", ({ message }) => message);
            window.fetch = fetched;
            return [asked, outcome];
        }"""
    )
    assert outcome == "given up"
    assert [address.rsplit("/", 1)[-1] for address in asked] == ["join"]


def test_a_label_chosen_while_a_picture_is_sent_is_that_pictures_and_nothing_is_lost(open_page):
    page = open_page()
    caption = page.locator(".jx-caption").inner_text()
    held: list[Route] = []
    page.route("**/gradio_api/upload**", lambda route: held.append(route))
    choose_file(page, EXAMPLES / "cat.jpg")
    expect(page.locator(".jx-field .jx-message")).to_contain_text("Sending cat.jpg")
    address = page.url
    menu(page, "True label").select_option(index=3)
    menu(page, "Stage").select_option(index=0)
    stage = menu(page, "Stage").input_value()
    expect(page.locator(".jx-v-title")).to_have_text("Sending cat.jpg …")
    assert (page.url, page.locator(".jx-caption").inner_text()) == (address, caption)  # of what is still shown
    held[0].continue_()
    expect(page.locator(".jx-caption")).to_have_text("cat.jpg")
    wait_for_result(page)
    assert "picture=upload" in page.url
    assert "true=2" in page.url
    assert menu(page, "Stage").input_value() == stage
    name = menu(page, "True label").locator("option").nth(3).inner_text()
    expect(page.locator(".jx-v-label")).to_contain_text(name)


def test_another_label_while_one_waits_keeps_the_place_in_the_queue(open_page, tmp_path):
    smooth_picture(96, 90).save(tmp_path / "ripples.png")
    page = open_page()
    joined: list[Route] = []
    page.route("**/queue/join**", lambda route: joined.append(route))
    choose_file(page, tmp_path / "ripples.png")
    expect(page.locator(".jx-v-title")).to_have_text("Computing ripples.png …")
    page.wait_for_timeout(300)
    menu(page, "True label").select_option(index=5)
    page.wait_for_timeout(300)
    expect(page.locator(".jx-v-title")).to_have_text("Computing ripples.png …")
    assert len(joined) == 1
    joined[0].continue_()
    wait_for_result(page)
    name = menu(page, "True label").locator("option").nth(5).inner_text()
    expect(page.locator(".jx-v-label")).to_contain_text(name)


def test_without_a_result_a_refusal_and_a_lost_server_say_neither_that_it_is_old_nor_that_it_is_coming(open_page):
    page = open_page(before=WITHOUT_A_RESULT, complains_of="Failed to load resource")
    expect(page.locator(".jxv-row-looks .jxv-words")).to_contain_text("Computing")
    page.unroute("**/gradio_api/**/glance")
    page.route("**/gradio_api/**/glance", lambda route: route.abort())
    menu(page, "Stage").select_option(index=0)
    message = page.locator(".jx-field .jx-message")
    expect(message).to_contain_text("No answer from the server. The picture is kept.")
    spent = json.dumps({"data": [{"refused": "Your share of GPU time is spent."}]})
    answered = [page.locator(".jx-strip"), page.locator(".jxv-row-looks .jxv-words")]
    for _ in range(2):
        for place in answered:
            expect(place).to_contain_text("No result yet")
            expect(place).not_to_contain_text("Computing")
        assert page.locator(".jx-busy, .jxv-table[aria-busy=true]").count() == 0
        page.unroute("**/gradio_api/**/glance")
        page.route("**/gradio_api/**/glance", lambda route: route.fulfill(body=spent, content_type="application/json"))
        menu(page, "Stage").select_option(index=1)
        expect(message).to_contain_text("Your share of GPU time is spent.")
    assert "old" not in page.locator("#jx-compare").inner_text().lower()


def test_a_picture_of_no_class_says_so_whatever_label_is_chosen_and_one_of_a_class_never(open_page):
    page = open_page()
    outside = next(one for one in facts(page)[0]["examples"] if one["true"] is None)
    inside = facts(page)[0]["picked"][0]
    for example, said in ((outside, True), (inside, False)):
        go(page, picture=example["key"], true="none")
        for label in (0, 4):
            menu(page, "True label").select_option(index=label)
            text = page.locator(".jx-caption").inner_text()
            assert text.startswith(example["caption"])
            assert ("none of this pair’s classes" in text) is said


def test_an_address_of_a_pair_that_is_not_here_says_so_and_gives_no_picture_a_label(open_page):
    page = open_page()
    example = next(one for one in facts(page)[0]["examples"] if one["true"] is None)
    message = page.locator(".jx-field .jx-message")
    for wrong in ({"pair": "renamed", "true": 5}, {"true": ""}, {"true": 99999}):
        go(page, picture=example["key"], **wrong)
        expect(page.locator(".jx-caption")).to_contain_text(example["caption"])
        expect(page.locator(".jx-v-label")).to_contain_text("not known")
        if "pair" in wrong:
            expect(message).to_contain_text("The pair of networks that this address names is not here")
        else:
            expect(message).to_be_hidden()


def test_the_address_holds_an_explained_class_only_beside_its_own_picture_and_back_forgets_it(open_page):
    page = open_page()
    first = page.url
    other = page.locator(".jxv-row-says [role=radio][aria-checked=false]").first
    other.click()
    explained = page.url
    assert "view.class=" in explained
    page.route("**/gradio_api/**/glance", lambda route: None)  # the next answer never comes
    page.locator(".jx-tile[aria-checked=false]").first.click()
    page.wait_for_function("document.querySelector('.jx-waits')")
    assert "view.class" not in page.url
    page.go_back()
    wait_for_result(page)
    assert page.url == explained
    page.evaluate("address => { location.href = address; }", first)
    wait_for_result(page)
    assert page.url == first
    checked = page.locator(".jxv-row-says [role=radio][aria-checked=true]").first
    target = page.evaluate(
        "window.gradio_config.components.find(({ props }) => props.elem_id === 'page').props.props.first"
    )
    assert checked.inner_text().startswith(facts(page)[0]["classes"][target["target"]])


def test_what_a_visitor_chooses_while_a_link_is_computed_stays(open_page):
    page = open_page()
    held: list[Route] = []
    page.route("**/gradio_api/**/glance", lambda route: held.append(route))
    key = facts(page)[0]["examples"][0]["key"]
    page.evaluate("address => { location.hash = address; }", f"picture={key}&view.drawing=overlay")
    page.wait_for_function("document.querySelector('.jx-waits')")
    page.get_by_label("Maps drawn as").first.select_option("smooth")
    held[0].continue_()
    wait_for_result(page)
    assert page.get_by_label("Maps drawn as").first.input_value() == "smooth"
    assert "view.drawing=smooth" in page.url


# Everybody's page


def test_menus_and_trays_work_on_a_page_that_a_machine_translates(open_page):
    page = open_page()
    page.evaluate(
        """() => {
            const walker = document.createTreeWalker(document.querySelector(".jx"), NodeFilter.SHOW_TEXT);
            const nodes = [];
            while (walker.nextNode()) nodes.push(walker.currentNode);
            for (const node of nodes) {
                if (node.parentElement.tagName === "OPTION") node.data = `X ${node.data}`;
                else if (node.data.trim()) {
                    const font = document.createElement("font");
                    node.replaceWith(font);
                    font.append(node);
                }
            }
        }"""
    )
    labels = page.locator(".jx-settings select").first
    value = labels.locator("option").nth(5).get_attribute("value")
    labels.focus()
    labels.select_option(value)
    page.locator(".jx-tile").nth(8).locator("img").click()
    wait_for_result(page)
    menu(page, "Pair of networks").select_option(index=2)
    wait_for_result(page)
    assert shown(page)["menus"][0] == facts(page)[2]["name"]
    assert f"pair={facts(page)[2]['name']}" in page.url


def test_the_keyboard_alone_chooses_a_picture_a_class_and_a_pair(open_page):
    page = open_page()
    before = page.url

    def tab_to(selector: str) -> None:
        for _ in range(70):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab does not reach {selector}")

    tab_to("#jx-compare .jx-menu select")
    page.keyboard.press("ArrowDown")
    wait_for_result(page)
    tab_to(".jx-actions input")
    tab_to(".jx-tile")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    wait_for_result(page)
    tab_to(".jx-settings select")
    number = page.evaluate("document.body.dataset.number")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("number => document.body.dataset.number !== number", arg=number)  # the words follow
    assert page.url != before
    assert shown(page) == shown(open_page(page.url.replace(page.url.split("#")[0], "/")))


def test_touch_alone_chooses_a_picture_a_column_and_a_large_view(open_page):
    page = open_page(**PHONE)
    page.locator(".jx-tile").nth(2).tap()
    wait_for_result(page)
    caption = page.locator(".jx-tile").nth(2).get_attribute("title")
    expect(page.locator(".jx-caption")).to_have_text(caption or "")
    page.locator(".jxv-switch [role=radio]").nth(2).tap()
    assert "view.column=difference" in page.url
    page.locator(".jx-settings summary").tap()
    menu(page, "Stage").select_option(index=0)
    wait_for_result(page)
    page.get_by_role("button", name="Test set").tap()
    expect(page.locator("#jx-test-set")).to_contain_text("neither right")


def test_the_link_is_in_a_field_where_the_browser_copies_nothing_and_a_code_holds_it(open_page):
    page = open_page()
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator(".jx-link-panel")).to_contain_text("copy it with Ctrl+C")
    address = page.locator(".jx-link-panel input").input_value()
    assert address == page.url
    expect(page.locator(".jx-qr svg path")).to_have_attribute("d", re.compile("^M"))


SIZES = {"360x740": (360, 740), "740x360": (740, 360), "660x450": (660, 450), "1080": (1080, 800), "1920": (1920, 1080)}


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_window_and_the_verdict_takes_at_most_an_eighth_of_it(open_page, size):
    width, height = SIZES[size]
    page = open_page(size=(width, height), **TOUCH if width < 600 else {})
    measures = page.evaluate(
        """() => {
            scrollTo(0, document.documentElement.scrollHeight);
            const strip = document.querySelector(".jx-strip").getBoundingClientRect();
            const at = document.elementFromPoint(innerWidth / 2, strip.height / 2);
            return {
                wide: document.documentElement.scrollWidth,
                strip: strip.height,
                top: strip.top,
                seen: at.closest(".jx-strip") !== null,
                screens: document.querySelector(".jx").getBoundingClientRect().height / innerHeight,
                small: [...document.querySelectorAll(".jx *")].filter((node) =>
                    node.checkVisibility() && node.innerText && parseFloat(getComputedStyle(node).fontSize) < 16
                ).map((node) => node.className),
                narrow: [...document.querySelectorAll(".jx :is(button, select, summary, label.jx-button)")].filter(
                    (node) => node.checkVisibility() && !node.matches(".jx-link, .jxv-term") &&
                        Math.min(node.offsetHeight, Math.max(node.offsetWidth, 44)) < 44
                ).map((node) => `${node.className} ${node.offsetHeight}`),
            };
        }"""
    )
    assert measures["wide"] == width
    assert measures["top"] == 0
    assert measures["seen"]
    assert measures["strip"] <= height / 8
    if width < 600:
        assert measures["screens"] <= 3
        assert measures["narrow"] == []
    if width == 1920:
        assert measures["small"] == []


def test_on_a_phone_every_screen_fits_captions_are_as_wide_as_their_tables_and_cells_have_names(open_page):
    page = open_page("#pair=cub50-efficientnet_lite0-mean_absolute", **PHONE)
    seen = []
    for screen in SCREENS[1:]:
        page.get_by_role("navigation", name="Screens").get_by_role("button").nth(SCREENS.index(screen)).click()
        page.wait_for_function("selector => document.querySelector(selector)", arg=f"#jx-{screen} h2")
        wide, captions, names = page.evaluate(
            """(selector) => {
                const all = (part) => [...document.querySelectorAll(`${selector} ${part}`)];
                const shown = (part) => all(part).filter((node) => node.checkVisibility());
                const width = (node) => node.getBoundingClientRect().width;
                return [
                    document.documentElement.scrollWidth,
                    shown("caption").map((node) => width(node) / width(node.closest("table"))),
                    shown(".jx-list td").map((node) => getComputedStyle(node, "::before").content),
                ];
            }""",
            f"#jx-{screen}",
        )
        assert wide == PHONE["size"][0], screen
        assert all(share > 0.9 for share in captions), screen
        assert all(re.fullmatch(r'"\S.*"', name) for name in names), screen
        seen.append((len(captions) > 0, len(names) > 0))
    assert seen == [(False, True), (True, False), (True, True), (True, True)]


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("flowers102-authors-resnet18", r"[+−]\d+\.\d: the index limit alone"),
        ("flowers102-authors-efficientnet_lite0-mean_absolute", r"[+−]\d+\.\d ± \d+\.\d: 3 seeds"),
    ],
)
@pytest.mark.parametrize("width", [1000, 1280, 1920])
def test_the_number_of_a_control_or_of_all_seeds_is_shown_whole_beside_the_methods(open_page, width, pair, said):
    page = open_page(f"#pair={pair}", size=(width, 900))
    text, number, end = page.evaluate(
        """() => {
            const link = document.querySelector(".jx-v-points .jx-link:not(.jx-on-phone)");
            const range = document.createRange();
            range.setStart(link.firstChild, 0);
            range.setEnd(link.firstChild, link.textContent.indexOf(":"));
            const cell = link.closest(".jx-v-points").getBoundingClientRect();
            return [link.textContent, range.getBoundingClientRect().right, cell.right];
        }"""
    )
    assert re.match(said, text)
    assert number <= end


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_screen(open_page, colours):
    page = open_page(colours=colours)
    page.evaluate(AXE)
    for screen in SCREENS:
        page.get_by_role("navigation", name="Screens").get_by_role("button").nth(SCREENS.index(screen)).click()
        if screen != "compare":
            page.wait_for_function("selector => document.querySelector(selector)", arg=f"#jx-{screen} h2")
        assert serious_findings(page) == [], screen


def test_axe_finds_nothing_serious_before_a_result_and_beside_an_old_one_in_light_and_dark(open_page):
    nothing = open_page("#pair=cifar100-resnet32", before=WITHOUT_A_RESULT)
    nothing.locator(".jx-table.jxv-empty").wait_for(state="attached")
    old = open_page(before="// the page as it is")
    wait_for_result(old)
    old.evaluate("location.hash = 'pair=cifar100-resnet32'")
    old.locator(".jx-table.jxv-old").wait_for(state="attached")
    for page in (nothing, old):
        page.evaluate(AXE)
        assert findings_in_light_and_dark(page) == ([], [])


def findings_in_light_and_dark(page: Page) -> tuple[list[Any], list[Any]]:
    """What axe finds with each of the two. Gradio marks the body when it is loaded in the dark."""
    found, backgrounds = [], []
    for dark in (False, True):
        page.evaluate(
            """dark => {
                document.body.classList.toggle("dark", dark);
                const passing = document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime < 1e4);
                return Promise.all(passing.map(({ finished }) => finished)).then(() => null);
            }""",
            dark,
        )
        backgrounds.append(page.evaluate("getComputedStyle(document.querySelector('.jx')).backgroundColor"))
        found.append(serious_findings(page))
    assert backgrounds[0] != backgrounds[1]
    return found[0], found[1]


def serious_findings(page: Page) -> list[tuple[str, list[Any]]]:
    """What axe calls serious or critical, and where it is."""
    found = page.evaluate("axe.run('.jx').then(({ violations }) => violations)")
    return [
        (rule["id"], [node["target"] for node in rule["nodes"]][:4])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


def test_each_screen_says_what_it_is_of_and_files_can_be_taken_away(open_page):
    page = open_page("#screen=file")
    page.locator("#jx-file .jx-files img").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="The .jpg with the learned tables").click()
    assert download.value.suggested_filename == "learned-tables.jpg"
    page.get_by_role("button", name="Tables").click()
    grids = page.locator("#jx-tables table.jx-grid")
    grids.first.wait_for()
    assert grids.count() == 10
    assert all(grid.locator("tbody td").count() == 64 for grid in grids.all())
    page.get_by_role("button", name="Evidence").click()
    page.locator("[data-outcome=only_jpegdl]").click()
    page.locator(".jx-outcome a").first.click()
    wait_for_result(page)
    expect(page.locator(".jx-v-agreement")).to_contain_text("Only JPEG-DL is right")


@pytest.mark.parametrize("screen", SCREENS[1:])
def test_a_pair_chosen_on_another_screen_is_what_that_screen_is_of(open_page, screen):
    page = open_page(f"#screen={screen}")
    place = page.locator(f"#jx-{screen}[aria-busy=false]")
    place.wait_for()
    before = place.inner_html()
    other = facts(page)[2]
    page.locator(".jx-of select").select_option(other["name"])
    page.wait_for_function(
        "([id, html]) => document.getElementById(id).innerHTML !== html", arg=[f"jx-{screen}", before]
    )
    place.wait_for()
    assert f"pair={other['name']}" in page.url
    there = place.inner_html()
    page.locator(".jx-of select").select_option(facts(page)[0]["name"])
    page.wait_for_function(
        "([id, html]) => document.getElementById(id).innerHTML !== html", arg=[f"jx-{screen}", there]
    )
    assert page.locator(f"#jx-{screen}").inner_html().replace("\n", "")[:200] == before.replace("\n", "")[:200]


def test_a_picture_dropped_on_another_screen_is_what_it_shows_and_a_refusal_is_read_there(open_page):
    page = open_page("#screen=file")
    page.locator("#jx-file .jx-files img").first.wait_for()
    before = page.locator("#jx-file").inner_html()
    drop(page, "own.jpg", (EXAMPLES / "nuthatch.jpg").read_bytes(), "image/jpeg")
    page.wait_for_function("html => document.getElementById('jx-file').innerHTML !== html", arg=before)
    page.locator("#jx-file[aria-busy=false] .jx-files img").first.wait_for()
    assert "picture=upload" in page.url
    own = page.locator("#jx-file").inner_html()
    drop(page, "own.heic", b"x" * 99, "image/heic")
    expect(page.locator(".jx-of .jx-message")).to_contain_text("own.heic was not accepted.")
    assert page.locator("#jx-file").inner_html() == own


def test_a_screen_that_could_not_be_loaded_is_asked_for_again(open_page):
    page = open_page("#screen=tables", complains_of="Failed to load resource")
    page.locator("#jx-tables table.jx-grid").first.wait_for()
    names = [pair["name"] for pair in facts(page)]
    page.route("**/gradio_api/run/screen", lambda route: route.abort())
    page.locator(".jx-of select").select_option(names[1])
    expect(page.locator("#jx-tables")).to_contain_text("This screen could not be loaded.")
    page.unroute("**/gradio_api/run/screen")
    for name in names[:2]:
        page.locator(".jx-of select").select_option(name)
        page.locator("#jx-tables[aria-busy=false] table.jx-grid").first.wait_for()
        expect(page.locator("#jx-tables")).not_to_contain_text("could not be loaded")
