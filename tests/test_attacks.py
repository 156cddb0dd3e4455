"""Attacks against a linear model with known smallest perturbations; ways past the layer; checks beside a number."""

import json
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from jpegdl.analysis import robustness
from jpegdl.analysis.attacks import (
    ART,
    EPSILONS,
    fgsm,
    look,
    pgd,
    pgd_last,
    smooth_backward,
    square,
    straight_through,
)
from jpegdl.analysis.masking import masking_signs
from jpegdl.analysis.robustness import attack_pair, check_gradients, pictures_at_once, seconds_at_most
from jpegdl.analysis.suites import paper_suite, strong_suite
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import Quantizer, soft_quantize, soft_quantize_all_levels
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Classifier, build_classifier
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.measured import Attack, GradientChecks, RobustAccuracy
from tests.tiny import TINY, add_tiny, noise, noise_bytes, tables

SIDE = 16


@pytest.fixture(autouse=True)
def tiny_architecture(monkeypatch):
    add_tiny(monkeypatch)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_pair(codec: JPEGLayer) -> ModelPair:
    """Two different untrained tiny networks of 5 classes without a favourite; of a card only these facts are read."""
    facts = cast(PairCard, SimpleNamespace(name="pair", architecture=TINY, input_size=SIDE))
    arms = (build_classifier(TINY, 5, seed=1), build_classifier(TINY, 5, seed=2, codec=codec))
    with torch.no_grad():
        for arm in arms:
            arm.train()(noise(8, SIDE))
            arm.backbone.get_parameter("7.bias").sub_(arm.eval()(noise_bytes(40, SIDE) / 255).mean(0))
    return ModelPair.of(facts, *arms)


def own_answers(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images).argmax(1)


class Linear(nn.Module):
    """Two classes; the margin of class 1 is weight . x + bias: the smallest perturbation is |margin| / |weight|_1."""

    def __init__(self, seed: int = 0, side: int = 4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3 * side * side, generator=seeded(seed), dtype=torch.float64))
        self.bias = nn.Parameter(torch.tensor(0.1, dtype=torch.float64))
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        margin = images.double().flatten(1) @ self.weight + self.bias
        return torch.stack([torch.zeros_like(margin), margin], dim=1)

    def smallest_perturbation(self, images: Tensor) -> Tensor:
        return self(images)[:, 1].detach().abs() / self.weight.detach().abs().sum()


def grey_pictures(count: int = 20, side: int = 4) -> Tensor:
    """Far enough from 0 and 1 that the box never cuts off a perturbation of the linear model."""
    return 0.5 + 0.1 * (noise(count, side).double() - 0.5)


# The attacks

ATTACKS: dict[str, Any] = {"fgsm": fgsm, "pgd_last": pgd_last, "pgd": pgd}


@pytest.mark.parametrize("factor", [0.98, 1.02])
@pytest.mark.parametrize("name", ["fgsm", "pgd_last", "pgd"])
def test_a_linear_model_falls_exactly_from_its_smallest_perturbation_on(name, factor):
    model, images = Linear(), grey_pictures()
    labels = own_answers(model, images)
    for image, label, smallest in zip(images, labels, model.smallest_perturbation(images), strict=True):
        eps = factor * smallest.item()
        steps = {"steps": 2, "step_size": eps, "generator": seeded()}  # from any start, exactly enough
        example = ATTACKS[name](model, image[None], label[None], eps, **({} if name == "fgsm" else steps))
        assert (own_answers(model, example) != label).item() == (factor > 1)


@settings(max_examples=30, deadline=None)
@given(
    eps=st.sampled_from([0.0, *EPSILONS, 0.3, 1.0]),
    extreme=st.booleans(),
    seed=st.integers(0, 99),
    name=st.sampled_from(["fgsm", "pgd_last", "pgd"]),
)
def test_examples_stay_in_the_budget_and_in_the_pixel_range(eps, extreme, seed, name):
    images = noise(3, 8, seed)
    images = images.round() if extreme else images
    model = Linear(seed, 8)
    labels = own_answers(model, images)
    steps = {"steps": 3, "step_size": max(eps, 0.01), "generator": seeded(seed)}
    examples = ATTACKS[name](model, images, labels, eps, **({} if name == "fgsm" else steps))
    assert examples.shape == images.shape
    assert (examples - images).abs().max() <= eps + 1e-6
    assert examples.min() >= 0
    assert examples.max() <= 1


