import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jpegdl.analysis.compression import Compression
from jpegdl.analysis.figures import colour_at, gradient_css
from jpegdl.analysis.results.report import verdict
from jpegdl.codec.jpegfile import STANDARD_TABLES, Change, JPEGFile
from jpegdl.pairs.classifier import Arm
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.facts import PARTS, Pictures
from jpegdl.ui.about import about_pair
from jpegdl.ui.fragments import (
    Decision,
    compression_facts,
    notice,
    paired_bars,
    ruler,
    verdict_sentence,
    verdict_strip,
)
from jpegdl.ui.heatmaps import Scale, legend, short_number, table_heatmap, tables_section
from tests.tiny import card, dataset_facts, recipe, training_facts

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
CSS = (Path(__file__).parents[1] / "jpegdl/ui/static/page.css").read_text()
VOID = {"br", "col", "hr", "img", "input", "link", "meta"}
STEPS = np.random.default_rng(0).uniform(0.01, 250, (2, 8, 8))
STEP_SCALE = Scale(minimum=0.001, maximum=255)

RECIPE = recipe(
    architecture="resnet18", input_size=224, epochs=60, batch_size=32, milestones=(30, 45), name="flowers17-resnet18"
)
CARD = card(
    name="invented",
    title="Invented data, resnet18, 224 px",
    class_names=("Iris", "Tulip", "Daisy", "Pansy"),
    recipe=RECIPE,
    paper_recipe=replace(RECIPE, epochs=200, milestones=(100, 150)),
    short_side=256,
    seed=7,
    dataset=dataset_facts(
        title="Invented flowers",
        source="https://example.org/flowers",
        licence="CC0",
        split="every third picture",
        pictures=Pictures(train=680, validation=170, test=340),
    ),
    results={part: Comparison(both=218, only_baseline=24, only_jpegdl=31, neither=67) for part in PARTS},
    training={
        "baseline": training_facts(device="invented processor", threads=2, seconds=2520),
        "jpegdl": training_facts(device="invented processor", threads=2, seconds=3660),
    },
)
DECISION = Decision(top={"baseline": ("Iris", 0.6134), "jpegdl": ("Tulip", 0.8321)}, true_label="Tulip")
SHARES: dict[Arm, list[float]] = {"baseline": [0.5, 0.3, 0.15, 0.05], "jpegdl": [0.1, 0.72, 0.08, 0.1]}
WORK = Compression(
    np.zeros((3, 8, 8), np.float32), psnr=31.42, zeroed=0.873, limited=0.0012, outside=0.034, five_or_all=0.0123
)
FILE = JPEGFile(b"", STANDARD_TABLES, tuple(Change(0, 0, i, 1.5, 2) for i in range(5)), 3.125, True)


@dataclass
class Page(HTMLParser):
    """Reads a fragment: refuses tags that do not match, collects start tags and text."""

    html: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self):
        super().__init__()
        self.open: list[str] = []
        self.feed(self.html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts)).strip()

    def with_tag(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def classes(self) -> set[str]:
        return {name for _, attrs in self.tags for name in (attrs.get("class") or "").split()}


def every_fragment(text: str = "Iris") -> dict[str, str]:
    """One of each, with `text` wherever a text can come from outside."""
    data = dataset_facts(name=text, title=text, source=text, licence=text, split=text)
    training = {arm: replace(facts, device=text) for arm, facts in CARD.training.items()}
    ours, theirs = replace(RECIPE, name=text, dataset=text), replace(RECIPE, name=text, dataset=text[1:])
    facts: dict[str, Any] = {"title": text, "dataset": data, "training": training, "flaws": (text,)}
    card = replace(CARD, recipe=ours, paper_recipe=theirs, **facts)
    decision = Decision(top={"baseline": (text, 0.5), "jpegdl": ("Tulip", 0.5)}, true_label=text)
    targets: dict[Arm, int] = {"baseline": 0, "jpegdl": 1}
    return {
        "strip": verdict_strip(card, decision),
        "strip without picture": verdict_strip(card),
        "sentence": verdict_sentence(card),
        "bars": paired_bars([text] * 4, SHARES, targets=targets, true_label=0),
        "ruler": ruler(0.1, cells=(7, 7)),
        "difference ruler": ruler(0.1, cells=(7, 7), difference=True),
        "facts": compression_facts(WORK, FILE, max_index=127, gain=8),
        "info": notice("info", text),
        "warning": notice("warning", text),
        "about": about_pair(card),
        "about, as in the paper": about_pair(replace(card, paper_recipe=card.recipe)),
        "table": table_heatmap(STEPS[0], title=text, caption=text, scale=STEP_SCALE, unit=text),
        "tables": tables_section(learned=STEPS, initial=STEPS / 2, hardness=STEPS**2, upload=list(STANDARD_TABLES)),
        "legend": legend("heat", [(0.0, text), (1.0, text)], text),
    }


@pytest.mark.parametrize("name", every_fragment())
def test_tags_match(name):
    assert Page(every_fragment()[name]).tags


@pytest.mark.parametrize("name", every_fragment())
def test_texts_from_outside_are_escaped(name):
    harmless, hostile = Page(every_fragment()[name]), Page(every_fragment(HOSTILE)[name])
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in harmless.tags]
    assert [set(attrs) for _, attrs in hostile.tags] == [set(attrs) for _, attrs in harmless.tags]
    if "Iris" in harmless.text:
        assert HOSTILE in hostile.text


