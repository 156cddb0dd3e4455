"""The table as visitors use it: bars, cursor, zoom, fingers, widths, themes, and results that come and go."""

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.viewer.conftest import COLUMNS, PHONE, SHOW, OpenViewer, becomes, drawn, options, pixels, set_options, view
from tests.viewer.fingers import HELD, Fingers, middle
from tests.viewer.payloads import FACTS, payload

pytestmark = pytest.mark.browser

SIZES = [(320, 640), (360, 740), (740, 360), (820, 1100), (1079, 800), (1240, 800), (1320, 900), (1920, 1080)]
CAPTIONS = "() => [...document.querySelectorAll('.jxv-table .jxv-caption')].map(caption => caption.textContent)"


def canvas(page: Page, row: str, column: str) -> Locator:
    return view(page, row, column).locator("canvas")


def captions(page: Page) -> list[str]:
    drawn(page)
    return page.evaluate(CAPTIONS)


def heard(page: Page) -> list[dict[str, Any]]:
    return page.evaluate("heard")


def test_a_bar_explains_its_class_everywhere_and_says_so_to_the_page(open_viewer: OpenViewer):
    page = open_viewer(payload())
    before = pixels(canvas(page, "looks", "baseline"))
    page.get_by_role("radiogroup", name="JPEG-DL").get_by_role("radio", name="bluebell").click()
    assert all("bluebell" in text for text in captions(page)[3:5])
    assert page.locator(".jxv-row-looks .jxv-sentence").inner_text() == "The maps for bluebell agree to 73 %."
    assert page.locator('.jxv-table .jxv-bar[aria-checked="true"] .jxv-name').all_inner_texts() == ["bluebell"] * 3
    assert (before != pixels(canvas(page, "looks", "baseline"))).any()
    assert page.locator(".jxv > .jxv-live").inner_text() == "The maps for bluebell agree to 73 %."
    assert [event["class"] for event in heard(page)] == [3]
    assert options(page)["class"] == 3


def test_what_has_the_focus_keeps_it_when_another_result_comes(open_viewer):
    page = open_viewer(payload())
    page.get_by_role("radiogroup", name="JPEG-DL").locator('[tabindex="0"]').focus()
    assert page.evaluate(SHOW, [payload(number=2), FACTS])
    focus = "[document.activeElement.closest('.jxv-bars').dataset.column, document.activeElement.ariaChecked]"
    assert page.evaluate(focus) == ["jpegdl", "true"]
    page.get_by_role("button", name="soft reconstruction").click()
    page.evaluate("table.old('Computing…')")
    expect(page.locator(".jxv-popover:visible")).to_contain_text("blocks of 8 × 8")
    assert page.evaluate("document.activeElement.textContent") == "soft reconstruction"


def test_the_bars_of_a_column_are_one_stop_with_arrows_inside(open_viewer):
    page = open_viewer(payload())
    bars = page.get_by_role("radiogroup", name="Baseline")
    assert bars.locator('[tabindex="0"]').count() == 1
    bars.locator('[tabindex="0"]').press("ArrowDown")
    assert page.evaluate("document.activeElement.getAttribute('aria-checked')") == "true"
    assert options(page)["class"] == 3  # the second surest
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert options(page)["class"] == 5  # from the first to the last


