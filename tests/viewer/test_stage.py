"""A row, large: every way to compare, by keyboard alone and by touch alone."""

from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.viewer.conftest import PHONE, SHOW, OpenViewer, becomes, drawn, options, pixels, set_options, view
from tests.viewer.fingers import Fingers, middle
from tests.viewer.payloads import FACTS, payload

pytestmark = pytest.mark.browser

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
FINDINGS = """async () => {
    const { violations } = await axe.run("#viewer");
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`);
}"""
FOCUS = """() => {
    const focus = document.activeElement;
    return focus.getAttribute("aria-label") ?? focus.textContent;
}"""


def pane(page: Page) -> Any:
    return page.locator(".jxv-pane:visible canvas").first


def labels(page: Page) -> list[str]:
    return [label.split("\n")[0] for label in page.locator(".jxv-pane:visible .jxv-label").all_inner_texts()]


def state(page: Page) -> tuple[str, str, str]:
    drawn(page)
    found = options(page)
    return found["row"], found["mode"], found["front"]


def test_every_way_to_compare_works_by_keyboard_alone(open_viewer: OpenViewer):
    page = open_viewer(payload())
    view(page, "looks", "baseline").locator("canvas").focus()
    page.keyboard.press("Enter")
    stage = page.get_by_role("dialog", name="Where it looks")
    assert stage.is_visible()
    assert state(page) == ("looks", "slide", "baseline")
    slider = page.get_by_role("slider")
    assert slider.get_attribute("aria-valuenow") == "50"
    expect(slider).to_be_focused()

    middle_cut = pixels(pane(page))
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuenow") == "52"
    drawn(page)
    assert (pixels(pane(page)) != middle_cut).any()
    page.keyboard.press("Home")
    drawn(page)
    jpegdl = pixels(pane(page))
    page.keyboard.press("End")
    drawn(page)
    baseline = pixels(pane(page))

    page.keyboard.press("1")
    assert state(page) == ("looks", "blink", "baseline")
    assert (pixels(pane(page)) == baseline).all()
    page.keyboard.press("2")
    assert state(page) == ("looks", "blink", "jpegdl")
    assert (pixels(pane(page)) == jpegdl).all()
    page.keyboard.press("b")
    assert state(page) == ("looks", "blink", "baseline")
    assert labels(page)[0].startswith("Baseline")
    page.keyboard.press("3")
    assert state(page)[1] == "difference"
    assert "+" in page.locator(".jxv-stage .jxv-ruler:visible").inner_text()
    page.keyboard.press("a")
    assert state(page)[1] == "side"
    assert [label.split(" ")[0] for label in labels(page)] == ["Baseline", "JPEG-DL", "Difference"]
    page.keyboard.press("s")
    assert state(page)[1] == "slide"

    slider.focus()
    page.keyboard.press("ArrowUp")
    assert state(page)[0] == "given"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert state(page)[0] == "says"
    page.keyboard.press("PageUp")
    assert state(page)[0] == "looks"

    before = pixels(pane(page))
    for key in ("n", "p", "g", "+"):
        page.keyboard.press(key)
    drawn(page)
    assert "×1.5" in page.get_by_role("button", name="Whole picture").inner_text()
    assert (options(page)["numbers"], options(page)["picture"], options(page)["grid"]) == (False, False, True)
    for key in ("n", "p", "g", "0"):
        page.keyboard.press(key)
    drawn(page)
    assert (pixels(pane(page)) == before).all()

    page.keyboard.press("Escape")
    assert stage.count() == 0
    assert options(page)["row"] is None
    assert "Where it looks" in page.evaluate(FOCUS)  # back in the picture where it began