@pytest.mark.parametrize("name", every_fragment())
def test_every_class_is_styled(name):
    assert {style for style in Page(every_fragment()[name]).classes if f".{style}" not in CSS} == set()


def test_strip_shows_the_counts_and_what_follows_from_them():
    text = Page(verdict_strip(CARD)).text
    assert "Test set, n = 340" in text
    for expected in ("both right 218", "only baseline 24", "only JPEG-DL 31", "neither 67"):
        assert expected in text
    assert "71.2 % [66.1, 75.7]" in text
    assert "73.2 % [68.3, 77.7]" in text
    assert "Difference +2.1 points" in text
    assert f"p = {CARD.results['test'].p_value:.3f}" in text
    sentence = Page(verdict_sentence(CARD)).text
    assert verdict(CARD) in sentence
    assert sentence.endswith("Trained with epochs 60 instead of 200, milestones 30, 45 instead of 100, 150.")
    assert Page(verdict_sentence(replace(CARD, paper_recipe=RECIPE))).text.endswith(verdict(CARD))


def test_strip_has_no_line_for_a_picture_before_there_is_one():
    assert "This picture" not in verdict_strip(CARD)
    assert "This picture" in verdict_strip(CARD, DECISION)


def test_strip_says_who_is_right_only_when_the_truth_is_known():
    known = Page(verdict_strip(CARD, DECISION))
    assert "Baseline Iris 61.3 % ✗ JPEG-DL Tulip 83.2 % ✓ They name different classes. True label: Tulip." in known.text
    assert [a["aria-label"] for a in known.with_tag("span") if "aria-label" in a] == ["wrong", "right"]
    unknown = Page(verdict_strip(CARD, replace(DECISION, true_label=None)))
    assert not {"✓", "✗"} & set(unknown.text)
    assert "True label" not in unknown.text


def test_strip_says_when_both_agree():
    agreeing = replace(DECISION, top=dict.fromkeys(DECISION.top, ("Iris", 0.5)))
    assert "Both name the same class." in verdict_strip(CARD, agreeing)


def test_a_win_of_either_arm_is_shown_in_the_same_way():
    counts = CARD.results["test"]
    mirrored = replace(counts, only_baseline=counts.only_jpegdl, only_jpegdl=counts.only_baseline)
    cards = [replace(CARD, results={"test": result}) for result in (counts, mirrored)]
    jpegdl_ahead, baseline_ahead = (Page(verdict_strip(card, DECISION) + verdict_sentence(card)) for card in cards)
    assert jpegdl_ahead.tags == baseline_ahead.tags
    assert "Difference −2.1 points" in baseline_ahead.text
    assert "JPEG-DL names 7 more right than the baseline" in jpegdl_ahead.text
    assert "the baseline names 7 more right than JPEG-DL" in baseline_ahead.text