def test_the_six_pictures_zoom_and_move_in_step(open_viewer):
    page = open_viewer(payload())
    canvas(page, "given", "jpegdl").hover()
    page.mouse.wheel(0, -400)
    assert not any("×1." in text.split("×4")[-1] for text in captions(page)[:2])  # a page must scroll
    page.keyboard.down("Control")
    page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    page.mouse.move(0, 0)
    drawn(page)
    hints = page.locator(".jxv-table .jxv-reading").all_inner_texts()
    assert hints == ["×1.3"] * 6 or hints == ["×1.2"] * 6  # 1.25, at most that much at a time
    whole = [pixels(canvas(page, row, column)) for row in ("given", "looks") for column in COLUMNS]
    x, y = middle(canvas(page, "looks", "baseline"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 40, steps=3)
    page.mouse.up()
    page.mouse.move(0, 0)
    drawn(page)
    moved = [pixels(canvas(page, row, column)) for row in ("given", "looks") for column in COLUMNS]
    assert all((before != after).any() for before, after in zip(whole, moved, strict=True))


def test_in_a_picture_with_the_focus_the_wheel_and_keys_zoom_and_zero_shows_the_whole(open_viewer):
    page = open_viewer(payload())
    start = pixels(canvas(page, "given", "baseline"))
    place = canvas(page, "given", "baseline")
    place.focus()
    place.press("+")
    place.press("=")
    assert "×2.3" in captions(page)[5]
    place.press("-")
    assert "×1.5" in captions(page)[5]
    place.hover()
    page.mouse.wheel(0, -100)
    page.mouse.move(0, 0)
    assert "×1.7" in captions(page)[5]
    place.press("0")
    drawn(page)
    assert (pixels(canvas(page, "given", "baseline")) == start).all()


def test_hovering_reads_and_a_click_keeps_both_values(open_viewer):
    page = open_viewer(payload())
    page.mouse.move(*middle(canvas(page, "looks", "jpegdl")))
    texts = captions(page)
    assert all("%" in text for text in texts[3:5])
    assert "points" in texts[5]
    assert "of 255" in texts[0]
    ruler = page.locator(".jxv-table .jxv-ruler-heat .jxv-middle")
    assert ruler.inner_text().count("%") == 2
    assert ruler.locator(".jxv-mark").count() == 2
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(0, 0)
    assert captions(page) == texts
    page.get_by_role("radiogroup", name="Baseline").get_by_role("radio", name="bluebell").click()
    page.mouse.move(0, 0)
    assert captions(page)[:3] == texts[:3]  # the same place, another class
    assert captions(page)[3] != texts[3]
    assert "%" in captions(page)[3].split("bluebell")[1]
    page.mouse.move(*middle(canvas(page, "looks", "jpegdl")))
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(0, 0)
    assert captions(page) != texts


def test_holding_a_picture_shows_the_other_network_until_it_is_let_go(open_viewer):
    page = open_viewer(payload(), **PHONE)
    fingers, place = Fingers(page), canvas(page, "given", "jpegdl")
    own, caption = pixels(place), view(page, "given", "jpegdl").locator(".jxv-caption")
    assert caption.inner_text().endswith("hold: Baseline")
    with fingers.hold(page, middle(place)):
        expect(caption).to_contain_text("Baseline: the picture")
        assert (pixels(place) != own).any()
    expect(caption).to_contain_text("soft reconstruction")
    drawn(page)
    assert (pixels(place) == own).all()


def test_a_tap_reads_a_value_and_a_scroll_neither_reads_nor_holds(open_viewer):
    page = open_viewer(payload(), **PHONE)
    fingers = Fingers(page)
    place, reading = canvas(page, "looks", "jpegdl"), view(page, "looks", "jpegdl").locator(".jxv-reading")
    place.scroll_into_view_if_needed()
    fingers.tap(middle(place))
    expect(reading).to_contain_text("%")
    fingers.tap(middle(place))
    expect(reading).to_contain_text("hold")
    page.evaluate("scrollTo(0, 0)")
    x, y = middle(canvas(page, "given", "jpegdl"))
    fingers.put((x, y))
    for step in range(1, 9):
        fingers.move((x, y - 15 * step))
    page.wait_for_timeout(HELD)
    assert "soft reconstruction" in view(page, "given", "jpegdl").locator(".jxv-caption").inner_text()
    fingers.lift()
    page.wait_for_function("scrollY > 50")
    assert "hold" in view(page, "given", "jpegdl").locator(".jxv-reading").inner_text()


def test_two_fingers_zoom_all_pictures_and_one_moves_them(open_viewer):
    page = open_viewer(payload(), **PHONE)
    fingers = Fingers(page)
    x, y = middle(canvas(page, "given", "jpegdl"))
    fingers.put((x - 30, y), (x + 30, y))
    for step in range(1, 7):
        fingers.move((x - 30 - 10 * step, y), (x + 30 + 10 * step, y))
    fingers.lift()
    drawn(page)
    expect(page.locator(".jxv-reading:visible")).to_have_text(["×3.0", "×3.0"])
    assert page.evaluate("visualViewport.scale") == 1
    before = pixels(canvas(page, "looks", "jpegdl"))
    fingers.put((x, y))
    for step in range(1, 7):
        fingers.move((x, y + 10 * step))
    fingers.lift()
    drawn(page)
    assert (pixels(canvas(page, "looks", "jpegdl")) != before).any()


def test_the_card_shows_the_column_of_its_switch_which_stays_in_reach(open_viewer):
    page = open_viewer(payload(), **PHONE)
    switch = page.get_by_role("radiogroup", name="Which column")
    for column in ("Difference", "Baseline", "JPEG-DL"):
        switch.get_by_role("radio", name=column).tap()
        name = column.lower().replace("-", "")
        becomes(page, column=name)
        shown = page.locator(".jxv-view:visible, .jxv-bars:visible").evaluate_all(
            "all => all.map(v => v.dataset.column)"
        )
        assert shown == [name] * 3
    switch.get_by_role("radio", name="JPEG-DL").press("ArrowRight")
    assert options(page)["column"] == "difference"
    for y in (0, 300, 600):
        page.evaluate("y => scrollTo(0, y)", y)
        box = switch.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 740
        assert box["y"] > 600
        assert box["height"] >= 44


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_is_wider_than_the_window(open_viewer, width, height):
    page = open_viewer(payload(), size=(width, height))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sides = page.locator(".jxv-table canvas:visible").evaluate_all(
        "all => all.map(c => [c.clientWidth, c.clientHeight])"
    )
    assert len(sides) == (2 if width < 600 else 6)
    assert all(abs(across - down) <= 1 and across > 150 for across, down in sides)
    set_options(page, row="looks", mode="side")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    panes = page.locator(".jxv-pane canvas:visible").evaluate_all(
        "all => all.map(c => c.getBoundingClientRect().bottom)"
    )
    assert max(panes) <= height


def test_on_a_phone_the_table_is_short_and_everything_that_is_tapped_is_large(open_viewer):
    page = open_viewer(payload(), **PHONE)
    assert page.locator(".jxv-table").evaluate("table => table.offsetHeight") <= 2.2 * 740
    for row in (None, "given", "looks", "says"):
        set_options(page, row=row)
        small = page.locator("button:visible:not(.jxv-term), select:visible, [role=slider]:visible").evaluate_all(
            "all => all.filter(b => b.offsetHeight < 44 || b.offsetWidth < 44).map(b => b.outerHTML)"
        )
        assert small == []


def test_on_a_projector_nothing_is_smaller_than_16_pixels(open_viewer):
    page = open_viewer(payload(), size=(1920, 1080))
    for row in (None, "given", "looks", "says"):
        set_options(page, row=row)
        small = page.locator(".jxv :visible").evaluate_all(
            """all => all.filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
                .map(e => parseFloat(getComputedStyle(e).fontSize)).filter(size => size < 16)"""
        )
        assert small == []


DARK, LIGHT = "rgb(15, 15, 17)", "rgb(255, 255, 255)"


@pytest.mark.parametrize(
    ("scheme", "classes", "colour"),
    [
        ("dark", "", DARK),
        ("light", "", LIGHT),
        ("light", "dark", DARK),
        ("dark", "light", LIGHT),
        ("dark", "gradio-container", LIGHT),
        ("light", "gradio-container dark", DARK),
    ],
)
def test_a_class_decides_light_or_dark_and_the_system_only_without_one(open_viewer, scheme, classes, colour):
    page = open_viewer(payload(), colours_of_system=scheme)
    page.evaluate("name => (document.body.className = name)", classes)
    assert page.locator("#viewer").evaluate("root => getComputedStyle(root).backgroundColor") == colour


def test_before_a_result_there_are_grey_squares_where_the_pictures_will_be(open_viewer):
    page = open_viewer(None)
    squares = "() => [...document.querySelectorAll('.jxv-table canvas')].map(c => c.getBoundingClientRect().toJSON())"
    before = page.evaluate(squares)
    assert page.get_by_role("application").count() == 0  # nothing to look at yet, so no stop
    assert page.evaluate(SHOW, [payload(), FACTS])
    assert [(box["left"], box["width"]) for box in page.evaluate(squares)] == [(b["left"], b["width"]) for b in before]
    assert np.abs([box["top"] for box in page.evaluate(squares)] - np.array([b["top"] for b in before])).max() <= 1
    page.evaluate("table.clear()")
    assert page.get_by_role("application").count() == 0
    assert page.get_by_role("radio", name="daffodil").count() == 0
    assert page.locator(".jxv-table .jxv-words").all_inner_texts() == ["The first result is being computed."] * 3


def test_an_old_result_is_visibly_old_and_stays_where_it_is(open_viewer):
    page = open_viewer(payload())
    height = page.locator(".jxv-table").evaluate("table => table.offsetHeight")
    page.evaluate("table.old('Computing Iris…')")
    assert all(text.startswith("old: ") for text in captions(page))
    style = "canvas => [getComputedStyle(canvas).filter, getComputedStyle(canvas).opacity]"
    assert canvas(page, "looks", "difference").evaluate(style) == ["grayscale(1)", "0.42"]
    assert page.locator(".jxv-table").get_attribute("aria-busy") == "true"
    assert page.locator(".jxv-table").evaluate("table => table.offsetHeight") == height
    assert page.evaluate(SHOW, [payload(number=2), FACTS])
    assert not any("old" in text for text in captions(page))
    assert page.locator(".jxv-table").get_attribute("aria-busy") == "false"


def test_a_result_that_is_not_coming_is_old_but_not_busy_and_before_the_first_one_the_words_say_what_is_going_on(
    open_viewer,
):
    page = open_viewer(None)
    words, busy = page.locator(".jxv-table .jxv-words"), ".jxv-table[aria-busy=true]"
    page.evaluate("table.old('Computing Iris…')")
    assert words.all_inner_texts() == ["Computing Iris…"] * 3
    assert page.locator(busy).count() == 1
    page.evaluate("table.old('No result yet', { isBusy: false })")
    assert words.all_inner_texts() == ["No result yet"] * 3
    assert page.locator(busy).count() == 0
    assert page.evaluate(SHOW, [payload(), FACTS])
    page.evaluate("table.old('Old result', { isBusy: false })")
    assert all(text.startswith("old: ") for text in captions(page))
    assert page.locator(busy).count() == 0


def test_of_two_results_the_later_asked_for_is_shown(open_viewer):
    page = open_viewer(None)
    first, second = payload(size=224), payload(size=32)
    both = "async ([one, two, facts]) => Promise.all([table.show(one, facts), table.show(two, facts)])"
    assert page.evaluate(both, [first, second, FACTS]) == [False, True]
    assert "32 × 32" in captions(page)[0]
    late = "async ([one, facts]) => { const shown = table.show(one, facts); table.clear(); return shown; }"
    assert page.evaluate(late, [first, FACTS]) is False
    assert page.locator("#viewer").get_attribute("class") == "jxv jxv-empty"


def test_a_chosen_class_stays_while_the_picture_stays(open_viewer):
    page = open_viewer(payload())
    set_options(page, **{"class": 3})
    other_stage = payload(number=2)
    other_stage["state"] = other_stage["state"] | {"stage": "early"}
    assert page.evaluate(SHOW, [other_stage, FACTS])
    assert options(page)["class"] == 3
    other_picture = payload(number=3)
    other_picture["state"] = other_picture["state"] | {"picture": "example:two"}
    assert page.evaluate(SHOW, [other_picture, FACTS])
    assert options(page)["class"] == 0


def test_options_from_an_address_are_set_without_an_echo(open_viewer):
    page = open_viewer(payload())
    wanted = {"class": 1, "drawing": "smooth", "ruler": "all", "grid": True, "row": "looks", "mode": "side"}
    set_options(page, **wanted)
    assert options(page).items() >= wanted.items()
    assert heard(page) == []
    assert page.get_by_role("dialog", name="Where it looks").is_visible()


@pytest.mark.parametrize(
    ("true", "jpegdl", "said"),
    [
        (0, 3, "Only the baseline is right."),
        (3, 3, "Only JPEG-DL is right."),
        (0, 0, "Both are right."),
        (8, 3, "Both are wrong; the true label is daisy."),
        (None, 3, "The picture shows none of the 9 classes, or its class is not known, so neither counts as right."),
    ],
)
def test_who_is_right_is_said_for_the_true_class_that_is_known(open_viewer, true, jpegdl, said):
    page = open_viewer(None)
    result = payload()
    result["state"]["true"] = true
    result["answers"]["jpegdl"] = jpegdl
    assert page.evaluate(SHOW, [result, FACTS])
    assert page.locator(".jxv-row-says .jxv-sentence").inner_text() == f"{result['sentences']['says']} {said}"


def test_names_and_sentences_are_text_whatever_they_hold(open_viewer):
    page = open_viewer(None)
    result, hostile = payload(), "<img src=x onerror=alert(1)>"
    result["sentences"]["says"] = hostile
    facts = FACTS | {"classes": [hostile, *FACTS["classes"][1:]]}
    assert page.evaluate(SHOW, [result, facts])
    set_options(page, row="says")
    assert page.locator("#viewer img").count() == 0
    assert hostile in page.locator(".jxv-row-says").inner_text()


def test_a_word_explains_itself_on_tap_inside_the_window(open_viewer):
    page = open_viewer(payload(), **PHONE)
    page.get_by_role("button", name="soft reconstruction").tap()
    note = page.locator(".jxv-popover:visible")
    expect(note).to_contain_text("blocks of 8 × 8")
    box = note.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    page.keyboard.press("Escape")
    assert note.count() == 0


def test_who_wants_no_motion_gets_none(open_viewer):
    page = open_viewer(payload(), moves=False)
    moving = ".jxv *"
    durations = page.locator(moving).evaluate_all("all => all.map(e => getComputedStyle(e).transitionDuration)")
    assert set(durations) == {"0s"}


def test_nothing_is_left_after_destroy(open_viewer):
    page = open_viewer(payload())
    page.evaluate("table.destroy()")
    assert page.locator("#viewer").evaluate("root => root.outerHTML") == '<div id="viewer" class=""></div>'
