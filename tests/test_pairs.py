"""Classifiers, pairs on disk, counts and the preparation of a picture."""

import hashlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.transforms.functional import InterpolationMode, center_crop, resize

from jpegdl.codec.featurelayer import FeatureJPEGLayer
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.parameters import TableLayer
from jpegdl.codec.variants import QUANTIZERS
from jpegdl.pairs.card import card_from_json, card_to_json, without_weights
from jpegdl.pairs.checkpoints import CheckpointError, ModelPair, load_pair, load_pairs, save_pair
from jpegdl.pairs.classifier import (
    ARMS,
    Arm,
    Classifier,
    build_classifier,
    replace_first_relu,
    table_layer,
)
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.facts import tables_of
from jpegdl.pairs.prepare import prepare, to_unit
from tests.tiny import (
    TINY,
    add_tiny,
    card,
    history,
    noise,
    smooth_picture,
    tables,
    tiny_pair,
    write_pair,
)

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    add_tiny(monkeypatch)


# Classifier


@pytest.mark.parametrize("architecture", ["resnet18", TINY])
def test_both_arms_start_with_equal_backbones(architecture):
    baseline = build_classifier(architecture, 4, seed=3)
    jpegdl = build_classifier(architecture, 4, seed=3, codec=JPEGLayer(tables(), 5.0))
    first, second = baseline.backbone.state_dict(), jpegdl.backbone.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    other = build_classifier(architecture, 4, seed=4).backbone.state_dict()
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_building_leaves_the_callers_random_state_alone():
    torch.manual_seed(9)
    before = torch.get_rng_state()
    build_classifier(TINY, 4, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_jpegdl_arm_is_its_backbone_on_the_normalised_reconstruction():
    codec = JPEGLayer(tables(), 5.0)
    model = build_classifier(TINY, 4, codec=codec).eval()
    images = noise(2, 16)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    seen = (codec(images).detach().numpy() - mean[:, None, None]) / std[:, None, None]
    assert torch.allclose(model(images), model.backbone(torch.from_numpy(seen).float()), atol=1e-5)


def test_mean_and_deviation_are_not_stored():
    assert {"mean", "std"}.isdisjoint(build_classifier(TINY, 4).state_dict())


def test_an_unknown_architecture_is_refused_naming_the_known_ones():
    with pytest.raises(
        ValueError, match=r"unknown architecture 'vgg'; this version knows resnet32, .*, tiny, and timm:NAME"
    ):
        build_classifier("vgg", 4)


# A pair on disk


def both_arms(baseline: Classifier, jpegdl: Classifier) -> dict[Arm, Classifier]:
    return {"baseline": baseline, "jpegdl": jpegdl}


def test_a_pair_comes_back_as_float16_weights_and_exact_tables(tmp_path):
    codec = JPEGLayer(tables(2) + 0.1234567, torch.rand(2, 2, 8, 8) + 0.1)
    arms = both_arms(build_classifier(TINY, 5, seed=1), build_classifier(TINY, 5, seed=2, codec=codec))
    for arm in arms.values():
        arm.train()(noise(4, 16))
    written = save_pair(tmp_path / "one", card(rounds=2), arms)
    pair = load_pair(tmp_path / "one")
    for name in ARMS:
        before, after = arms[name].state_dict(), pair.arm(name).state_dict()
        assert before.keys() == after.keys()
        for key in before:
            exact = key.startswith("codec.") or key.endswith("num_batches_tracked")
            assert torch.equal(after[key], before[key] if exact else before[key].half().float()), key
    assert torch.equal(pair.codec.alpha, codec.alpha)
    assert_arrays_are(pair, codec)
    # The card as written is the card as read; JSON has no tuples.
    assert json.loads(card_to_json(pair.card)) == json.loads(card_to_json(written))
    assert pair.card.results == written.results


def assert_arrays_are(pair: ModelPair, layer: TableLayer | None) -> None:
    assert layer is not None
    for array, value in ((pair.tables, layer.steps), (pair.alphas, layer.alpha)):
        assert array.dtype == np.float32
        assert not array.flags.writeable
        np.testing.assert_array_equal(array, value.detach().numpy())


def test_the_tables_are_taken_before_the_networks_go_to_a_device(tmp_path):
    """On ZeroGPU a tensor on the device is a stand-in without numbers outside the GPU call."""
    tiny_pair(tmp_path / "one")
    pair = load_pair(tmp_path / "one", "meta")
    assert pair.codec.steps.is_meta
    np.testing.assert_array_equal(pair.tables, tables().numpy())
    assert np.array_equal(pair.alphas, np.full((1, 2, 8, 8), 5, np.float32))


@pytest.mark.parametrize("quantizer", ["all levels", "hard", "clip", "cubic"])
def test_a_pair_comes_back_with_its_quantizer(tmp_path, quantizer):
    codec = JPEGLayer(tables(), 5.0, max_index=7, quantizer=QUANTIZERS[quantizer])
    arms = both_arms(build_classifier(TINY, 5), build_classifier(TINY, 5, codec=codec))
    save_pair(tmp_path / "one", card(quantizer=quantizer, bits=4), arms)
    images = noise(2, 16)
    assert torch.equal(load_pair(tmp_path / "one").codec(images), codec(images))


def test_a_pair_with_its_layer_in_place_of_the_first_relu_comes_back(tmp_path):
    def layer(channels: int) -> FeatureJPEGLayer:
        steps = torch.linspace(0.1, 3, channels * 64).view(channels, 8, 8)
        return FeatureJPEGLayer(steps, 2.0, max_index=31)

    jpegdl = replace_first_relu(build_classifier("resnet18", 3, seed=2), layer)
    first = (tables_of(torch.ones(64, 8, 8).tolist()),)
    facts = card("resnet18", 3, place="first relu", bits=6, initial_tables=first)
    save_pair(tmp_path / "one", facts, both_arms(build_classifier("resnet18", 3, seed=1), jpegdl))
    pair = load_pair(tmp_path / "one")
    found, before = table_layer(pair.jpegdl), table_layer(jpegdl)
    assert_arrays_are(pair, before)
    assert isinstance(found, FeatureJPEGLayer)
    assert isinstance(before, FeatureJPEGLayer)
    assert pair.jpegdl.backbone.relu is found
    assert torch.equal(found.steps, before.steps)
    assert torch.equal(found.alpha, torch.full((64, 8, 8), 2.0))
    assert found.max_index == 31
    assert table_layer(pair.baseline) is None
    with pytest.raises(TypeError, match="no JPEG layer"):
        _ = pair.codec


def test_a_network_without_such_a_relu_is_refused():
    with pytest.raises(ValueError, match="Sequential has no ReLU named relu after a convolution named conv1"):
        replace_first_relu(build_classifier(TINY, 3), lambda channels: pytest.fail(f"asked for {channels}"))


def test_a_card_without_weights_keeps_the_counts_and_the_last_tables_and_is_read_again():
    steps = tables_of(tables(1).tolist())
    kept = without_weights(card(epochs=2, history={"baseline": history(2), "jpegdl": history(2, steps=steps)}))
    assert [epoch.steps for epoch in kept.history["jpegdl"]] == [None, steps]
    assert kept.weights is None
    assert card_from_json(card_to_json(kept)).results == kept.results


def test_a_value_that_float16_cannot_hold_comes_back_as_it_was(tmp_path):
    arms = both_arms(build_classifier(TINY, 5), build_classifier(TINY, 5, codec=JPEGLayer(tables(), 5.0)))
    variance = arms["baseline"].state_dict()["backbone.1.running_var"]  # the network's own tensor
    variance[2] = 123456.789
    save_pair(tmp_path / "one", card(), arms)
    assert torch.equal(load_pair(tmp_path / "one").baseline.state_dict()["backbone.1.running_var"], variance)


def test_saving_a_loaded_pair_again_writes_the_same_bytes(tmp_path):
    write_pair(tmp_path / "one")
    pair = load_pair(tmp_path / "one")
    save_pair(tmp_path / "again" / "one", pair.card, {arm: pair.arm(arm) for arm in ARMS})
    for file in ("pair.json", "baseline.safetensors", "jpegdl.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "again" / "one" / file).read_bytes()


def test_saving_another_pair_in_a_folder_leaves_only_its_own_files(tmp_path):
    write_pair(tmp_path / "one")
    written = write_pair(tmp_path / "one", classes=3)
    assert len(load_pair(tmp_path / "one").card.class_names) == 3
    assert written.weights
    expected = ["one", "pair.json", *(file.file for file in written.weights.values())]
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(expected)


def test_the_hashes_in_the_card_are_those_of_the_files(tmp_path):
    facts = write_pair(tmp_path / "one").weights
    assert facts
    for arm in ARMS:
        data = (tmp_path / "one" / facts[arm].file).read_bytes()
        assert facts[arm].sha256 == hashlib.sha256(data).hexdigest()
        assert facts[arm].bytes == len(data)


def test_a_loaded_pair_is_frozen_and_in_evaluation_mode(tmp_path):
    pair = tiny_pair(tmp_path / "one")
    for arm in ARMS:
        assert not any(parameter.requires_grad for parameter in pair.arm(arm).parameters())
        assert not any(module.training for module in pair.arm(arm).modules())


# What is refused. Each damage is done to a good pair's folder; `rehash` makes the card fit the damaged file.


def rehash(folder: Path, arm: str = "jpegdl") -> None:
    facts = json.loads((folder / "pair.json").read_text())
    data = (folder / f"{arm}.safetensors").read_bytes()
    facts["weights"][arm]["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "pair.json").write_text(json.dumps(facts))


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object], arm: str = "jpegdl") -> None:
    file = folder / f"{arm}.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)
    rehash(folder, arm)


def change_card(folder: Path, **facts: object) -> None:
    path = folder / "pair.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def fill(key: str, value: float) -> Callable[[Path], None]:
    return lambda folder: change_tensors(folder, lambda tensors: tensors[key].view(-1)[3:4].fill_(value))


def change_leaf(*path: str, to: object) -> Callable[[Path], None]:
    """Another value at one place of the card."""

    def change(folder: Path) -> None:
        facts = json.loads((folder / "pair.json").read_text())
        inner = facts
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = to
        (folder / "pair.json").write_text(json.dumps(facts))

    return change


def remove_field(folder: Path) -> None:
    facts = json.loads((folder / "pair.json").read_text())
    del facts["seed"]
    (folder / "pair.json").write_text(json.dumps(facts))


def more_rounds(folder: Path) -> None:
    change_leaf("recipe", "rounds", to=3)(folder)
    change_card(folder, initial_tables=tables(3).tolist())


def flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / "baseline.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "baseline.safetensors").write_bytes(data)


def truncate(folder: Path) -> None:
    file = folder / "jpegdl.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    rehash(folder)


def not_weights(folder: Path) -> None:
    (folder / "jpegdl.safetensors").write_bytes(b"\x80\x04not weights")
    rehash(folder)


def lfs_pointer(folder: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 44000000\n"
    (folder / "baseline.safetensors").write_text(pointer)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no card": (lambda f: (f / "pair.json").unlink(), "one/pair.json is missing"),
    "card not JSON": (lambda f: (f / "pair.json").write_text("{"), "one/pair.json .* not JSON"),
    "card not text": (lambda f: (f / "pair.json").write_bytes(b"\xff\xfe\x00"), "one/pair.json is not UTF-8 text"),
    "card a list": (lambda f: (f / "pair.json").write_text("[]"), "no object"),
    "card too deep": (lambda f: (f / "pair.json").write_text("[" * 10**6), "one/pair.json .*not JSON"),
    "unknown field": (lambda f: change_card(f, colour="blue"), "one/pair.json .*colour is unknown"),
    "missing field": (remove_field, "one/pair.json .*seed is missing"),
    "other schema": (lambda f: change_card(f, schema=2), "one/pair.json .*schema 2 and this version reads 3; use"),
    "schema before all else": (
        lambda f: (f / "pair.json").write_text('{"schema": 4, "colour": "blue"}'),
        "one/pair.json .*schema 4 and this version reads 3; use the version",
    ),
    "unknown architecture": (change_leaf("recipe", "architecture", to="vgg"), "one/pair.json .*'vgg'"),
    "negative count": (
        change_leaf("results", "test", "both", to=-1),
        "one/pair.json .*results.test.both must be a whole number from 0",
    ),
    "counts of another form": (change_leaf("results", "test", to=0.9), "results.test must be an object, got 0.9"),
    "results a list": (lambda f: change_card(f, results=[]), r"results must be an object, got \[\]"),
    "results missing": (lambda f: change_card(f, results={}), "results.test is missing"),
    "class names missing": (lambda f: change_card(f, class_names=None), "class_names must be a list, got None"),
    "class names numbers": (lambda f: change_card(f, class_names=[1, 2]), r"class_names\[0\] must be a text, got 1"),
    "huge input": (change_leaf("recipe", "input_size", to=10**6), "one/pair.json .*input_size"),
    "no rounds": (change_leaf("recipe", "rounds", to=0), "one/pair.json .*rounds"),
    "rounds a text": (change_leaf("recipe", "rounds", to="1"), "recipe.rounds must be a whole number .* got '1'"),
    "weights a list": (lambda f: change_card(f, weights=[]), "weights must be an object"),
    "weights of an arm a text": (change_leaf("weights", "baseline", to=""), "weights.baseline must be an object"),
    "weights elsewhere": (change_leaf("weights", "baseline", "file", to="../b.safetensors"), "weights.baseline: file"),
    "weights not kept": (lambda f: change_card(f, weights=None), "one/pair.json names no weights"),
    "short side below the input": (lambda f: change_card(f, short_side=15), "one/pair.json .*short_side"),
    "unknown place": (change_leaf("recipe", "place", to="output"), "recipe.place must be 'input' or 'first relu'"),
    "unknown quantizer": (change_leaf("recipe", "quantizer", to="six levels"), "recipe.quantizer .*'six levels'"),
    "bits a text": (change_leaf("recipe", "bits", to="8"), "recipe.bits must be a whole number"),
    "bits too few": (change_leaf("recipe", "bits", to=2), "one/pair.json .*bits must be at least 3"),
    "an epoch lost": (change_leaf("history", "jpegdl", to=[]), r"history of jpegdl must hold the epochs 1\.\.1"),
    "tables of another shape": (lambda f: change_card(f, initial_tables=[[[[1.0]]]]), "initial_tables must have the"),
    "no weights": (lambda f: (f / "jpegdl.safetensors").unlink(), "one/jpegdl.safetensors is missing"),
    "changed weights": (flip_a_bit, "one/baseline.safetensors does not match the hash"),
    "LFS pointer": (lfs_pointer, "one/baseline.safetensors is a Git LFS pointer.*git lfs pull"),
    "truncated": (truncate, "one/jpegdl.safetensors is not a safetensors file"),
    "another format": (not_weights, "one/jpegdl.safetensors is not a safetensors file"),
    "NaN weight": (fill("backbone.0.weight", math.nan), "one/jpegdl.safetensors holds values that are not finite"),
    "infinite alpha": (fill("codec.alpha", math.inf), "one/jpegdl.safetensors holds values that are not finite"),
    "step of 0": (fill("codec.steps", 0.0), "one/jpegdl.safetensors holds quantization steps outside"),
    "step of 256": (fill("codec.steps", 256.0), "one/jpegdl.safetensors holds quantization steps outside"),
    "alpha of 0": (fill("codec.alpha", 0.0), "one/jpegdl.safetensors holds .*alpha <= 0"),
    "more classes in the card": (
        lambda f: change_card(f, class_names=[f"class {n}" for n in range(6)]),
        "one/baseline.safetensors does not fit tiny with 6 classes: 2 tensors differ",
    ),
    "more rounds in the card": (
        more_rounds,
        "one/jpegdl.safetensors does not fit",
    ),
    "an extra tensor": (
        lambda f: change_tensors(f, lambda t: t.update(extra=torch.zeros(1))),
        "one/jpegdl.safetensors does not fit .* the first is extra",
    ),
    "a missing tensor": (
        lambda f: change_tensors(f, lambda t: t.pop("backbone.7.bias"), "baseline"),
        "one/baseline.safetensors does not fit .* the first is backbone.7.bias",
    ),
    "tables in the baseline": (
        lambda f: change_tensors(f, lambda t: t.update({"codec.steps": tables()}), "baseline"),
        "one/baseline.safetensors does not fit",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_pair_is_refused_with_one_sentence_that_names_the_file(tmp_path, damage):
    write_pair(tmp_path / "one")
    load_pair(tmp_path / "one")
    do, sentence = DAMAGES[damage]
    do(tmp_path / "one")
    with pytest.raises(CheckpointError, match=sentence) as refusal:
        load_pair(tmp_path / "one")
    text = str(refusal.value)
    assert str(tmp_path) not in text
    assert text.endswith(".")
    assert "\n" not in text


def test_load_pairs_returns_the_good_ones_beside_the_refused(tmp_path):
    write_pair(tmp_path / "good")
    write_pair(tmp_path / "bad")
    flip_a_bit(tmp_path / "bad")
    (tmp_path / "empty").mkdir()
    (tmp_path / ".unfinished.training").mkdir()
    (tmp_path / "notes.txt").write_text("")
    pairs, refused = load_pairs(tmp_path)
    assert list(pairs) == ["good"]
    assert pairs["good"].card.name == "good"
    assert {name: str(error).split(" ")[0] for name, error in refused.items()} == {
        "bad": "bad/baseline.safetensors",
        "empty": "empty/pair.json",
    }


def test_whatever_goes_wrong_with_one_pair_leaves_the_others(tmp_path, monkeypatch):
    write_pair(tmp_path / "good")
    write_pair(tmp_path / "odd")

    def prove(pair: ModelPair) -> None:
        if pair.card.name == "odd":
            raise RuntimeError("could not create a primitive")

    monkeypatch.setattr("jpegdl.pairs.checkpoints.prove", prove)
    pairs, refused = load_pairs(tmp_path)
    assert list(pairs) == ["good"]
    sentence = "odd cannot be loaded (RuntimeError: could not create a primitive); restore it."
    assert [str(error) for error in refused.values()] == [sentence]


def test_a_card_comes_back_from_its_json():
    facts = card()
    assert card_from_json(card_to_json(facts)) == facts


def test_a_card_that_could_not_be_read_again_is_not_written():
    with pytest.raises(ValueError, match="JSON"):
        card_to_json(card(history=dict.fromkeys(ARMS, history(1, loss=math.inf))))
    with pytest.raises(ValueError, match=r"results\.validation is missing"):
        card_to_json(card(results={"test": Comparison(both=1, only_baseline=0, only_jpegdl=0, neither=0)}))


# Counts


def test_accuracies_are_right_answers_over_all():
    counts = Comparison(both=50, only_baseline=7, only_jpegdl=13, neither=30)
    assert counts.n == 100
    assert (counts.accuracy("baseline"), counts.accuracy("jpegdl")) == (0.57, 0.63)


@pytest.mark.parametrize("counts", [(50, 7, 13, 30), (0, 0, 1, 339), (340, 0, 0, 0), (1, 1, 1, 1)])
@pytest.mark.parametrize("arm", ARMS)
def test_the_interval_is_wilsons(counts, arm):
    comparison = Comparison(both=counts[0], only_baseline=counts[1], only_jpegdl=counts[2], neither=counts[3])
    n, p, z = sum(counts), comparison.accuracy(arm), 1.959963984540054
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert comparison.interval(arm) == pytest.approx((centre - half, centre + half), abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [(7, 13), (13, 7), (0, 5), (0, 0), (4, 4), (100, 140), (1, 0)])
def test_p_is_the_exact_two_sided_mcnemar_test(first, second):
    comparison = Comparison(both=50, only_baseline=first, only_jpegdl=second, neither=30)
    n = first + second
    tail = sum(math.comb(n, k) for k in range(min(first, second) + 1)) / 2**n
    assert comparison.p_value == pytest.approx(min(1, 2 * tail), rel=1e-9)


@pytest.mark.parametrize("counts", [(-1, 0, 0, 2), (0, 0, 0, 0), (0.5, 1, 1, 1)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="whole numbers"):
        Comparison(both=counts[0], only_baseline=counts[1], only_jpegdl=counts[2], neither=counts[3])


# Preparing a picture


@pytest.mark.parametrize(("height", "width"), [(256, 353), (500, 300), (224, 224), (40, 900), (3, 5), (257, 511)])
@pytest.mark.parametrize("size", [224, 112])
def test_prepare_is_torchvisions_resize_and_centre_crop_up_to_their_rounding(height, width, size):
    picture = smooth_picture(height, width)
    short = round(size * 256 / 224)
    # torchvision cuts the long side to whole pixels and rounds the corner; we round the side and cut the corner
    sides = [round(side * short / min(height, width)) for side in (height, width)]
    theirs = resize(picture, short, InterpolationMode.BILINEAR)
    assert max(abs(theirs.height - sides[0]), abs(theirs.width - sides[1])) <= 1
    resized = np.asarray(resize(picture, sides, InterpolationMode.BILINEAR))
    top, left = ((side - size) // 2 for side in sides)
    ours = prepare(picture, size, short).permute(1, 2, 0).numpy()
    assert np.array_equal(ours, resized[top : top + size, left : left + size])


def test_prepare_of_a_square_is_exactly_torchvisions():
    picture = smooth_picture(300, 300)
    expected = center_crop(resize(picture, 128, InterpolationMode.BILINEAR), [112, 112])
    assert np.array_equal(prepare(picture, 112, 128).permute(1, 2, 0).numpy(), np.asarray(expected))


def test_a_picture_of_the_input_size_is_left_as_it_is_where_the_short_side_is_the_input_size():
    picture = smooth_picture(32, 32)
    assert np.array_equal(prepare(picture, 32, 32).permute(1, 2, 0).numpy(), np.asarray(picture))


def test_prepare_turns_other_modes_into_rgb():
    grey = smooth_picture(40, 40).convert("L")
    assert torch.equal(prepare(grey, 16, 18), prepare(grey.convert("RGB"), 16, 18))
    assert prepare(Image.new("RGBA", (40, 40), (10, 20, 30, 255)), 16, 18)[:, 0, 0].tolist() == [10, 20, 30]


def test_white_is_one():
    assert to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([0, 0.2, 1])


def test_a_renamed_copy_of_a_pair_is_a_pair_of_that_name(tmp_path):
    tiny_pair(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    pairs, refused = load_pairs(tmp_path)
    assert {name: pair.card.name for name, pair in pairs.items()} == {"one": "one", "two": "two"}
    assert refused == {}


def test_the_app_is_timed_on_a_pair_that_the_page_can_show(tmp_path):
    """One whose layer is inside the network stands first by its name, and must not keep the app from starting."""
    steps = torch.ones(16, 8, 8)
    layer = FeatureJPEGLayer(steps, 2.0, max_index=None)
    jpegdl = replace_first_relu(build_classifier("resnet32", 3, seed=2), lambda _: layer)
    facts = card("resnet32", 3, place="first relu", bits=None, initial_tables=(tables_of(steps.tolist()),))
    save_pair(tmp_path / "a", facts, both_arms(build_classifier("resnet32", 3, seed=1), jpegdl))
    write_pair(tmp_path / "b", "resnet32", 3)
    code = (
        "import sys, app; from pathlib import Path; from jpegdl.pairs.checkpoints import load_pair\n"
        "app.PAIRS.update({name: load_pair(Path(sys.argv[1]) / name) for name in sys.argv[2:]})\n"
        "print(app.seconds_per_analysis())\n"
    )
    for names, guessed in ((("a", "b"), False), (("a",), True)):
        words = [sys.executable, "-c", code, str(tmp_path), *names]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert (float(done.stdout) == 1.0) == guessed