def test_equal_arms_have_a_difference_without_a_sign():
    tie = replace(CARD, results={"test": Comparison(both=5, only_baseline=2, only_jpegdl=2, neither=1)})
    assert "Difference 0.0 points" in Page(verdict_strip(tie)).text


def test_bars_show_both_arms_for_the_union_of_their_first_classes():
    page = Page(paired_bars(CARD.class_names, SHARES, top=2))
    assert re.findall("Iris|Tulip|Daisy|Pansy", page.text) == ["Tulip", "Iris"]
    assert "Tulip +42.0 points Baseline 30.0 % JPEG-DL 72.0 %" in page.text
    assert "Iris −40.0 points Baseline 50.0 % JPEG-DL 10.0 %" in page.text
    widths = [attrs["style"] for attrs in page.with_tag("div") if "style" in attrs]
    assert widths == ["width:30.0%", "width:72.0%", "width:50.0%", "width:10.0%"]


def test_explained_and_true_class_are_marked_also_beyond_the_first():
    same = dict.fromkeys(SHARES, 3)
    assert (
        "Pansy explained true label +5.0"
        in Page(paired_bars(CARD.class_names, SHARES, top=1, targets=same, true_label=3)).text
    )
    own = Page(paired_bars(CARD.class_names, SHARES, top=1, targets={"baseline": 0, "jpegdl": 1})).text
    assert "Iris explained for Baseline" in own
    assert "Tulip explained for JPEG-DL" in own


def test_ruler_names_the_share_of_a_cell_at_the_stages_own_resolution():
    text = Page(ruler(0.067, cells=(7, 7))).text
    assert "0 3.4 % 6.7 %" in text
    assert "7 × 7 cells" in text
    assert "would have 2.0 %" in text
    assert gradient_css("heat") in ruler(0.067, cells=(7, 7))


def test_difference_ruler_has_both_ends_and_zero():
    text = Page(ruler(0.061, cells=(14, 14), difference=True)).text
    assert "−6.1 points, baseline more 0 JPEG-DL more, +6.1 points" in text


def test_compression_facts_are_the_measured_ones():
    text = Page(compression_facts(WORK, FILE, max_index=127, gain=8)).text
    for expected in ("31.4 dB", "3.12 bits per pixel", "87.3 %", "0.1 %", "±127", "3.4 %", "5 of 128"):
        assert expected in text
    assert "identical" in compression_facts(replace(WORK, psnr=float("inf")), FILE, max_index=None, gain=8)


def test_notices_say_their_kind_in_words():
    assert Page(notice("info", "Converted from CMYK.")).text == "Note: Converted from CMYK."
    assert Page(notice("warning", "Another class.")).text == "Warning: Another class."


def test_about_shows_the_cards_facts_and_departures():
    text = Page(about_pair(CARD)).text
    for expected in ("Invented flowers", "CC0", "every third picture", "680 train, 170 validation, 340 test"):
        assert expected in text
    for expected in ("224 × 224", "60 epochs", "Seed 7", "invented processor", "Baseline 42 min, JPEG-DL 61 min"):
        assert expected in text
    assert "epochs 200 60" in text
    assert "milestones 100, 150 30, 45" in text
    for expected in ("First weights random", "at the input", "indices up to ±127"):
        assert expected in text
    assert "without departures" in about_pair(replace(CARD, paper_recipe=RECIPE))
    pretrained = replace(CARD, recipe=replace(RECIPE, start="imagenet"), dataset=replace(CARD.dataset, name="cub50"))
    assert "optimistic" in about_pair(pretrained)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(0, "0"), (4.6e-4, "5e-4"), (0.0204, "0.02"), (0.9949, "0.99"), (0.996, "1.0"), (1.26, "1.3"), (3, "3")],
        *[(9.96, "10"), (127.3, "127"), (999.6, "1.0k"), (1340, "1.3k"), (325125, "325k"), (3e6, "3M"), (1e30, ">1T")],
    ],
)
def test_short_numbers(value, text):
    assert short_number(value) == text


