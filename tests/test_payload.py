"""What travels to the browser for one result: lossless, complete, small; and sentences that say what numbers say."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from jpegdl.analysis.compression import Compression, compress
from jpegdl.analysis.figures import colour_at
from jpegdl.analysis.request import Answer, Request, answer, make_request, shown_classes
from jpegdl.pairs.checkpoints import ModelPair, load_pair
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.prepare import to_unit
from jpegdl.ui.payload import encode_pictures, mean_limits, menu_names, page_facts, pair_facts, result_payload
from jpegdl.ui.sentences import place, say_given, say_looks, say_says
from tests.tiny import TINY, add_tiny, card, dataset_facts, smooth_picture, tiny_pair

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "assets" / "examples").glob("*.jpg"))
NAMES = ("daffodil", "iris", "tulip", "daisy", "pansy", "crocus", "cowslip")


@pytest.fixture
def pair(tmp_path, monkeypatch) -> ModelPair:
    add_tiny(monkeypatch)
    return tiny_pair(tmp_path / "one", TINY, len(NAMES))


@pytest.fixture
def found(pair) -> Answer:
    return answer({"one": pair}, make_request(pair.card, smooth_picture(40, 60), true_class="class 3"))


def payload(pair: ModelPair, found: Answer, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"number": 7, "picture": "upload", "upright": (60, 40), "notes": ["Turned."]} | changes
    return result_payload(pair, found, encode_pictures(found), **settings)


def pixels(address: str) -> np.ndarray:
    kind, data = address.removeprefix("data:image/").split(";base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (picture.format, picture.mode) == (kind.upper(), "RGB")
    return np.asarray(picture)


@pytest.mark.parametrize(("noise", "relative"), [(0.01, True), (2.0, False)])
def test_both_pictures_are_lossless(pair, found, noise, relative):
    """The reconstruction comes as its change, modulo 256, where that is the smaller file."""
    changed = found.square / 255 + noise * np.random.default_rng(0).uniform(-1, 1, found.square.shape)
    levels = np.rint(255 * changed.clip(0, 1)).astype(np.uint8)
    found = replace(found, compression=replace(found.compression, reconstruction=levels))
    pictures = payload(pair, found)["pictures"]
    assert pictures["relative"] == relative
    assert np.array_equal(pixels(pictures["given"]), found.square)
    sent = pixels(pictures["reconstruction"])
    assert np.array_equal(sent + found.square if relative else sent, levels)


def test_every_number_is_there_to_four_digits_and_all_of_it_is_json(pair, found):
    sent = json.loads(json.dumps(payload(pair, found), allow_nan=False))
    rows, columns = found.maps["baseline"].shape[1:]
    assert (sent["maps"]["rows"], sent["maps"]["columns"]) == (rows, columns)
    assert sent["maps"]["classes"] == list(found.classes)
    for arm in ARMS:
        assert np.allclose(sent["probabilities"][arm], found.probabilities[arm], rtol=1e-8)
        assert sent["answers"][arm] == int(found.probabilities[arm].argmax())
        assert np.allclose(sent["maps"][arm], found.maps[arm].reshape(len(found.classes), -1), rtol=1e-3)
    assert set(sent["sentences"]["looks"]) == {str(number) for number in found.classes}
    assert sent["target"] in found.classes
    assert sent["number"] == 7
    assert sent["state"] == {
        "pair": "one",
        "picture": "upload",
        "true": 3,
        "stage": "last",
        "quantizer": "five levels",
    }
    assert sent["warnings"] == ["Turned."]


def test_the_crop_is_where_the_square_comes_from(pair):
    """Of a picture whose red is the column and whose green is the row, the square's corners tell the crop."""
    rows, columns = np.mgrid[0:120, 0:200]
    picture = Image.fromarray(np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8))
    found = answer({"one": pair}, make_request(pair.card, picture))
    crop = payload(pair, found, upright=picture.size)["crop"]
    assert (crop["width"], crop["height"]) == (200, 120)
    cell = crop["side"] / len(found.square)
    for at, start in ((0, crop["left"]), (1, crop["top"])):
        line = found.square[8, :, 0] if at == 0 else found.square[:, 8, 1]
        assert line[4] == pytest.approx(start + 4.5 * cell - 0.5, abs=1.5)
        assert line[-5] == pytest.approx(start + crop["side"] - 4.5 * cell - 0.5, abs=1.5)


