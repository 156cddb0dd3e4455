"""VGG networks for 32-pixel pictures, with batch normalisation and one linear layer (paper table 1; contrastive
representation distillation, arXiv 1910.10699, appendix)."""

from collections import OrderedDict

from torch import nn

WIDTHS = (64, 128, 256, 512, 512)
SCALE_OF_HEAD = 0.01


def _stage(channels_in: int, channels: int, convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(convolutions):
        layers += [nn.Conv2d(channels_in, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        channels_in = channels
    return nn.Sequential(*layers)


def vgg_cifar(convolutions: int, num_classes: int) -> nn.Module:
    """VGG with `convolutions` 3x3 convolutions in each of five stages: 1 is VGG-8, 2 is VGG-13.

    The side is halved after the first three stages only, so 32x32 pictures end as 4x4 features, which are averaged.
    Normalised images (N, 3, H, W), made for 32x32, to logits (N, num_classes).
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (channels_in, channels) in enumerate(zip((3, *WIDTHS), WIDTHS, strict=False), start=1):
        parts[f"stage{number}"] = _stage(channels_in, channels, convolutions)
        if number <= 3:
            parts[f"pool{number}"] = nn.MaxPool2d(2)
    parts |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "fc": nn.Linear(WIDTHS[-1], num_classes)}
    network = nn.Sequential(parts)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=SCALE_OF_HEAD)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return network