class Sawtooth(nn.Module):
    """A loss that jumps: many small teeth, whose gradient leads up to an edge behind which the loss is low again."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = list[Tensor]()
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.detach().clone())
        height = (1000 * images.mean((1, 2, 3))).frac()
        return torch.stack([torch.zeros_like(height), 0.995 - height], dim=1)


def test_pgd_keeps_the_worst_point_that_it_met_where_the_last_one_is_weaker():
    model, label, weaker = Sawtooth(), torch.tensor([1]), 0
    for seed in range(20):
        model.seen.clear()
        image = noise(1, 4, seed)
        budget: dict[str, Any] = {"steps": 6, "step_size": 0.02 / 6, "generator": seeded(seed)}
        found = look(model, pgd(model, image, label, 0.01, restarts=2, **budget), label)
        losses, right = zip(
            *((p.losses, p.right) for p in [look(model, x, label) for x in list(model.seen)]), strict=True
        )
        assert not found.right.item() if not all(right) else found.losses >= max(losses)
        last = look(model, pgd_last(model, image, label, 0.01, **(budget | {"generator": seeded(seed)})), label)
        weaker += int(last.losses < found.losses)
    assert weaker > 5  # or the case that this test is about does not occur


def test_a_picture_with_a_wrong_answer_costs_pgd_no_further_pass():
    model = Sawtooth()
    images, labels = noise(4, 4), torch.tensor([0, 1, 0, 1])
    examples = pgd(model, images, labels, 0.0001, steps=2, step_size=0.0001, generator=seeded())
    right = own_answers(Sawtooth(), images) == labels
    assert 0 < right.sum() < 4
    assert len(model.seen[0]) == 4
    assert len(model.seen[1]) == right.sum()
    assert torch.equal(examples[~right], images[~right])


def test_more_restarts_find_errors_that_one_start_does_not():
    model, labels = Sawtooth(), torch.ones(40, dtype=torch.long)
    images = noise(40, 4)
    budget: dict[str, Any] = {"steps": 1, "step_size": 1e-5}
    left = [
        int(
            (own_answers(model, pgd(model, images, labels, 0.004, restarts=n, generator=seeded(), **budget)) == 1).sum()
        )
        for n in (1, 20)
    ]
    assert left[1] < left[0]


def test_random_attacks_repeat_with_the_seed_and_differ_without():
    model, images = make_pair(JPEGLayer(tables(), 5.0)).jpegdl, noise(4, SIDE)
    labels = own_answers(model, images)
    for attack in (pgd_last, pgd):
        first, again, other = (
            attack(model, images, labels, 0.01, steps=3, step_size=0.001, generator=seeded(seed)) for seed in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_the_papers_budgets_are_those_of_its_figure():
    assert np.allclose(255 * np.array(EPSILONS), [1, 4 / 3, 5 / 3, 2, 7 / 3, 8 / 3, 3, 10 / 3, 11 / 3, 4])
    one_step, many = paper_suite()[:10], paper_suite()[10:]
    assert [attack.epsilon for attack in one_step] == [attack.epsilon for attack in many] == list(EPSILONS)
    assert {attack.method for attack in one_step} == {"fgsm"}
    assert {(attack.method, attack.steps, attack.step_size / attack.epsilon) for attack in many} == {
        ("pgd-last", 5, 0.5)
    }


def test_an_attack_leaves_the_model_without_gradients_and_as_it_was():
    model = make_pair(JPEGLayer(tables(), 5.0)).jpegdl.requires_grad_(True)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    images, labels = noise(2, SIDE), torch.tensor([0, 1])
    fgsm(model, images, labels, 0.01)
    for attacked in (model, straight_through(model), smooth_backward(model)):
        pgd(attacked, images, labels, 0.01, steps=2, step_size=0.01, generator=seeded())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(module.training for module in model.modules())


def test_training_mode_bytes_and_empty_budgets_are_refused():
    model, images, labels = Linear(), grey_pictures(2), torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"call eval\(\) first"):
        fgsm(Linear().train(), images, labels, 0.1)
    with pytest.raises(ValueError, match=r"floating point in \[0, 1\]"):
        fgsm(model, (255 * images).byte(), labels, 0.1)
    with pytest.raises(ValueError, match=r"floating point in \[0, 1\]"):
        fgsm(model, 255 * images, labels, 0.1)
    with pytest.raises(ValueError, match="with labels"):
        fgsm(model, images, labels[:1], 0.1)
    for budget in ({"steps": 0}, {"step_size": 0.0}, {"restarts": 0}, {"eps": -0.1}, {"eps": 4}):
        whole: dict[str, Any] = {"eps": 0.1, "steps": 1, "step_size": 0.1, "restarts": 1} | budget
        with pytest.raises(ValueError, match="a budget needs"):
            pgd(model, images, labels, generator=seeded(), **whole)


# Gradients past the layer


def gradient_at(model: Classifier, seen: Tensor, labels: Tensor) -> Tensor:
    """The loss's gradient of normalisation and backbone alone, at what they are given."""
    return look(
        Classifier(nn.Identity(), model.backbone, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)).eval(), seen, labels
    ).gradient