def test_no_short_number_is_longer_than_four_characters():
    values = np.concatenate([10 ** np.linspace(-12, 14, 20_000), np.arange(1, 2000)])
    assert max(len(short_number(value)) for value in values.tolist()) == 4


def cells(html: str) -> list[dict[str, str | None]]:
    return [attrs for attrs in Page(html).with_tag("td") if attrs]


def test_table_has_64_cells_with_their_full_values():
    table = np.arange(64).reshape(8, 8) + 0.123456
    found = cells(table_heatmap(table, title="Learned", scale=STEP_SCALE, unit="grey levels"))
    assert len(found) == 64
    assert found[0]["title"] == "vertical 0, horizontal 0: 0.123456 grey levels"
    assert found[10]["title"] == "vertical 1, horizontal 2: 10.1235 grey levels"
    assert found[63]["title"] == "vertical 7, horizontal 7: 63.1235 grey levels"


def test_table_has_heads_for_both_frequencies_and_a_caption():
    page = Page(table_heatmap(STEPS[0], title="Learned", scale=STEP_SCALE, unit=""))
    assert [attrs["scope"] for attrs in page.with_tag("th")] == ["col"] * 8 + ["row"] * 8
    assert len(page.with_tag("caption")) == 1


def test_table_refuses_another_shape():
    with pytest.raises(ValueError, match=r"\(8, 8\)"):
        table_heatmap(STEPS, title="", scale=STEP_SCALE, unit="")


def test_equal_steps_have_equal_colours_in_all_step_tables():
    ones = np.ones((2, 8, 8))
    learned, initial = np.array(STANDARD_TABLES, dtype=float), ones.copy()
    learned[:, 0, 0] = initial[:, 7, 7] = 33
    found = cells(tables_section(learned=learned, initial=initial, hardness=ones, upload=[33 * ones[0], ones[1]]))
    luma = found[: len(found) // 2]
    assert len(luma) == 6 * 64
    tables = [luma[i : i + 64] for i in range(0, len(luma), 64)]
    assert tables[0][0]["style"] == tables[1][63]["style"] == tables[3][5]["style"]
    assert tables[0][9]["style"] == tables[2][9]["style"]
    assert tables[1][0]["style"] != tables[0][0]["style"]


def test_ratio_is_white_where_training_changed_nothing():
    found = cells(tables_section(learned=STEPS, initial=STEPS, hardness=STEPS))
    ratios = found[3 * 64 : 4 * 64]
    assert {cell["style"] for cell in ratios} == {"background:#ffffff;color:#000"}
    assert ratios[0]["title"] == "vertical 0, horizontal 0: 1 times"


def test_upload_with_one_table_or_with_zeros_is_shown():
    zeros = np.zeros((8, 8), int)
    with_zeros, without = (
        tables_section(learned=STEPS, initial=STEPS, hardness=STEPS, upload=u) for u in ([zeros], None)
    )
    assert len(cells(with_zeros)) == len(cells(without)) + 64


def test_scale_places_values_by_logarithm_or_linearly_and_cuts_off():
    log, linear = Scale(minimum=0.01, maximum=100), Scale(minimum=0, maximum=4, log=False)
    assert [log.position(value) for value in (0, 0.01, 1, 100, 500)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert [linear.position(value) for value in (-1, 1, 9)] == [0, 0.25, 1]
    assert Scale(minimum=3, maximum=3).position(3) == 0


@pytest.mark.parametrize("colours", ["heat", "difference"])
def test_numbers_have_at_least_the_contrast_that_wcag_asks_for(colours):
    scale = Scale(minimum=0.001, maximum=255, colours=colours)
    table = np.geomspace(0.001, 255, 64).reshape(8, 8)
    for cell, value in zip(cells(table_heatmap(table, title="", scale=scale, unit="")), table.flat, strict=True):
        share = np.array(colour_at(colours, scale.position(float(value)))) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        light = float(linear @ [0.2126, 0.7152, 0.0722])
        ink = 0.0 if str(cell["style"]).endswith("#000") else 1.0
        assert (max(light, ink) + 0.05) / (min(light, ink) + 0.05) >= 4.5
