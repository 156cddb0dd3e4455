"""GradCAM++ against a formula without hooks and against the library, alone and from several threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAMPlusPlus
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from jpegdl.analysis.explain import Array, choose_targets, explain_pair
from jpegdl.codec.layer import JPEGLayer
from jpegdl.pairs.architectures import ARCHITECTURES, architecture
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier, build_classifier
from tests.tiny import TINY, add_tiny, card, noise, tables, tiny_pair

STAGES = list(ARCHITECTURES["resnet18"].stages)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> ModelPair:
    """resnet18 with random weights, 5 classes."""
    return tiny_pair(tmp_path_factory.mktemp("pairs") / "one", "resnet18")


@pytest.fixture
def small_pair(tmp_path, monkeypatch) -> ModelPair:
    add_tiny(monkeypatch)
    return tiny_pair(tmp_path / "one", TINY)


def seen_by_backbone(classifier: Classifier, image: Tensor) -> Tensor:
    with torch.no_grad():
        return classifier.normalize(classifier.codec(image))


def resnet_from(backbone: Any, seen: Tensor, stage: str) -> tuple[Tensor, Tensor]:
    """-> activations of a stage of resnet18 and the logits that follow from them, without a hook."""
    parts = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    activations = seen
    for name in parts:
        seen = getattr(backbone, name)(seen)
        if name == ARCHITECTURES["resnet18"].stages[stage]:
            activations = seen = seen.detach().requires_grad_()
    return activations, backbone.fc(backbone.avgpool(seen).flatten(1))


def gradcam_plus_plus(activations: Tensor, score: Tensor) -> np.ndarray:
    """Chattopadhay et al. 2018, equations 19 and 7, with the gradient in place of the exponential's."""
    (g,) = torch.autograd.grad(score, activations)
    total = activations.sum((2, 3), keepdim=True)
    share = g**2 / (2 * g**2 + total * g**3 + 1e-6)
    weights = (g.clamp(min=0) * share.where(g != 0, 0.0)).sum((2, 3), keepdim=True)
    return (weights * activations).sum(1).clamp(min=0)[0].detach().numpy()