def test_straight_through_gives_the_same_logits_and_the_backbones_gradient_at_the_reconstruction():
    model, images, labels = make_pair(JPEGLayer(tables(2), 5.0)).jpegdl, noise(3, SIDE), torch.tensor([0, 1, 2])
    bypassed = straight_through(model)
    assert torch.equal(bypassed(images), model(images))
    expected = gradient_at(model, model.codec(images), labels)
    assert torch.allclose(look(bypassed, images, labels).gradient, expected, rtol=1e-5, atol=1e-9)
    assert not torch.allclose(look(model, images, labels).gradient, expected, rtol=0.1)


def test_straight_through_a_baseline_changes_nothing():
    model, images, labels = make_pair(JPEGLayer(tables(), 5.0)).baseline, noise(3, SIDE), torch.tensor([0, 1, 2])
    for bypassed in (straight_through(model), smooth_backward(model)):
        for value, expected in zip(look(bypassed, images, labels), look(model, images, labels), strict=True):
            assert torch.equal(value, expected)


def test_smooth_backward_is_nearly_straight_through_inside_the_index_limit():
    model, images, labels = make_pair(JPEGLayer(tables(), 50.0)).jpegdl, noise(3, SIDE), torch.tensor([0, 1, 2])
    assert torch.equal(smooth_backward(model)(images), model(images))
    smooth, straight = (look(way(model), images, labels).gradient for way in (smooth_backward, straight_through))
    assert (smooth - straight).norm() < 0.01 * straight.norm()


def limiting_codec() -> JPEGLayer:
    """Steps so small, in a quantizer so hard, that the slope at whatever is not grey is 0."""
    return JPEGLayer(torch.full((2, 8, 8), 1e-5), 1e10)


def test_smooth_backward_passes_nothing_where_the_layer_cuts_off_and_straight_through_does():
    model, images, labels = make_pair(limiting_codec()).jpegdl, noise(3, SIDE), torch.tensor([0, 1, 2])
    assert smooth_backward(model, hardness=1e6)(images).equal(model(images))
    assert look(smooth_backward(model), images, labels).gradient.abs().max() == 0
    assert look(straight_through(model), images, labels).gradient.abs().max() > 0


def test_a_classifier_in_training_mode_is_not_wrapped():
    with pytest.raises(ValueError, match=r"call eval\(\) first"):
        straight_through(make_pair(JPEGLayer(tables(), 5.0)).jpegdl.train())


# Square


def test_square_stays_in_its_budget_and_its_queries_and_leaves_numpys_random_state():
    pytest.importorskip("art.attacks.evasion", reason=f"{ART} is not installed")
    model, images = make_pair(JPEGLayer(tables(), 5.0)).jpegdl, noise(5, SIDE)
    labels = own_answers(model, images)
    asked = []
    model.register_forward_pre_hook(lambda _, inputs: asked.append(len(inputs[0])))
    np.random.seed(3)
    before = np.random.random()
    np.random.seed(3)
    examples = square(model, images, labels, 8 / 255, queries=20, generator=seeded())
    assert np.random.random() == before
    assert 0 < (examples - images).abs().max() <= 8 / 255 + 1e-6
    assert 0 <= examples.min() <= examples.max() <= 1
    assert sum(asked) <= 1 + 5 * 22
    assert torch.equal(examples, square(model, images, labels, 8 / 255, queries=20, generator=seeded()))
    assert not torch.equal(examples, square(model, images, labels, 8 / 255, queries=20, generator=seeded(1)))