def test_another_quantizer_than_trained_is_a_warning(pair):
    found = answer({"one": pair}, make_request(pair.card, smooth_picture(40, 60), quantizer="all levels"))
    assert payload(pair, found)["warnings"][0] == "JPEG-DL runs with all levels; it was trained with five levels."


def test_no_block_of_the_reconstruction_leaves_the_stated_limit_of_its_mean_brightness():
    """For white, black and every example, on the pair whose limit is the narrowest; weights of luma as in BT.601."""
    pair = load_pair(ROOT / "checkpoints" / "flowers102-authors-resnet18")
    limit, _ = mean_limits(pair)
    assert limit is not None
    pictures = [Image.new("RGB", (128, 128), colour) for colour in ("white", "black")]
    furthest = 0.0
    for picture in [*pictures, *(Image.open(path).convert("RGB") for path in EXAMPLES[:4])]:
        image = to_unit(torch.from_numpy(make_request(pair.card, picture).square).permute(2, 0, 1))[None]
        _, reconstruction = compress(pair.codec, image, "five levels")
        luma = 255 * np.tensordot([0.299, 0.587, 0.114], reconstruction[0].double().numpy(), 1)
        means = luma.reshape(28, 8, 28, 8).mean((1, 3))
        furthest = max(furthest, float(np.abs(means - 128).max()))
    assert furthest == pytest.approx(limit, rel=1e-3)


def test_a_menu_calls_pairs_by_data_and_network_and_no_two_alike():
    pets: dict[str, Any] = {
        "dataset": dataset_facts(title="Pets, re-encoded"),
        "architecture": "timm:tf_efficientnet_lite0",
    }
    flowers: dict[str, Any] = {"dataset": dataset_facts(title="Flowers"), "architecture": "resnet18"}
    assert menu_names([card(name="a", **flowers), card(name="b", **flowers), card(name="c", **pets)]) == {
        "a": "Flowers, ResNet-18 (a)",
        "b": "Flowers, ResNet-18 (b)",
        "c": "Pets, EfficientNet-Lite0",
    }


def test_facts_of_a_pair_and_of_the_page(pair):
    facts = pair_facts(pair)
    assert facts["stages"] == ["early", "last"]
    assert facts["default_stage"] == "last"
    assert facts["test"] == {"both": 3, "only_baseline": 1, "only_jpegdl": 2, "neither": 4}
    colours = page_facts()["colours"]
    assert [len(colours[name]) for name in ("heat", "difference", "jet")] == [256, 511, 256]
    for name in ("heat", "difference"):
        for at in (0, 0.5, 1):
            red, green, blue = colour_at(name, at)
            assert colours[name][round(at * (len(colours[name]) - 1))] == f"#{red:02x}{green:02x}{blue:02x}"


# Sentences


def imagined(
    baseline: list[float], jpegdl: list[float], *, true: int | None = None, maps: dict[str, Any] | None = None
) -> Answer:
    """An answer with these probabilities; its reconstruction is 10 grey levels lighter than the picture."""
    probabilities: dict[Arm, Any] = {"baseline": np.array(baseline, np.float32), "jpegdl": np.array(jpegdl, np.float32)}
    classes = shown_classes(probabilities, "shared", true)
    square = np.full((8, 8, 3), 100, np.uint8)
    work = Compression(np.full((8, 8, 3), 110, np.uint8), 10 / 255, 28.0, 0.5, 0.0, 0.0, 0.0)
    maps = maps or {arm: np.ones((3, 3)) for arm in ARMS}
    return Answer(
        request=Request(pair="one", square=square, true=true, stage="last"),
        probabilities=probabilities,
        classes=classes,
        maps={arm: np.array([maps[arm]] * len(classes), np.float32) for arm in ARMS},
        compression=work,
        seconds=0.1,
    )


