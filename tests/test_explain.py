"""GradCAM++ against a formula without hooks and against the library, alone and from several threads."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAMPlusPlus
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from jpegdl.analysis.explain import Explained
from jpegdl.pairs.architectures import ARCHITECTURES, architecture
from jpegdl.pairs.classifier import build_classifier
from tests.tiny import noise, tiny_network

STAGES = list(ARCHITECTURES["resnet18"].stages)
LAST = "4"  # of the tiny network


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    """resnet18 with random weights, 5 classes."""
    return build_classifier("resnet18", 5, seed=1).requires_grad_(False).eval().backbone


@pytest.fixture
def tiny() -> nn.Module:
    torch.manual_seed(0)
    return tiny_network(5).requires_grad_(False).eval()


def resnet_from(backbone: Any, seen: Tensor, path: str) -> tuple[Tensor, Tensor]:
    """-> activations of a stage of resnet18 and the logits that follow from them, without a hook."""
    parts = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    activations = seen
    for name in parts:
        seen = getattr(backbone, name)(seen)
        if name == path:
            activations = seen = seen.detach().requires_grad_()
    return activations, backbone.fc(backbone.avgpool(seen).flatten(1))


def gradcam_plus_plus(activations: Tensor, score: Tensor) -> np.ndarray:
    """Chattopadhay et al. 2018, equations 19 and 7, with the gradient in place of the exponential's."""
    (g,) = torch.autograd.grad(score, activations, retain_graph=True)
    total = activations.sum((2, 3), keepdim=True)
    share = g**2 / (2 * g**2 + total * g**3 + 1e-6)
    weights = (g.clamp(min=0) * share.where(g != 0, 0.0)).sum((2, 3), keepdim=True)
    return (weights * activations).sum(1).clamp(min=0)[0].detach().numpy()


def library_map(network: nn.Module, path: str, seen: Tensor, target: int) -> np.ndarray:
    """The library's own map, scaled to 0..1 at the picture's size."""
    with GradCAMPlusPlus(network, [network.get_submodule(path)]) as cam:
        scaled: np.ndarray = cam(seen.clone().requires_grad_(), [ClassifierOutputTarget(target)])
    return scaled


@pytest.mark.parametrize("stage", STAGES)
def test_maps_of_all_classes_are_those_of_the_formula_without_hooks(resnet, stage):
    path, seen = ARCHITECTURES["resnet18"].stages[stage], noise(1, 64, seed=3)
    explained = Explained(resnet, path, seen)
    maps = explained.maps([2, 0, 4])
    activations, logits = resnet_from(resnet, seen, path)
    for number, found in zip([2, 0, 4], maps, strict=True):
        expected = gradcam_plus_plus(activations, logits[0, number])
        assert found.shape == expected.shape
        assert expected.max() > 0
        assert np.allclose(found, expected, rtol=1e-3, atol=1e-4 * expected.max())
    assert np.allclose(explained.probabilities, logits.softmax(1)[0].detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("name", [*ARCHITECTURES, "timm:tf_efficientnet_lite0", "torchvision:mobilenet_v3_small"])
def test_every_stage_of_every_architecture_has_the_librarys_maps_to_1e_5(name):
    side = 224 if name == "efficientformer_l1" else 32 if architecture(name).short_side == 1 else 64
    network, seen = drawn_network(name, side)
    first = int(network(seen).argmax())
    for stage, path in architecture(name).stages.items():
        classes = [first, (first + 1) % 5]
        for number, ours in zip(classes, Explained(network, path, seen).maps(classes), strict=True):
            theirs = library_map(network, path, seen, number)
            assert np.allclose(scale_cam_image(scale_cam_image(ours[None], (side, side))), theirs, atol=1e-5), stage
            if number == first:
                assert np.ptp(theirs) > 0.9, stage


def drawn_network(name: str, side: int) -> tuple[nn.Module, Tensor]:
    """An untrained backbone of 5 classes, with batch statistics that keep the maps of deep networks in range, and a
    picture as it is given to it."""
    classifier = build_classifier(name, 5)
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    classifier.train()(noise(4, side))
    return classifier.requires_grad_(False).eval().backbone, classifier.normalize(noise(1, side, seed=5))


def test_the_maps_depend_on_the_class(resnet):
    first, second = Explained(resnet, "layer4", noise(1, 64)).maps([0, 3])
    assert not np.allclose(first, second)


def test_a_class_whose_score_nothing_raises_has_an_empty_map(tiny):
    tiny[7].weight.fill_(-1.0)
    assert np.array_equal(Explained(tiny, LAST, noise(1, 16)).maps([0]), np.zeros((1, 8, 8)))


def test_eight_threads_give_the_maps_of_one_after_the_other(tiny):
    calls = [(noise(1, 16, seed=n), n % 5, ("1", LAST)[n % 2]) for n in range(24)]

    def explain(call):
        explained = Explained(tiny, call[2], call[0])
        return explained.probabilities, explained.maps([call[1]])

    expected = [explain(call) for call in calls]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(explain, calls * 3))
    for view, reference in zip(found, expected * 3, strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(view, reference, strict=True))