def test_square_fools_a_linear_model_above_its_smallest_perturbation_and_never_below():
    pytest.importorskip("art.attacks.evasion", reason=f"{ART} is not installed")
    model, images = Linear(side=8), grey_pictures(6, 8).float()
    labels, smallest = own_answers(model, images), model.smallest_perturbation(images)
    for factor, fooled in ((0.98, 0), (8.0, 6)):
        found = [
            square(model, image[None], label[None], factor * eps.item(), queries=300, generator=seeded())
            for image, label, eps in zip(images, labels, smallest, strict=True)
        ]
        assert int((own_answers(model, torch.cat(found)) != labels).sum()) == fooled


def test_square_needs_no_gradient():
    pytest.importorskip("art.attacks.evasion", reason=f"{ART} is not installed")
    model = make_pair(limiting_codec()).jpegdl
    images = torch.cat([noise(2, SIDE), noise(2, SIDE).round()])
    labels = own_answers(model, images)
    assert look(model, images, labels).gradient.abs().max() == 0
    assert torch.equal(fgsm(model, images, labels, 0.2), images)
    assert not torch.equal(square(model, images, labels, 0.2, queries=10, generator=seeded()), images)


def test_square_without_art_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "art.attacks.evasion", None)
    with pytest.raises(ValueError, match=f"pip install {ART}"):
        square(Linear(), grey_pictures(1), torch.tensor([1]), 0.1, queries=1, generator=seeded())


# Checks beside a number


def bytes_and_labels(pair: ModelPair, count: int = 24) -> tuple[Tensor, Tensor]:
    """Noise, labelled by what the arms answer in turn, so that each is right at least every second time."""
    images = noise_bytes(count, SIDE)
    baseline, jpegdl = (own_answers(pair.arm(arm), images / 255) for arm in ARMS)
    return images, torch.where(torch.arange(count) % 2 == 0, baseline, jpegdl)


def test_the_share_of_zero_gradients_on_a_limiting_layer_is_the_share_of_pictures_that_are_not_grey():
    pair = make_pair(limiting_codec())
    grey = torch.full((3, 3, SIDE, SIDE), 128, dtype=torch.uint8)  # every coefficient 0, at the middle level
    images = torch.cat([noise_bytes(5, SIDE), grey])
    checks = check_gradients(pair, images, torch.zeros(8, dtype=torch.long), batch_size=3)
    assert checks.zero_gradient_pictures == pytest.approx({"baseline": 0, "jpegdl": 5 / 8})
    assert checks.zero_gradient_values["jpegdl"] == pytest.approx(5 / 8, abs=0.05)
    assert checks.zero_gradient_values["baseline"] < 0.01
    assert checks.n == 8


@pytest.mark.parametrize(
    ("luma", "chroma", "quantizer", "flat"),
    [
        (0.1, 0.1, soft_quantize_all_levels, 0.0),  # the identity
        (1e6, 0.1, soft_quantize_all_levels, 1 / 3),  # luma rounds
        (0.1, 1e6, soft_quantize_all_levels, 2 / 3),
        (1e-4, 1e-4, soft_quantize, 1.0),  # five levels of equal weight: slope 4 h
    ],
)
def test_the_share_of_flat_coefficients_follows_from_the_hardness(luma, chroma, quantizer: Quantizer, flat):
    steps = torch.full((2, 8, 8), 8.0)
    alpha = torch.tensor([luma, chroma]).view(2, 1, 1).expand(2, 8, 8) / 64
    pair = make_pair(JPEGLayer(steps, alpha, max_index=None, quantizer=quantizer))
    checks = check_gradients(pair, noise_bytes(6, SIDE), torch.zeros(6, dtype=torch.long))
    assert checks.flat_coefficients == pytest.approx(flat, abs=0.005)


