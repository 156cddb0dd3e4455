"""The real app in a real Chromium: what a visitor does with mouse, keyboard, clipboard and telephone."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    FileChooser,
    Locator,
    Page,
    Route,
    expect,
    sync_playwright,
)
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.card import PairCard, card_from_json
from jpegdl.server.uploads import MISSING, NOT_A_PICTURE
from jpegdl.ui.menus import EXAMPLES as MENU
from jpegdl.ui.menus import UNKNOWN
from tests.conftest import EXAMPLES
from tests.test_page import CHECKPOINTS, PAIR, PICTURES, SECONDS, App, shared_app

pytestmark = pytest.mark.browser

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
KNOWN_WARNING = "Method not implemented."  # Gradio's own, twice, harmless
TABS = ["Compare", "Tables", "About"]
PHOTO = EXAMPLES / "daffodil.jpg"
LOADED = "element => element.complete && element.naturalWidth > 0"
FOCUSED = "document.activeElement.closest('[id]')?.id"  # the elem_id of the component that has the focus
NOT_COVERED = """image => {
    const { x, y, width, height } = image.getBoundingClientRect();
    return document.elementFromPoint(x + width / 2, y + height / 2) === image;
}"""

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def app(pytestconfig, tmp_path_factory) -> App:
    return shared_app(pytestconfig, tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="session")
def card() -> PairCard:
    return card_from_json((CHECKPOINTS / PAIR / "pair.json").read_text())


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
        if message.type in ("error", "warning") and message.text != KNOWN_WARNING:
            complaints.append(f"{message.type}: {message.text}")

    def page_error(error: Error) -> None:
        complaints.append(str(error))

    def open_page(**settings) -> Page:
        context = browser.new_context(**{**DESKTOP, **settings})
        context.set_default_timeout(1000 * SECONDS)
        context.route("**/*", route)
        page = context.new_page()
        page.on("console", console)
        page.on("pageerror", page_error)
        page.goto(app.url, wait_until="domcontentloaded")  # not "networkidle": the server's stream never ends
        page.locator("#run").wait_for()
        page.locator("#examples img").first.wait_for()
        return page

    yield open_page
    for context in browser.contexts:
        context.close()
    assert foreign == []
    assert complaints == []


def choose_file(page: Page, file) -> None:
    page.set_input_files("#picture input[type=file]", file)


def wait_for_result(page: Page) -> None:
    page.locator("#bars table").wait_for()


def toast(page: Page) -> Locator:
    return page.get_by_test_id("toast-body")


def show(page: Page, tab: str) -> None:
    """Click the tab, which may be behind "More tabs" on a telephone."""
    button = page.get_by_role("tab", name=tab, exact=True)
    if not button.first.is_visible():
        page.locator(".overflow-menu > button").click()
    button.first.click()


def choose(page: Page, elem_id: str, text: str) -> None:
    page.locator(f"#{elem_id} input").click()
    page.get_by_role("option", name=text, exact=True).click()


# Compare


def test_an_upload_is_analysed_without_a_click_and_every_picture_of_the_result_is_shown(open_page):
    page = open_page()
    expect(page.locator("#begin")).to_be_visible()
    expect(page.locator("#results")).to_be_hidden()
    choose_file(page, PHOTO)
    wait_for_result(page)
    expect(page.locator("#strip")).to_contain_text("This picture")
    expect(page.locator("#begin")).to_be_hidden()
    images = page.locator("#results img")
    expect(images).to_have_count(len(PICTURES))
    for image in images.all():
        image.scroll_into_view_if_needed()
        page.wait_for_function(LOADED, arg=image.element_handle())
        assert image.get_attribute("alt")


def test_the_strip_stays_at_the_top_of_the_window_when_the_page_scrolls(open_page):
    page = open_page()
    choose_file(page, PHOTO)
    wait_for_result(page)
    page.locator("#jpeg").scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_function("window.scrollY > 300")
    box = page.locator("#strip").bounding_box()
    assert box is not None
    assert abs(box["y"]) <= 1
    on_top = "document.elementFromPoint(innerWidth / 2, 20).closest('#strip') !== null"
    assert page.evaluate(on_top)


def test_a_click_on_an_example_analyses_it_and_sets_its_true_class(open_page):
    page = open_page()
    inside = next(number for number, entry in enumerate(MENU) if entry["class"])
    outside = next(number for number, entry in enumerate(MENU) if not entry["class"])
    thumbnails = page.locator("#examples button.thumbnail-item")
    thumbnails.nth(inside).click()
    expect(page.locator("#true-class input")).to_have_value(MENU[inside]["class"])
    expect(page.locator("#strip")).to_contain_text(f"True label: {MENU[inside]['class']}.")
    expect(page.locator("#picture")).to_contain_text(MENU[inside]["caption"])
    thumbnails.nth(outside).click()
    expect(page.locator("#true-class input")).to_have_value(UNKNOWN)
    expect(page.locator("#strip")).not_to_contain_text("True label")
    expect(page.locator("#strip")).to_contain_text("This picture")


def test_of_examples_clicked_in_quick_succession_the_last_is_shown_with_its_own_result(open_page):
    page = open_page()
    numbers = [number for number, entry in enumerate(MENU) if entry["class"]][:2]
    for number in (*numbers, *numbers):
        page.locator("#examples button.thumbnail-item").nth(number).click()
    last = MENU[numbers[-1]]
    expect(page.locator("#picture")).to_contain_text(last["caption"])
    expect(page.locator("#true-class input")).to_have_value(last["class"])
    expect(page.locator("#strip")).to_contain_text(f"True label: {last['class']}.")


def test_an_upload_after_an_example_does_not_keep_the_examples_true_class_and_caption(open_page):
    page = open_page()
    page.locator("#examples button.thumbnail-item").first.click()
    expect(page.locator("#strip")).to_contain_text("True label")
    page.locator("#picture").get_by_role("button", name=re.compile("Remove|Clear")).first.click()
    choose_file(page, EXAMPLES / "cat.jpg")
    expect(page.locator("#strip")).not_to_contain_text("True label")
    expect(page.locator("#true-class input")).to_have_value(UNKNOWN)
    expect(page.locator("#picture")).to_contain_text("Your picture")


def test_a_picture_from_the_clipboard_is_analysed(open_page, tmp_path):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
            const canvas = new OffscreenCanvas(64, 48);
            canvas.getContext("2d").fillRect(8, 8, 30, 30);
            const blob = await canvas.convertToBlob({ type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }"""
    )
    page.get_by_role("button", name="Paste from clipboard").click()
    wait_for_result(page)
    expect(page.locator("#strip")).to_contain_text("This picture")