@pytest.mark.parametrize(
    ("luma", "chroma", "said"),
    [
        (2.05, 1.3, "stays within 2.1 grey levels of mid-grey, so the picture turns grey and outlines stay."),
        (2.05, 40.0, "stays within 2.1 grey levels of mid-grey, so brightness evens out; colours and outlines stay."),
        (28.7, 14.0, "stays within 28.7 grey levels of mid-grey, so light and shade flatten and detail stays."),
        (90.0, 50.0, "stays within 90.0 grey levels of mid-grey, so little changes."),
        (148.0, 90.0, "the layer leaves each block’s mean brightness free."),
        (None, None, "the layer leaves each block’s mean brightness free."),
    ],
)
def test_the_first_sentence_is_the_limit_its_consequence_and_how_far_a_pixel_moves(luma, chroma, said):
    sentence = say_given(imagined([0.5, 0.5], [0.5, 0.5]), luma, chroma)
    assert said in sentence
    assert sentence.endswith("A pixel moves by 10 of 255 levels on average.")


def test_the_second_says_how_far_maps_agree_and_where_they_differ_most():
    baseline, jpegdl = np.ones((3, 3)), np.ones((3, 3))
    jpegdl[2, 2] = 10.0
    sentence = say_looks(imagined([0.6, 0.4], [0.6, 0.4], maps={"baseline": baseline, "jpegdl": jpegdl}), 0, NAMES)
    shares = 1 / 9, 10 / 18
    agreed = 8 / 18 + shares[0]
    assert f"The maps for daffodil agree to {100 * agreed:.0f}\u00a0%." in sentence
    assert (
        "They differ most at the bottom right: 11.1\u00a0% of the baseline’s attention, 55.6\u00a0% of JPEG" in sentence
    )
    assert "with care" not in sentence


def test_equal_maps_have_no_place_where_they_differ_most():
    assert say_looks(imagined([0.6, 0.4], [0.6, 0.4]), 0, NAMES) == "The maps for daffodil agree to 100\u00a0%."


@pytest.mark.parametrize(
    ("baseline", "jpegdl", "said"),
    [
        ([0.04, 0.96], [0.5, 0.5], "The baseline gives daffodil only 4.0\u00a0%: read its map with care."),
        ([0.5, 0.5], [0.0001, 0.9999], "JPEG-DL gives daffodil only under 0.1\u00a0%: read its map with care."),
        ([0.01, 0.99], [0.03, 0.97], "Both give daffodil little (1.0\u00a0% and 3.0\u00a0%): read the maps with care."),
    ],
)
def test_a_class_under_five_percent_is_explained_with_a_warning(baseline, jpegdl, said):
    assert say_looks(imagined(baseline, jpegdl), 0, NAMES).endswith(said)


def test_an_empty_map_is_said_to_be_empty():
    maps = {"baseline": np.zeros((3, 3)), "jpegdl": np.ones((3, 3))}
    sentence = say_looks(imagined([0.6, 0.4], [0.6, 0.4], maps=maps), 0, NAMES)
    assert sentence == "The map of the baseline is empty: at this stage nothing speaks for daffodil."


@pytest.mark.parametrize(
    ("baseline", "jpegdl", "said"),
    [
        ([0.9, 0.1], [0.7, 0.3], "Both say daffodil; JPEG-DL is less sure by 20.0 points."),
        ([0.7, 0.3], [0.7, 0.3], "Both say daffodil; JPEG-DL is as sure."),
        (
            [0.9, 0.1],
            [0.2, 0.8],
            "They disagree: the baseline says daffodil (90.0\u00a0%), JPEG-DL says iris (80.0\u00a0%).",
        ),
    ],
)
def test_the_third_says_both_answers(baseline, jpegdl, said):
    assert say_says(imagined(baseline, jpegdl), NAMES) == said


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        (0, 0, "at the top left"),
        (0, 3, "at the top"),
        (3, 3, "in the middle"),
        (3, 6, "at the right"),
        (6, 0, "at the bottom left"),
    ],
)
def test_places_are_thirds_of_the_picture(row, column, said):
    assert place(row, column, np.zeros((7, 7))) == said


def test_no_sentence_holds_markup(pair, found):
    named = replace(pair, card=replace(pair.card, class_names=tuple(f"<b>{n}</b> & co" for n in NAMES)))
    said = payload(named, found)["sentences"]
    assert "&amp;" not in json.dumps(said)
    assert "<b>" in said["says"]  # a name is text, whatever it looks like: the browser shows it as such