def test_hardness_is_counted_over_luma_and_chroma_tables_with_equal_weight():
    steps = torch.empty(2, 8, 8)
    steps[0, :5], steps[0, 5:] = 0.1, 1.0  # 40 entries of hardness 0.05, 24 of 5
    steps[1, :3], steps[1, 3:] = 0.5, 2.0  # 24 of 1.25, 40 of 20
    checks = check_gradients(make_pair(JPEGLayer(steps, 5.0)), noise_bytes(2, SIDE), torch.tensor([0, 1]))
    assert checks.median_hardness_luma == pytest.approx(0.05)
    assert checks.median_hardness_chroma == pytest.approx(20.0)
    assert checks.median_hardness == pytest.approx((1.25 + 5) / 2)
    assert checks.hard_entries == pytest.approx(0.5)


def counts(jpegdl: int, n: int = 100) -> Comparison:
    return Comparison(both=jpegdl, only_baseline=0, only_jpegdl=0, neither=n - jpegdl)


def checks_of(n: int = 100, flat: float = 0.0) -> GradientChecks:
    return GradientChecks(
        n=n,
        zero_gradient_pictures={"baseline": 0.0, "jpegdl": 0.0},
        zero_gradient_values={"baseline": 0.0, "jpegdl": 0.0},
        flat_coefficients=flat,
        median_hardness=1.0,
        median_hardness_luma=1.0,
        median_hardness_chroma=1.0,
        hard_entries=0.0,
    )


def test_a_robust_accuracy_cannot_be_built_without_its_checks_or_with_counts_of_other_pictures():
    attack = paper_suite()[0]
    with pytest.raises(TypeError, match="checks"):
        RobustAccuracy(attack=attack, clean=counts(9), attacked=counts(3))  # type: ignore[call-arg]
    for field in GradientChecks.__dataclass_fields__:
        with pytest.raises(TypeError, match=field):
            GradientChecks(**{key: value for key, value in asdict(checks_of()).items() if key != field})
    with pytest.raises(ValueError, match="of the same pictures"):
        RobustAccuracy(attack=attack, clean=counts(9), attacked=counts(3, 50), checks=checks_of())
    with pytest.raises(ValueError, match="of the same pictures"):
        RobustAccuracy(attack=attack, clean=counts(9), attacked=counts(3), checks=checks_of(50))


def test_only_attacks_that_exist_can_be_named():
    pgd_row, square_row = strong_suite()[0], strong_suite()[4]
    for attack, change in (
        (pgd_row, {"method": "deepfool"}),
        (pgd_row, {"backward": "none"}),
        (square_row, {"backward": "straight-through"}),
        (square_row, {"restarts": 2}),
        (paper_suite()[0], {"steps": 5}),
    ):
        with pytest.raises(ValueError, match=attack.name):
            replace(attack, **change)


# A pair under attack

EPS = 4 / 255


def light_suite() -> tuple[Attack, ...]:
    """Without Square, which needs ART."""
    strong = strong_suite((EPS,), steps=4, restarts=2)
    return (*paper_suite((EPS,)), *(attack for attack in strong if attack.method != "square"))


def test_rows_are_the_attacks_done_by_hand():
    pair = make_pair(JPEGLayer(tables(), 5.0))
    images, labels = bytes_and_labels(pair)
    rows = {row.attack.name: row for row in attack_pair(pair, images, labels, suite=light_suite(), seed=7)}
    x, size = images / 255, 2.5 * EPS / 4
    step: dict[str, Any] = {"steps": 4, "step_size": size}
    by_hand = {
        "FGSM": lambda arm: fgsm(arm, x, labels, EPS),
        "PGD, as in the paper": lambda arm: pgd_last(
            arm, x, labels, EPS, steps=5, step_size=EPS / 2, generator=seeded(7)
        ),
        "PGD": lambda arm: pgd(arm, x, labels, EPS, restarts=2, generator=seeded(7), **step),
        "PGD, straight-through": lambda arm: pgd(
            straight_through(arm), x, labels, EPS, restarts=2, generator=seeded(7), **step
        ),
        "PGD, smooth backward": lambda arm: pgd(
            smooth_backward(arm), x, labels, EPS, restarts=2, generator=seeded(7), **step
        ),
    }
    for name, examples in by_hand.items():
        right = [own_answers(pair.arm(arm), examples(pair.arm(arm))) == labels for arm in ARMS]
        assert [rows[name].attacked.correct(arm) for arm in ARMS] == [int(side.sum()) for side in right], name
        assert rows[name].attacked.both == int((right[0] & right[1]).sum())
        assert rows[name].clean.both < 24 == rows[name].clean.n - rows[name].clean.neither
    assert len({row.attacked for row in rows.values()}) > 2