def test_another_class_or_stage_is_computed_at_once_and_only_once(open_page, card):
    page = open_page()
    choose_file(page, PHOTO)
    wait_for_result(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "queue/join" in request.url else None)
    stages, explained = list(architecture(card.architecture).stages), page.locator("#explained")
    expect(explained).to_contain_text(stages[-1])
    for name in card.class_names[1:3]:
        choose(page, "target", name)
        expect(explained).to_contain_text(f"Class explained for both: {name}, at {stages[-1]}")
    page.locator("#stage").get_by_text(stages[0], exact=True).click()
    expect(explained).to_contain_text(f"Class explained for both: {card.class_names[2]}, at {stages[0]}")
    assert len(asked) == 3
    choose(page, "true-class", card.class_names[4])
    expect(page.locator("#strip")).to_contain_text(f"True label: {card.class_names[4]}.")


def test_text_named_jpg_gets_a_sentence_and_the_old_result_stays(open_page, tmp_path):
    page = open_page()
    choose_file(page, PHOTO)
    wait_for_result(page)
    before = [page.locator(part).inner_text() for part in ("#strip section", "#explained p", "#bars table")]
    page.locator("#picture").get_by_role("button", name=re.compile("Remove|Clear")).first.click()
    (tmp_path / "holiday.jpg").write_text("This is not a picture.\n" * 40)
    choose_file(page, tmp_path / "holiday.jpg")
    expect(toast(page)).to_contain_text(NOT_A_PICTURE)
    assert [page.locator(part).inner_text() for part in ("#strip section", "#explained p", "#bars table")] == before
    for image in page.locator("#results img").all()[:3]:
        image.scroll_into_view_if_needed()
        page.wait_for_function(NOT_COVERED, arg=image.element_handle())