@pytest.mark.parametrize("stage", STAGES)
def test_maps_are_those_of_the_formula_without_hooks(pair, stage):
    image = noise(1, 64, seed=3)
    view = explain_pair(pair, image, 2, stage=stage)
    for arm in ARMS:
        classifier = pair.arm(arm)
        activations, logits = resnet_from(classifier.backbone, seen_by_backbone(classifier, image), stage)
        expected = gradcam_plus_plus(activations, logits[0, 2])
        assert view.maps[arm].shape == expected.shape
        assert expected.max() > 0
        assert np.allclose(view.maps[arm], expected, rtol=1e-3, atol=1e-4 * expected.max())
        assert np.allclose(view.probabilities[arm], logits.softmax(1)[0].detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_after_its_two_scalings_a_map_is_the_librarys_own(pair, stage):
    image = noise(1, 64, seed=4)
    view = explain_pair(pair, image, 1, stage=stage)
    for arm in ARMS:
        classifier = pair.arm(arm)
        layer = classifier.backbone.get_submodule(ARCHITECTURES["resnet18"].stages[stage])
        with GradCAMPlusPlus(classifier.backbone, [layer]) as cam:
            theirs = cam(seen_by_backbone(classifier, image).requires_grad_(), [ClassifierOutputTarget(1)])
        ours = scale_cam_image(scale_cam_image(view.maps[arm][None], (64, 64)))
        assert np.allclose(ours, theirs, atol=1e-5)
        assert np.ptp(theirs) > 0.9


@pytest.mark.parametrize("name", [*ARCHITECTURES, "timm:tf_efficientnet_lite0", "torchvision:mobilenet_v3_small"])
def test_every_stage_of_every_architecture_has_the_librarys_map(name):
    side = 224 if name == "efficientformer_l1" else 32 if architecture(name).short_side == 1 else 64
    pair = drawn_pair(name, side)
    image = noise(1, side, seed=5)
    seen = seen_by_backbone(pair.baseline, image)
    target = int(pair.baseline.backbone(seen).argmax())
    for stage, path in architecture(name).stages.items():
        view = explain_pair(pair, image, target, stage=stage)
        with GradCAMPlusPlus(pair.baseline.backbone, [pair.baseline.backbone.get_submodule(path)]) as cam:
            theirs = cam(seen.clone().requires_grad_(), [ClassifierOutputTarget(target)])
        ours = scale_cam_image(scale_cam_image(view.maps["baseline"][None], (side, side)))
        assert np.allclose(ours, theirs, atol=1e-5), stage
        assert np.ptp(theirs) > 0.9, stage


def drawn_pair(name: str, side: int) -> ModelPair:
    """An untrained pair of 5 classes, with batch statistics that keep the maps of deep networks in range."""
    codecs = {"baseline": None, "jpegdl": JPEGLayer(tables(), 5.0)}
    arms = {arm: build_classifier(name, 5, seed=seed, codec=codecs[arm]) for seed, arm in enumerate(ARMS)}
    for classifier in arms.values():
        for module in classifier.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        classifier.train()(noise(4, side))
    return ModelPair.of(card(name), arms["baseline"], arms["jpegdl"])


def test_the_maps_depend_on_the_class_and_on_the_arm(pair):
    image = noise(1, 64)
    first, second = (explain_pair(pair, image, target, stage=STAGES[-1]) for target in (0, 3))
    assert not np.allclose(first.maps["baseline"], second.maps["baseline"])
    assert not np.allclose(first.maps["baseline"], first.maps["jpegdl"])
    assert [set(view.targets.values()) for view in (first, second)] == [{0}, {3}]


def test_a_class_whose_score_nothing_raises_has_an_empty_map(small_pair):
    with torch.no_grad():
        small_pair.baseline.backbone[7].weight.fill_(-1.0)
    view = explain_pair(small_pair, noise(1, 16), 0, stage="last")
    assert np.array_equal(view.maps["baseline"], np.zeros((8, 8)))


def test_eight_threads_give_the_maps_of_one_after_the_other(small_pair):
    calls = [(noise(1, 16, seed=n), n % 5, ("early", "last")[n % 2]) for n in range(24)]

    def explain(call):
        return explain_pair(small_pair, call[0], call[1], stage=call[2])

    expected = [explain(call) for call in calls]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(explain, calls * 3))
    for view, reference in zip(found, expected * 3, strict=True):
        for arm in ARMS:
            assert np.array_equal(view.maps[arm], reference.maps[arm])
            assert np.array_equal(view.probabilities[arm], reference.probabilities[arm])


# What is left behind


def state(pair: ModelPair) -> list[object]:
    """Hooks, gradients, settings and values of everything in both networks."""
    found: list[object] = []
    for arm in ARMS:
        for module in pair.arm(arm).modules():
            found.append((module.training, len(module._forward_hooks), len(module._forward_pre_hooks)))
            found.append((len(module._backward_hooks), len(module._backward_pre_hooks)))
        for parameter in pair.arm(arm).parameters():
            found.append((parameter.requires_grad, parameter.grad is None, parameter._backward_hooks))
        found.extend(value.sum().item() for value in pair.arm(arm).state_dict().values())
    return found


@pytest.mark.parametrize("frozen", [True, False])
def test_explaining_leaves_no_hook_no_gradient_and_no_other_setting(small_pair, frozen):
    for arm in ARMS:
        small_pair.arm(arm).requires_grad_(not frozen)
    before = state(small_pair)
    explain_pair(small_pair, noise(1, 16), 0, stage="last")
    assert state(small_pair) == before


def test_gradients_that_were_there_stay(small_pair):
    small_pair.baseline.requires_grad_(True)(noise(1, 16)).sum().backward()
    before = [parameter.grad.clone() for parameter in small_pair.baseline.parameters()]
    explain_pair(small_pair, noise(1, 16), 0, stage="last")
    after = [parameter.grad for parameter in small_pair.baseline.parameters()]
    assert all(torch.equal(first, second) for first, second in zip(before, after, strict=True))