def test_transfer_tests_each_arm_on_the_examples_of_the_other():
    pair = make_pair(JPEGLayer(tables(), 5.0))
    images, labels = bytes_and_labels(pair)
    (attack,) = (attack for attack in light_suite() if attack.transferred)
    attack = replace(attack, epsilon=0.1, step_size=0.05)
    (row,) = attack_pair(pair, images, labels, suite=[attack], seed=7)
    for victim, source in (("baseline", straight_through(pair.jpegdl)), ("jpegdl", pair.baseline)):
        examples = pgd_last(source, images / 255, labels, 0.1, steps=4, step_size=0.05, generator=seeded(7))
        expected = int((own_answers(pair.arm(victim), examples) == labels).sum())  # type: ignore[arg-type]
        assert row.attacked.correct(victim) == expected  # type: ignore[arg-type]
    (own,) = attack_pair(pair, images, labels, suite=[replace(attack, transferred=False)], seed=7)
    assert own.attacked != row.attacked


def test_a_row_depends_on_its_seed_and_not_on_the_other_rows():
    pair = make_pair(JPEGLayer(tables(), 5.0))
    images, labels = bytes_and_labels(pair, 6)
    whole = list(attack_pair(pair, images, labels, suite=light_suite()))
    for attack, row in zip(light_suite(), whole, strict=True):
        assert list(attack_pair(pair, images, labels, suite=[attack])) == [row]


def test_the_baseline_is_attacked_once_for_all_ways_past_a_layer_that_it_does_not_have(monkeypatch):
    pair = make_pair(JPEGLayer(tables(), 5.0))
    images, labels = bytes_and_labels(pair)
    attacked = []

    def recorded(model: nn.Module, *rest: Any, **budget: Any) -> Tensor:
        attacked.append(model)
        return pgd(model, *rest, **budget)

    monkeypatch.setattr(robustness, "pgd", recorded)
    suite = [attack for attack in light_suite() if attack.method == "pgd"]
    rows = list(attack_pair(pair, images, labels, suite=suite))
    assert len(suite) == 3
    assert attacked.count(pair.baseline) == 1
    assert len(attacked) == 4
    assert len({row.attacked.correct("baseline") for row in rows}) == 1


def test_what_is_told_of_a_row_is_where_it_stands():
    """Ten pictures in batches of four; FGSM looks once at each, the paper's PGD five times."""
    pair = make_pair(JPEGLayer(tables(), 5.0))
    images, labels = bytes_and_labels(pair, 10)
    told: list[Any] = []
    suite = paper_suite((EPS,))
    rows = list(attack_pair(pair, images, labels, suite=suite, batch_size=4, watch=told.append))
    assert [tuple(moment) for moment in told] == [
        (attack, arm, done, number)
        for attack, looks in zip(suite, (1, 5), strict=True)
        for arm in ARMS
        for done in (0, 4, 8)
        for number in range(1, looks + 1)
    ]
    assert rows == list(attack_pair(pair, images, labels, suite=suite, batch_size=4))
    assert not any(arm._forward_hooks for arm in (pair.baseline, pair.jpegdl))