def test_in_the_stage_tab_goes_round_and_arrows_in_a_picture_read_its_cells(open_viewer):
    page = open_viewer(payload())
    page.get_by_role("button", name="Enlarge: Where it looks").focus()
    page.keyboard.press("Enter")
    seen = []
    for _ in range(20):
        page.keyboard.press("Tab")
        inside = "document.activeElement.closest('dialog') !== null"
        assert page.evaluate(inside)
        seen.append(page.evaluate(FOCUS))
        if seen.count(seen[0]) == 2:
            break
    assert len(seen) - 1 == len(set(seen))  # round, each stop once
    assert {"Close", "Zoom in", "Maps drawn as", "Ruler"} <= set(seen)
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(FOCUS) == seen[-2]

    pane(page).focus()
    page.keyboard.press("ArrowRight")
    drawn(page)
    readings = page.locator(".jxv-stage .jxv-readings").inner_text()
    assert readings.count("%") == 2
    assert "points" in readings
    assert "cell row 3, column 3" in page.locator(".jxv-stage .jxv-live").inner_text()


def test_every_way_to_compare_works_by_touch_alone(open_viewer):
    page = open_viewer(payload(), **PHONE)
    fingers = Fingers(page)
    page.get_by_role("button", name="Enlarge: What it is given").tap()
    becomes(page, row="given", mode="slide")
    slider = page.get_by_role("slider")
    assert slider.get_attribute("aria-orientation") == "vertical"  # the line lies flat, it moves up and down
    before = pixels(pane(page))
    x, y = middle(slider)
    fingers.drag((x, y), (x, y - 100))
    drawn(page)
    after = pixels(pane(page))
    changed = (before != after).any(axis=(1, 2)).nonzero()[0]
    assert changed.min() == pytest.approx(len(after) / 2 - 100, abs=3)
    assert changed.max() == pytest.approx(len(after) / 2, abs=3)

    page.get_by_role("radio", name="Blink").tap()
    becomes(page, mode="blink", front="baseline")
    baseline = pixels(pane(page))
    pane(page).tap()
    becomes(page, mode="blink", front="jpegdl")
    assert (pixels(pane(page)) != baseline).any()
    page.get_by_role("radio", name="Side by side").tap()
    becomes(page, mode="side")
    assert [label.split(" ")[0] for label in labels(page)] == ["Baseline", "JPEG-DL"]
    page.get_by_role("radiogroup", name="How to compare").get_by_role("radio", name="Difference").tap()
    becomes(page, mode="difference")
    pane(page).tap()
    expect(page.locator(".jxv-stage .jxv-readings")).to_contain_text("levels")

    x, y = middle(pane(page))
    fingers.put((x - 30, y), (x + 30, y))
    for step in range(1, 7):
        fingers.move((x - 30 - 10 * step, y), (x + 30 + 10 * step, y))
    fingers.lift()
    drawn(page)
    expect(page.get_by_role("button", name="Whole picture")).to_have_text("×3.0")
    page.get_by_role("button", name="8 × 8 grid").tap()
    becomes(page, grid=True)
    page.get_by_role("button", name="Close").tap()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_mouse_slides_and_zooms_without_any_key(open_viewer):
    page = open_viewer(payload())
    set_options(page, row="given")
    slider = page.get_by_role("slider")
    x, y = middle(slider)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 150, y, steps=3)
    page.mouse.up()
    assert int(slider.get_attribute("aria-valuenow") or 0) > 60
    page.mouse.move(x - 200, y)
    page.mouse.wheel(0, -100)
    drawn(page)
    assert page.get_by_role("button", name="Whole picture").inner_text() == "×1.2"


def test_answers_are_large_and_explain_a_class(open_viewer):
    page = open_viewer(payload())
    page.get_by_role("button", name="Enlarge: What it says").click()
    stage = page.get_by_role("dialog", name="What it says")
    assert stage.get_by_role("radiogroup").count() == 3
    stage.get_by_role("radiogroup", name="Baseline").get_by_role("radio", name="bluebell").click()
    assert options(page)["class"] == 3
    page.keyboard.press("3")  # how to compare pictures is no question here
    assert options(page)["mode"] == "slide"


