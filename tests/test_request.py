"""One request, one answer: what is computed, what is refused, and that both survive a process boundary."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from jpegdl.analysis.request import CHOICES, FIRST, Answer, Request, answer, choose_targets, make_request, shown_classes
from jpegdl.codec.quantizer import soft_quantize, soft_quantize_all_levels
from jpegdl.codec.roundtrip import roundtrip
from jpegdl.pairs.architectures import ARCHITECTURES
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.prepare import prepare, to_unit
from tests.tiny import TINY, add_tiny, noise_bytes, smooth_picture, tiny_pair

SIZE, CLASSES = 16, 20
Probabilities = dict[Arm, np.ndarray]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Iterator[dict[str, ModelPair]]:
    with pytest.MonkeyPatch.context() as patch:
        add_tiny(patch)
        yield {"one": tiny_pair(tmp_path_factory.mktemp("pairs") / "one", TINY, CLASSES)}


def square(seed: int = 0) -> np.ndarray:
    return noise_bytes(1, SIZE, seed)[0].permute(1, 2, 0).contiguous().numpy()


def ask(pairs: dict[str, ModelPair], seed: int = 0, **settings: Any) -> Answer:
    return answer(pairs, Request(pair="one", square=square(seed), **settings))


def test_the_probabilities_are_each_arms_softmax(pairs):
    image = to_unit(noise_bytes(1, SIZE))
    found = ask(pairs)
    for arm in ARMS:
        logits = pairs["one"].arm(arm)(image)[0].detach().double().numpy()
        assert np.allclose(found.probabilities[arm], np.exp(logits) / np.exp(logits).sum(), atol=1e-6)


@pytest.mark.parametrize("quantizer", ["five levels", "all levels"])
def test_the_reconstruction_is_what_the_backbone_was_given(pairs, quantizer):
    pair, image, given = pairs["one"], to_unit(noise_bytes(1, SIZE)), []
    hook = pair.jpegdl.backbone[0].register_forward_hook(lambda _, inputs, __: given.append(inputs[0]))
    found = ask(pairs, quantizer=quantizer)
    hook.remove()
    formula = {"five levels": soft_quantize, "all levels": soft_quantize_all_levels}[quantizer]
    made = roundtrip(image, pair.codec.steps, pair.codec.alpha, max_index=pair.codec.max_index, quantizer=formula)
    assert torch.equal(given[0], pair.jpegdl.normalize(made))
    shown = np.rint(255 * np.clip(made[0].detach().double().numpy(), 0, 1)).transpose(1, 2, 0)
    assert np.array_equal(found.reconstruction, shown)
    assert found.compression.moved == pytest.approx((made - image).abs().mean().item(), rel=1e-5)
    assert np.array_equal(found.square, square())


def test_both_arms_have_a_map_of_every_class_that_is_shown(pairs):
    found = ask(pairs, true=19, target=18)
    firsts = {int(k) for arm in ARMS for k in np.argsort(-found.probabilities[arm])[:FIRST]}
    assert firsts | {18, 19} <= set(found.classes)
    assert len(set(found.classes)) == len(found.classes) <= 2 * FIRST + 3
    for arm in ARMS:
        assert found.maps[arm].shape == (len(found.classes), 8, 8)
        assert found.map(arm, 19).shape == (8, 8)
        assert (found.maps[arm] >= 0).all()


def test_one_class_has_the_same_map_whatever_else_is_shown(pairs):
    one, other = ask(pairs, target=3), ask(pairs, target=17, true=3)
    for arm in ARMS:
        assert np.allclose(one.map(arm, 3), other.map(arm, 3), rtol=1e-5, atol=1e-9)


def test_without_a_stage_the_answer_is_about_the_last_and_says_so(pairs):
    found = ask(pairs)
    assert found.stage == list(ARCHITECTURES[TINY].stages)[-1] == "last"
    assert np.array_equal(found.maps["jpegdl"], ask(pairs, stage="last").maps["jpegdl"])
    assert not np.array_equal(found.maps["jpegdl"], ask(pairs, stage="early").maps["jpegdl"])


def test_request_and_answer_survive_pickling_and_hold_no_tensor(pairs):
    request = Request(pair="one", square=square(), true=3)
    found = answer(pairs, pickle.loads(pickle.dumps(request)))
    data = pickle.dumps(found)
    assert b"torch" not in data
    again = pickle.loads(data)
    for arm in ARMS:
        assert np.array_equal(again.maps[arm], found.maps[arm])
        assert np.array_equal(again.probabilities[arm], found.probabilities[arm])
    assert again.request.true == 3
    assert again.seconds > 0
    assert 1 <= request.seconds <= 60


PROBABILITIES: Probabilities = {
    "baseline": np.array([0.5, 0.4, 0.1], dtype=np.float32),
    "jpegdl": np.array([0.1, 0.4, 0.5], dtype=np.float32),
}


def test_shared_explains_the_highest_mean_own_each_arms_first_and_true_the_true_class():
    assert choose_targets(PROBABILITIES, "shared", None) == {"baseline": 1, "jpegdl": 1}
    assert choose_targets(PROBABILITIES, "own", None) == {"baseline": 0, "jpegdl": 2}
    assert choose_targets(PROBABILITIES, "true", 2) == {"baseline": 2, "jpegdl": 2}
    assert choose_targets(PROBABILITIES, 2, 0) == {"baseline": 2, "jpegdl": 2}


def test_the_most_probable_of_both_is_shown_even_if_it_is_sixth_in_each():
    baseline = np.array([*[0.17] * 5, *[0.0] * 5, 0.15], dtype=np.float32)
    jpegdl = np.array([*[0.0] * 5, *[0.17] * 5, 0.15], dtype=np.float32)
    assert 10 in shown_classes({"baseline": baseline, "jpegdl": jpegdl}, 3, None)


# Refusals


def test_the_true_class_as_target_needs_a_true_class():
    with pytest.raises(ValueError, match="which class that is was not said"):
        Request(pair="one", square=square(), target="true")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pair": "two"}, "no pair 'two'; there are: 'one'"),
        ({"stage": "stage 9"}, "no stage 'stage 9'; there are: 'early', 'last'"),
        ({"quantizer": "none"}, "no quantizer 'none'; there are: 'five levels', 'all levels'"),
        ({"target": "both"}, "no target 'both'; there are: 'shared', 'true', 'own'"),
        ({"target": CLASSES}, rf"target must be a class index 0\.\.{CLASSES - 1} of one, got {CLASSES}"),
        ({"true": -1}, rf"true class must be a class index 0\.\.{CLASSES - 1} of one, got -1"),
        ({"square": np.zeros((8, 8, 3), np.uint8)}, r"\(16, 16, 3\) and type uint8, got \(8, 8, 3\)"),
        ({"square": np.zeros((16, 16, 3))}, "got .* and float64; call prepare first"),
    ],
)
def test_what_the_pair_does_not_have_is_refused_by_name(pairs, settings, message):
    with pytest.raises(ValueError, match=message):
        answer(pairs, replace(Request(pair="one", square=square()), **settings))


# By names


def test_a_request_by_names_is_the_one_by_indices(pairs):
    card, picture = pairs["one"].card, smooth_picture(40, 60)
    made = make_request(card, picture, target="class 7", true_class="class 3", stage="early", quantizer="all levels")
    assert (made.target, made.true, made.stage, made.quantizer) == (7, 3, "early", "all levels")
    expected = prepare(picture, card.input_size, card.short_side).permute(1, 2, 0).numpy()
    assert np.array_equal(made.square, expected)


@pytest.mark.parametrize("target", CHOICES)
def test_keys_are_targets_and_the_last_stage_is_taken_if_none_is_named(pairs, target):
    made = make_request(pairs["one"].card, smooth_picture(40, 60), target=target, true_class="class 3")
    assert (made.target, made.stage, made.quantizer) == (target, "last", "five levels")


@pytest.mark.parametrize("value", ["class 99", "", 3, ["class 3"], {"a": 1}, True, "x" * 10**6])
@pytest.mark.parametrize("setting", ["target", "true_class", "stage", "quantizer"])
def test_whatever_else_comes_is_refused_in_one_short_sentence(pairs, setting, value):
    with pytest.raises(ValueError, match="There is no ") as refused:
        make_request(pairs["one"].card, smooth_picture(40, 60), **{setting: value})
    assert len(str(refused.value)) < 400