def test_a_suite_takes_as_long_as_was_said_if_nothing_fools_a_network(monkeypatch):
    """With a clock that ticks once for each picture that a network looks at, and budgets that change no answer."""
    pair = make_pair(JPEGLayer(tables(), 5.0))
    images = noise_bytes(60, SIDE)
    baseline, jpegdl = (own_answers(pair.arm(arm), images / 255) for arm in ARMS)
    images, labels = images[baseline == jpegdl][:7], baseline[baseline == jpegdl][:7]
    looked_at: list[int] = []

    def looks(_: nn.Module, inputs: tuple[Tensor], __: Tensor) -> None:
        if torch.is_grad_enabled():
            looked_at.append(len(inputs[0]))

    for arm in (pair.baseline, pair.jpegdl):
        arm.backbone.register_forward_hook(looks)
    monkeypatch.setattr(robustness, "time", SimpleNamespace(perf_counter=lambda: sum(looked_at)))
    strong = strong_suite((1e-9,), steps=4, restarts=3, queries=1)
    suite = (*paper_suite((1e-9,)), *(attack for attack in strong if attack.method != "square"))
    said = seconds_at_most(pair, images, labels, suite=suite)
    looked_at.clear()
    rows = list(attack_pair(pair, images, labels, suite=suite))
    assert all(row.attacked.both == 7 for row in rows)
    assert said == sum(looked_at)


def test_rows_come_one_by_one_and_are_json():
    pair = make_pair(JPEGLayer(tables(), 5.0))
    images, labels = bytes_and_labels(pair, 4)
    rows = attack_pair(pair, images, labels, suite=light_suite())
    first = json.loads(json.dumps(asdict(next(rows)), allow_nan=False))
    assert first["attack"]["name"] == "FGSM"
    assert first["checks"]["n"] == 4
    assert first["attacked"].keys() == {"both", "only_baseline", "only_jpegdl", "neither"}


def test_a_pair_without_a_layer_at_the_input_is_refused():
    pair = make_pair(JPEGLayer(tables(), 5.0))
    images, labels = bytes_and_labels(pair, 2)
    with pytest.raises(ValueError, match="no JPEG layer at the input"):
        next(attack_pair(replace(pair, jpegdl=pair.baseline), images, labels, suite=paper_suite()))


# Signs of masking


def row_of(attack: Attack, left: int, flat: float = 0.0) -> RobustAccuracy:
    return RobustAccuracy(attack=attack, clean=counts(90), attacked=counts(left), checks=checks_of(flat=flat))


def strong(number: int, eps: float = EPS) -> Attack:
    return strong_suite((eps,))[number]


FGSM, PAPER_PGD = paper_suite((EPS,))
PGD, STRAIGHT, SMOOTH, TRANSFER, SQUARE = (strong(number) for number in range(5))


@pytest.mark.parametrize(
    ("weak", "strong", "why"),
    [
        (FGSM, PAPER_PGD, "more steps"),
        (PAPER_PGD, PGD, "more steps"),
        (SQUARE, PGD, "without gradients"),
        (TRANSFER, PGD, "another network"),
        (STRAIGHT, PGD, "past the layer"),
        (SMOOTH, PGD, "past the layer"),
        (strong(0, 1 / 255), PGD, "larger budget"),
    ],
)
def test_a_weaker_attack_that_finds_more_errors_is_a_sign(weak, strong, why):
    (sign,) = masking_signs([row_of(weak, 20), row_of(strong, 60)], "jpegdl")
    assert why in sign
    assert f"{weak.name} left JPEG-DL 20 of 100 right answers at {255 * weak.epsilon:.3g}/255" in sign
    assert f"left 60 of 100 at {255 * strong.epsilon:.3g}/255" in sign
    assert masking_signs([row_of(weak, 60), row_of(strong, 20)], "jpegdl") == []
    assert masking_signs([row_of(weak, 20), row_of(strong, 20)], "jpegdl") == []


def test_what_hides_in_the_baseline_is_a_sign_of_its_own():
    rows = [
        replace(row_of(attack, 0), attacked=Comparison(both=0, only_baseline=left, only_jpegdl=0, neither=100 - left))
        for attack, left in ((SQUARE, 20), (PGD, 60))
    ]
    (sign,) = masking_signs(rows, "baseline")
    assert sign.startswith("Square left the baseline 20 of 100 right answers")
    assert masking_signs(rows, "jpegdl") == []