def test_compare_without_a_picture_says_that_there_is_none(open_page):
    page = open_page()
    page.locator("#run").click()
    expect(toast(page)).to_contain_text(MISSING)


def test_the_jpg_with_the_learned_tables_can_be_downloaded(open_page, card):
    page = open_page()
    choose_file(page, PHOTO)
    wait_for_result(page)
    with page.expect_download() as download:
        page.locator("#jpeg").click()
    assert download.value.suggested_filename == "learned-tables.jpg"
    with Image.open(download.value.path()) as picture:
        assert (picture.format, picture.size) == ("JPEG", (card.input_size, card.input_size))


# Tables, keyboard, telephone, network


def test_every_table_of_the_tables_screen_has_64_numbers(open_page):
    page = open_page()
    show(page, "Tables")
    grids = page.locator("#tables table.jx-grid")
    grids.first.wait_for()
    assert grids.count() == 10  # luma and chroma: learned, initial, standard, ratio, hardness
    for grid in grids.all():
        numbers = grid.locator("tbody td").all_inner_texts()
        assert len(numbers) == 64
        assert all(re.fullmatch(r"[\d.]+(e-?\d+|[kMG])?", number) for number in numbers)


def test_the_keyboard_alone_chooses_a_picture_and_a_class_and_compares(open_page, card):
    page = open_page()
    stops = {"picture", "run", "examples", "true-class", "target", "stage", "pair"}
    reached: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(FOCUSED))
    assert stops <= reached

    tab_to(page, "run")
    page.keyboard.press("Enter")
    expect(toast(page)).to_contain_text(MISSING)
    chooser_by_keyboard(page).set_files(PHOTO)
    wait_for_result(page)
    tab_to(page, "target")
    page.keyboard.press("Control+A")
    page.keyboard.type(card.class_names[1])
    page.keyboard.press("Enter")
    expect(page.locator("#explained")).to_contain_text(f"for both: {card.class_names[1]},")
    tab_to(page, "run")
    with page.expect_request(re.compile("queue/join")) as asked:
        page.keyboard.press("Enter")
    assert card.class_names[1] in (asked.value.post_data or "")


def chooser_by_keyboard(page: Page) -> FileChooser:
    """Enter on the upload, again if nothing opened: in some runs nothing does for the ten seconds of a toast."""
    for _ in range(8):
        tab_to(page, "run")
        tab_to(page, "picture")
        try:
            with page.expect_file_chooser(timeout=4000) as chooser:
                page.keyboard.press("Enter")
            return chooser.value
        except PlaywrightTimeout:
            continue
    raise AssertionError("Enter on the upload opens no file chooser")


def tab_to(page: Page, elem_id: str) -> None:
    """Press Tab until the component has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED) == elem_id:
            return
    raise AssertionError(f"Tab does not reach #{elem_id}")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_telephone_of_360_pixels_needs_no_sideways_scrolling_on_any_screen(open_page, colours):
    page = open_page(**PHONE, color_scheme=colours)
    is_dark = page.evaluate("document.body.classList.contains('dark')")
    assert is_dark == (colours == "dark")
    widths = {"Compare, empty": width(page)}
    choose_file(page, PHOTO)
    wait_for_result(page)
    for tab in TABS:
        show(page, tab)
        page.locator(f"#{tab.lower() if tab != 'Compare' else 'results'}").first.wait_for()
        widths[tab] = width(page)
    assert set(widths.values()) == {360}, widths


def width(page: Page) -> int:
    """Pixels that the page is wide; wider than the window means sideways scrolling."""
    return page.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth)")


def test_a_visit_of_every_screen_asks_no_other_machine_for_anything(open_page):
    asked: list[str] = []
    page = open_page()
    page.on("request", lambda request: asked.append(request.url))
    page.reload(wait_until="domcontentloaded")
    page.locator("#examples button.thumbnail-item").first.click()
    wait_for_result(page)
    for tab in [*TABS, TABS[0]]:
        show(page, tab)
    page.locator("#overlays button").first.click()
    page.get_by_role("button", name="All numbers (JSON)").click()
    page.locator("#numbers").get_by_text("test_set").wait_for()
    hosts = {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