class Broken(nn.Module):
    """Fails when it is called, after the stages before it have run with their hooks."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, inputs: Tensor) -> Tensor:
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), IndexError("out of range"), KeyError("gone")])
def test_an_exception_inside_comes_out_and_leaves_nothing_behind(small_pair, capsys, error):
    for arm in ARMS:
        small_pair.arm(arm).backbone[7] = Broken(error)
    before = state(small_pair)
    with pytest.raises(type(error)) as caught:
        explain_pair(small_pair, noise(1, 16), 0, stage="last")
    assert caught.value is error
    assert state(small_pair) == before
    assert capsys.readouterr().out == ""


def test_after_an_exception_the_next_explanation_works(small_pair):
    linear = small_pair.baseline.backbone[7]
    expected = explain_pair(small_pair, noise(1, 16), 0, stage="last")
    small_pair.baseline.backbone[7] = Broken(RuntimeError("out of memory"))
    with pytest.raises(RuntimeError):
        explain_pair(small_pair, noise(1, 16), 0, stage="last")
    small_pair.baseline.backbone[7] = linear
    assert np.array_equal(
        explain_pair(small_pair, noise(1, 16), 0, stage="last").maps["jpegdl"], expected.maps["jpegdl"]
    )


# Errors


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 3, 16, 16), (1, 1, 16, 16), (1, 4, 16, 16)])
def test_anything_but_one_rgb_picture_is_refused(small_pair, shape):
    with pytest.raises(ValueError, match=r"one RGB picture of shape \(1, 3, S, S\), got"):
        explain_pair(small_pair, torch.zeros(shape), 0, stage="last")


@pytest.mark.parametrize("target", [-1, 5])
def test_a_class_that_is_not_there_is_refused(small_pair, target):
    with pytest.raises(ValueError, match=rf"class index 0\.\.4, got {target}"):
        explain_pair(small_pair, noise(1, 16), target, stage="last")


def test_an_unknown_stage_is_refused_naming_the_known_ones(small_pair):
    with pytest.raises(ValueError, match="unknown stage 'stage 9'; tiny has early, last"):
        explain_pair(small_pair, noise(1, 16), 0, stage="stage 9")


# Predictions


def test_an_explanations_probabilities_are_each_arms_softmax(small_pair):
    image = noise(1, 16)
    for arm, probabilities in explain_pair(small_pair, image, 0, stage="last").probabilities.items():
        logits = small_pair.arm(arm)(image)[0].detach().double().numpy()
        assert probabilities.sum() == pytest.approx(1, abs=1e-6)
        assert np.allclose(probabilities, np.exp(logits) / np.exp(logits).sum(), atol=1e-6)


def test_shared_explains_the_highest_mean_probability_and_own_each_arms_first_class():
    probabilities: dict[Arm, Array] = {
        "baseline": np.array([0.5, 0.4, 0.1], dtype=np.float32),
        "jpegdl": np.array([0.1, 0.4, 0.5], dtype=np.float32),
    }
    assert choose_targets(probabilities, "shared") == {"baseline": 1, "jpegdl": 1}
    assert choose_targets(probabilities, "own") == {"baseline": 0, "jpegdl": 2}
    assert choose_targets(probabilities, 2) == {"baseline": 2, "jpegdl": 2}


def test_nothing_before_the_stage_records_a_gradient(small_pair, monkeypatch):
    graphs = []
    for arm in ARMS:
        backbone = small_pair.arm(arm).backbone
        for part in backbone.modules():
            part.register_forward_hook(lambda part, _, output: graphs.append((part, output.requires_grad)))
    explain_pair(small_pair, noise(1, 16), 0, stage="last")
    explained = {small_pair.arm(arm).backbone.get_submodule(ARCHITECTURES[TINY].stages["last"]) for arm in ARMS}
    assert [recorded for part, recorded in graphs if part in explained] == [False, False]  # seen before the cut
    assert not graphs[0][1]
    assert graphs[-1][1]


def test_the_number_of_classes_is_the_cards(small_pair):
    fewer = replace(small_pair, card=replace(small_pair.card, class_names=("a", "b")))
    with pytest.raises(ValueError, match=r"0\.\.1, got 2"):
        explain_pair(fewer, noise(1, 16), 2, stage="last")