def test_one_step_need_not_find_more_in_a_larger_budget():
    """It ends at the border of the budget, wherever the loss is highest inside."""
    small, large = (paper_suite((share * EPS,)) for share in (0.5, 1.0))
    assert masking_signs([row_of(small[0], 4), row_of(large[0], 5)], "jpegdl") == []
    (sign,) = masking_signs([row_of(small[1], 4), row_of(large[1], 40)], "jpegdl")
    assert "a larger budget contains the smaller one" in sign


def test_fewer_than_six_pictures_of_the_same_n_are_no_sign():
    """Six coins that fall alike are one case in 32, five one in 16: attacks start at random points."""
    small, large = (paper_suite((share * EPS,))[1] for share in (0.5, 1.0))
    assert masking_signs([row_of(small, 0), row_of(large, 5)], "jpegdl") == []
    assert len(masking_signs([row_of(small, 0), row_of(large, 6)], "jpegdl")) == 1


@pytest.mark.parametrize(
    ("first", "second"), [(FGSM, SQUARE), (FGSM, TRANSFER), (SQUARE, STRAIGHT), (FGSM, strong(0, 1 / 255))]
)
def test_nothing_is_expected_of_attacks_that_cannot_be_ranked(first, second):
    assert masking_signs([row_of(first, 20), row_of(second, 60)], "jpegdl") == []


def test_rows_of_other_numbers_of_pictures_are_compared_by_their_shares_and_only_clear_differences_are_signs():
    """30 of 100 against 400 of 1,000 differ by chance in 5 of 100 cases or more, 20 of 100 do not."""
    many = RobustAccuracy(attack=PGD, clean=counts(900, 1000), attacked=counts(400, 1000), checks=checks_of(1000))
    assert masking_signs([row_of(SQUARE, 31), many], "jpegdl") == []
    (sign,) = masking_signs([row_of(SQUARE, 20), many], "jpegdl")
    assert sign.startswith(
        f"Square left JPEG-DL 20 of 100 right answers at {255 * EPS:.3g}/255, PGD left 400 of 1000 at "
    )
    assert masking_signs([row_of(SQUARE, 60), many], "jpegdl") == []


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: strong_suite(steps=0), "steps, restarts and queries must be at least 1, got 0, 5 and 1000"),
        (lambda: strong_suite(restarts=0), "got 50, 0 and 1000"),
        (lambda: strong_suite(queries=-1), "got 50, 5 and -1"),
        (lambda: strong_suite([0.0]), "above 0 and at most 1 .white., got 0.0; divide grey levels by 255"),
        (lambda: paper_suite([4]), "got 4; divide"),
    ],
)
def test_a_suite_refuses_budgets_that_are_none(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_no_picture_is_no_attack():
    pair = make_pair(JPEGLayer(tables(), 5.0))
    images, labels = bytes_and_labels(pair, 2)
    with pytest.raises(ValueError, match="at least 1 picture must be attacked"):
        attack_pair(pair, images[:0], labels[:0], suite=light_suite())


def test_a_batch_has_as_many_pixels_at_every_size_but_no_more_than_256_pictures():
    assert [pictures_at_once(side) for side in (32, 128, 224, 448)] == [256, 98, 32, 8]


def test_a_layer_that_is_flat_for_most_coefficients_is_a_sign():
    assert masking_signs([row_of(FGSM, 50, flat=0.97)], "jpegdl") == [
        "the layer passes no gradient for 97% of the coefficients"
    ]
    assert masking_signs([row_of(FGSM, 50, flat=0.2)], "jpegdl") == []
    assert masking_signs([], "jpegdl") == []


def test_a_hard_layer_shows_signs_and_a_layer_that_is_the_identity_none():
    """The layer's gradient is gone where it rounds, and an attack past it still works."""
    found = {}
    for alpha in (0.4, 1e5):
        pair = make_pair(JPEGLayer(torch.ones(2, 8, 8), alpha, max_index=None, quantizer=soft_quantize_all_levels))
        images, labels = bytes_and_labels(pair, 40)
        suite = [attack for attack in strong_suite((16 / 255,), steps=5, restarts=1) if attack.method == "pgd"]
        found[alpha] = masking_signs(list(attack_pair(pair, images, labels, suite=suite)), "jpegdl")
    assert found[0.4] == []
    assert any("past the layer" in sign for sign in found[1e5])
    assert any("passes no gradient" in sign for sign in found[1e5])