# What is left behind


def state(network: nn.Module) -> list[object]:
    """Hooks, gradients, settings and values of everything in a network."""
    found: list[object] = []
    for name, module in network.named_modules():
        found.append((name, id(module), module.training, len(module._forward_hooks), len(module._forward_pre_hooks)))
        found.append((len(module._backward_hooks), len(module._backward_pre_hooks)))
    for parameter in network.parameters():
        found.append((parameter.requires_grad, parameter.grad is None, parameter._backward_hooks))
    found.extend(value.sum().item() for value in network.state_dict().values())
    return found


@pytest.mark.parametrize("frozen", [True, False])
def test_explaining_leaves_no_hook_no_gradient_and_no_other_setting(tiny, frozen):
    tiny.requires_grad_(not frozen)
    before = state(tiny)
    Explained(tiny, LAST, noise(1, 16)).maps([0, 1])
    assert state(tiny) == before


def test_no_hook_is_there_while_explaining_either(tiny):
    hooks: list[int] = []
    tiny[2].register_forward_hook(lambda *_: hooks.extend(len(part._forward_hooks) for part in tiny.modules()))
    Explained(tiny, LAST, noise(1, 16)).maps([0])
    assert sum(hooks) == 1  # the one that looked


def test_gradients_that_were_there_stay(tiny):
    tiny.requires_grad_(True)(noise(1, 16)).sum().backward()
    before = [parameter.grad.clone() for parameter in tiny.parameters()]
    Explained(tiny, LAST, noise(1, 16)).maps([0])
    assert all(torch.equal(first, p.grad) for first, p in zip(before, tiny.parameters(), strict=True))


class Broken(nn.Module):
    """Fails when it is called, after the stages before it have run."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, inputs: Tensor) -> Tensor:
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), IndexError("out of range"), KeyError("gone")])
def test_an_exception_inside_comes_out_and_leaves_nothing_behind(tiny, capsys, error):
    linear = tiny[7]
    expected = Explained(tiny, LAST, noise(1, 16)).maps([0])
    tiny[7] = Broken(error)
    before = state(tiny)
    with pytest.raises(type(error)) as caught:
        Explained(tiny, LAST, noise(1, 16))
    assert caught.value is error
    assert state(tiny) == before
    assert capsys.readouterr().out == ""
    tiny[7] = linear
    assert np.array_equal(Explained(tiny, LAST, noise(1, 16)).maps([0]), expected)


def test_nothing_before_the_stage_records_a_gradient(tiny):
    recorded = {}
    for name, part in tiny.named_children():
        part.register_forward_hook(lambda _, __, output, name=name: recorded.update({name: output.requires_grad}))
    tiny.requires_grad_(True)
    with torch.no_grad():
        seen = noise(1, 16)
    Explained(tiny.requires_grad_(False), LAST, seen)
    assert [recorded[name] for name in ("0", "1", "2", "3")] == [False] * 4
    assert recorded["7"]