def test_the_stage_says_what_the_page_below_it_says(open_viewer):
    page = open_viewer(payload())
    set_options(page, row="looks")
    verdict = page.locator(".jxv-verdict")
    assert verdict.inner_text().replace("\u00a0", " ").split("\n") == [
        "Baseline daffodil 70.0 % ✓",
        "JPEG-DL bluebell 45.0 % ✗",
        "true label daffodil",
        "Test set, 340 pictures",
        "83.8 % right",
        "90.3 % right",
        "difference +6.5 points",
    ]
    page.evaluate("table.old('Computing Iris…')")
    assert verdict.inner_text() == "Computing Iris…"
    assert all("old: " in label for label in labels(page))
    result = payload(number=2)
    result["state"] = result["state"] | {"true": None}
    assert page.evaluate(SHOW, [result, FACTS])
    assert "true label not known" in verdict.inner_text()
    assert "✓" not in verdict.inner_text()
    page.evaluate("table.clear()")
    assert page.get_by_role("dialog").count() == 0


def test_full_screen_fills_the_screen_with_the_stage(open_viewer):
    page = open_viewer(payload())
    set_options(page, row="looks")
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("document.fullscreenElement !== null")
    assert page.evaluate("document.fullscreenElement.className") == "jxv-stage-inner"
    page.keyboard.press("b")
    assert state(page)[1] == "blink"
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("document.fullscreenElement === null")
    assert page.get_by_role("dialog").is_visible()


def test_numbers_stand_in_cells_where_they_can_be_read(open_viewer):
    page = open_viewer(payload(rows=4, columns=4))
    set_options(page, row="looks", mode="difference", picture=False)
    with_numbers = pixels(pane(page)).astype(int)
    set_options(page, numbers=False)
    without = pixels(pane(page)).astype(int)
    changed = (with_numbers != without).any(axis=2)
    cell = len(changed) // 4
    inside = [changed[r * cell : (r + 1) * cell, c * cell : (c + 1) * cell] for r in range(4) for c in range(4)]
    assert all(part.any() for part in inside)
    assert np.mean(changed) < 0.05
    fine = payload(rows=28, columns=28, number=2)
    assert page.evaluate(SHOW, [fine, FACTS])
    set_options(page, numbers=False)
    without = pixels(pane(page))
    set_options(page, numbers=True)
    assert (pixels(pane(page)) == without).all()  # nobody could read 784 of them


def test_no_number_is_made_of_halves_of_two(open_viewer):
    page = open_viewer(payload(rows=5, columns=5))  # the divider goes through the middle of a column of cells
    set_options(page, row="looks", picture=False)
    page.get_by_role("slider").evaluate("slider => (slider.style.visibility = 'hidden')")
    numbers = pixels(pane(page))
    set_options(page, numbers=False)
    changed = (numbers != pixels(pane(page))).any(axis=2)
    cell = len(changed) // 5
    assert not changed[:, 2 * cell + 2 : 3 * cell - 2].any()
    assert all(changed[:, column * cell : (column + 1) * cell].any() for column in (0, 1, 3, 4))


def test_the_brightness_difference_has_a_ruler_in_levels_where_it_is_large(open_viewer):
    page = open_viewer(payload(change=25))
    set_options(page, row="given", mode="difference")
    ruler = page.locator(".jxv-levels")
    assert "−32 levels, darker" in ruler.inner_text()
    assert "brighter, +32 levels" in ruler.inner_text()
    pane(page).press("ArrowRight")
    drawn(page)
    level = int(ruler.locator(".jxv-middle").inner_text().replace("−", "-"))
    stand = ruler.locator(".jxv-stand").evaluate("stand => parseFloat(stand.style.left)")
    assert stand == pytest.approx(50 + 50 * level / 32, abs=1)
    set_options(page, difference="colour")
    assert ruler.count() == 1
    assert not ruler.is_visible()


@pytest.mark.parametrize("settings", [{}, {"colours_of_system": "dark", **PHONE}])
def test_axe_finds_nothing_in_table_and_stage(open_viewer, settings):
    page = open_viewer(payload(), moves=False, **settings)  # colours on their way count, too
    page.evaluate(AXE)
    for row, mode in ((None, "slide"), ("given", "slide"), ("looks", "side"), ("looks", "blink"), ("says", "slide")):
        set_options(page, row=row, mode=mode)
        assert page.evaluate(FINDINGS) == []
    set_options(page, row=None)
    page.evaluate("table.old('Computing…')")
    assert page.evaluate(FINDINGS) == []
    page.evaluate("table.clear()")
    assert page.evaluate(FINDINGS) == []
